/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Hits are not seen: a page that is in RAM and mapped is touched without a fault. So an order of use by faults alone is an order of loading, and whatever is read once
 * pushes out what is read all the time. What can be seen is which blocks have to be loaded again soon after they were dropped (ghosts.h).
 *
 *   - A block that is loaded is new. When it is dropped it is remembered, for as long as a pool's worth of loads. One that is loaded while it is remembered is proven.
 *   - The new have a share of the pool by right. While they have more, the oldest new one leaves, else the oldest proven one.
 *   - The share grows when one comes back that left the new lately, and shrinks when one does that left the proven lately: lately means that a sixteenth of a pool has
 *     left the same list since.
 *   - While three of four of the proven that leave come back, they are as good as those that would replace them: then one in eight of these is let in, by groups of
 *     neighbours, and the rest are new once more. So most of a loop that does not fit stays, of which an order of use would keep nothing.
 *   - While the pool is far from full, and the proven have not their part, what is loaded is called proven: who comes first is rather popular.
 *   - While next to nothing comes back (a loop much larger than the pool), one new block of sixteen is called proven, by groups too: so something stays.
 *
 * A time is counted in units of a 256th of a pool's worth of loads, and wraps.
 */

#include <assert.h>

#include "order.h"

#define ORDER_PAGE 4096u
#define ORDER_UNITS 256     /* of time, in a pool's worth of loads */
#define ORDER_WINDOW_DIVISOR 8 /* of a pool's worth of loads: how often what is counted is looked at */
#define ORDER_LATELY_DIVISOR 16
#define ORDER_NEW_DIVISOR 10 /* of the pool: the share of the new at first, and what they leave to the others at the least */
#define ORDER_NEW_MIN_DIVISOR 50
#define ORDER_NEW_STEP (4 * ORDER_PAGE)
#define ORDER_FILL_ONE_IN 16
#define ORDER_FILL_RARE 128 /* next to nothing comes back: less than one load in so many */
#define ORDER_SPARE_DIVISOR 16 /* of the pool: the proven lack so much before they are filled; and so much is free if it is far from full */
#define ORDER_LET_IN_ONE_IN 8
#define ORDER_GROUP_SHIFT 6 /* neighbours: 64 blocks, aligned */
#define ORDER_WAS_KEPT 0x8000

/* --- learning ----------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t order_hash(uint64_t x) {
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static uint64_t order_n_pages(uint64_t bytes) {
        return bytes / ORDER_PAGE;
}

static uint16_t order_now(const struct order *order) {
        return (uint16_t) (order->time / order->unit);
}

static uint16_t order_pool_time(const struct order *order) {
        return (uint16_t) (order_n_pages(order->size) / order->unit);
}

static void order_set_size(struct order *order, uint64_t size) {
        uint64_t now = order->time / order->unit, min = ORDER_UNITS * ORDER_PAGE;

        if (size < min)
                size = min;
        order->new_max = (uint64_t) ((double) order->new_max * (double) size / (double) order->size);
        order->size = size;
        order->unit = order_n_pages(size) / ORDER_UNITS + 1;
        order->time = now * order->unit; /* which goes on as it was */
}

static void order_adapt(struct order *order, bool was_kept) {
        uint64_t min = order->size / ORDER_NEW_MIN_DIVISOR + ORDER_PAGE, max = order->size - order->size / ORDER_NEW_DIVISOR;

        if (was_kept)
                order->new_max -= order->new_max > min + ORDER_NEW_STEP ? ORDER_NEW_STEP : 0;
        else
                order->new_max += order->new_max + ORDER_NEW_STEP < max ? ORDER_NEW_STEP : 0;
}

/* By a quarter in each window. */
static void order_fade(struct order_counts *counts) {
        counts->n_loads -= counts->n_loads / 4;
        counts->n_found -= counts->n_found / 4;
        counts->n_dropped[0] -= counts->n_dropped[0] / 4;
        counts->n_dropped[1] -= counts->n_dropped[1] / 4;
        counts->n_back -= counts->n_back / 4;
}

static void order_look(struct order *order, const struct order_room *room) {
        const struct order_counts *counts = &order->counts;

        order_set_size(order, order->n[ORDER_NEW] + order->n[ORDER_KEPT] + order->n[ORDER_PARKED] + room->free);
        for (unsigned i = 0; i < 2; i++) {
                uint64_t pool_time = order_pool_time(order);
                uint64_t lately = pool_time * counts->n_loads / ORDER_LATELY_DIVISOR / (counts->n_dropped[i] + 1);

                order->lately[i] = (uint16_t) (lately < pool_time ? lately : pool_time);
        }
        order->is_filling = counts->n_found < counts->n_loads / ORDER_FILL_RARE;
        order->is_settled = counts->n_back > counts->n_dropped[1] - counts->n_dropped[1] / 4;
        order_fade(&order->counts);
}

static void order_count_load(struct order *order, uint64_t n_pages, const struct order_room *room) {
        order->time += n_pages;
        order->counts.n_loads += n_pages;
        order->n_window += n_pages;
        if (order->n_window < order_n_pages(order->size) / ORDER_WINDOW_DIVISOR)
                return;
        order->n_window = 0;
        order_look(order, room);
}

/* Have the proven less than their part? */
static bool order_has_spare(const struct order *order) {
        return order->n[ORDER_KEPT] + order->new_max + order->size / ORDER_SPARE_DIVISOR < order->size;
}

/* One chance in so many, for neighbours together: then what stays, and what has to be loaded again, are runs. Another time it is others' turn. */
static bool order_is_lucky(const struct order *order, uint64_t name, unsigned one_in) {
        uint64_t epoch = order_now(order) / 16u;

        return order_hash(order_hash(name >> ORDER_GROUP_SHIFT) + epoch) % one_in == 0;
}

/* Was the block dropped not more than a pool's worth of loads ago? */
static bool order_was_missed(struct order *order, uint64_t name, uint64_t n_pages) {
        uint16_t note, out;
        bool was_kept;

        if (!ghosts_take(&order->ghosts, order_hash(name), &note))
                return false;
        was_kept = note & ORDER_WAS_KEPT;
        out = (uint16_t) (order_now(order) - note) & ~ORDER_WAS_KEPT;
        if (out > order_pool_time(order))
                return false;
        order->counts.n_found += n_pages;
        order->counts.n_back += was_kept ? n_pages : 0;
        if (out < order->lately[was_kept])
                order_adapt(order, was_kept);
        return true;
}

static bool order_is_proven(struct order *order, uint64_t name, uint64_t n_pages, const struct order_room *room) {
        if (order->policy != ORDER_PROVEN)
                return false;
        if (order_was_missed(order, name, n_pages))
                return !order->is_settled || order_has_spare(order) || order_is_lucky(order, name, ORDER_LET_IN_ONE_IN);
        if (room->free > room->bytes / ORDER_SPARE_DIVISOR)
                return order_has_spare(order);
        return order->is_filling && order_is_lucky(order, name, ORDER_FILL_ONE_IN);
}

/* --- lists -------------------------------------------------------------------------------------------------------------------------------------- */

void order_init(struct order *order, struct pages *pages, enum order_policy policy, uint64_t pool_bytes) {
        *order = (struct order) { .policy = policy, .pages = pages, .size = pool_bytes, .new_max = pool_bytes / ORDER_NEW_DIVISOR, .unit = 1 };
        order_set_size(order, pool_bytes);
        for (enum order_list list = 0; list < N_ORDER_LISTS; list++)
                pagelist_init(&order->lists[list], PAGELIST_ORDER);
        ghosts_init(&order->ghosts, order_n_pages(pool_bytes));
}

void order_fini(struct order *order) {
        ghosts_fini(&order->ghosts);
}

void order_set_policy(struct order *order, enum order_policy policy) {
        order->policy = policy;
}

static void order_put(struct order *order, uint32_t id, enum order_list list, uint32_t bytes, bool is_first) {
        struct page *page = pages_get(order->pages, id);

        assert(page->list == ORDER_NOWHERE);
        page->list = list;
        order->n[list] += bytes;
        if (is_first)
                pagelist_push_first(&order->lists[list], order->pages, id);
        else
                pagelist_push_last(&order->lists[list], order->pages, id);
}

void order_remove(struct order *order, uint32_t id, uint32_t bytes) {
        struct page *page = pages_get(order->pages, id);

        if (page->list == ORDER_NOWHERE)
                return;
        pagelist_remove(&order->lists[page->list], order->pages, id);
        order->n[page->list] -= bytes;
        page->list = ORDER_NOWHERE;
}

void order_load(struct order *order, uint32_t id, uint64_t name, uint32_t bytes, uint16_t age, const struct order_room *room) {
        struct page *page = pages_get(order->pages, id);

        order_count_load(order, order_n_pages(bytes), room);
        page->is_proven = order_is_proven(order, name, order_n_pages(bytes), room);
        page->age = age;
        order_put(order, id, page->is_proven ? ORDER_KEPT : ORDER_NEW, bytes, true);
}

void order_enter(struct order *order, uint32_t id, uint32_t bytes, uint16_t age) {
        struct page *page = pages_get(order->pages, id);

        page->age = age;
        order_put(order, id, ORDER_NEW, bytes, true);
}

/* Of the other policy's pages a fault says little: that a second mapping shows it, or that it is written after it was read. */
void order_touch(struct order *order, uint32_t id, uint32_t bytes, uint16_t age) {
        struct page *page = pages_get(order->pages, id);
        enum order_list list = page->list;

        if (order->policy == ORDER_PROVEN && (list == ORDER_NEW || list == ORDER_KEPT))
                return;
        page->age = age;
        if (list != ORDER_NOWHERE && order->lists[list].first == id && list != ORDER_PARKED)
                return;
        order_remove(order, id, bytes);
        order_put(order, id, page->is_proven ? ORDER_KEPT : ORDER_NEW, bytes, true);
}

void order_evict(struct order *order, uint32_t id, uint64_t name, uint32_t bytes) {
        const struct page *page = pages_get(order->pages, id);
        uint16_t note = (uint16_t) (order_now(order) & ~ORDER_WAS_KEPT);

        if (order->policy == ORDER_PROVEN) {
                ghosts_add(&order->ghosts, order_hash(name), (uint16_t) (note | (page->is_proven ? ORDER_WAS_KEPT : 0)));
                order->counts.n_dropped[page->is_proven] += order_n_pages(bytes);
        }
        order_remove(order, id, bytes);
}

void order_return(struct order *order, uint32_t id, uint32_t bytes) {
        const struct page *page = pages_get(order->pages, id);

        order_put(order, id, page->is_proven ? ORDER_KEPT : ORDER_NEW, bytes, page->is_proven);
}

void order_park(struct order *order, uint32_t id, uint32_t bytes, bool is_oldest) {
        order_put(order, id, ORDER_PARKED, bytes, is_oldest);
}

void order_begin_loading(struct order *order, uint32_t id) {
        order->n_loading[pages_get(order->pages, id)->list]++;
}

void order_end_loading(struct order *order, uint32_t id) {
        order->n_loading[pages_get(order->pages, id)->list]--;
}

static bool order_has_any(const struct order *order, enum order_list list) {
        return order->lists[list].n > order->n_loading[list];
}

uint32_t order_victim(const struct order *order) {
        bool has_kept = order_has_any(order, ORDER_KEPT);

        if (order_has_any(order, ORDER_NEW) && (!has_kept || order->n[ORDER_NEW] >= order->new_max))
                return order->lists[ORDER_NEW].last;
        return has_kept ? order->lists[ORDER_KEPT].last : 0;
}

void order_pass_over(struct order *order, uint32_t id) {
        struct pagelist *list = &order->lists[pages_get(order->pages, id)->list];

        pagelist_remove(list, order->pages, id);
        pagelist_push_first(list, order->pages, id);
}

const char *order_policy_name(enum order_policy policy) {
        static const char *const names[N_ORDER_POLICIES] = { [ORDER_PROVEN] = "proven", [ORDER_LRU] = "lru" };

        return names[policy];
}
