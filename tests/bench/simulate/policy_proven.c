/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The policy that the pager should have: what came back is proven, and chance decides among the proven.
 *
 *   - A block that is loaded is new: it goes to the front of a FIFO. When it leaves it is remembered (ghosts.h) for as long as a pool's worth of loads.
 *   - One that is loaded while it is remembered is proven. Its age begins with four times the time it was out: who was missed sooner is younger.
 *   - The new have a share of the pool by right. While they have more, the oldest new one leaves; else, of four of the proven come upon by chance, the one
 *     of the greatest age, and with it its neighbours that came with it. Chance keeps most of a loop that does not fit; a FIFO would keep nothing.
 *   - The share grows by four blocks when one comes back that left the new lately, and shrinks when one does that left the proven lately: lately means that a
 *     sixteenth of a pool has left the same queue since.
 *   - While three of four of the proven that leave come back, they are as good as those that would replace them: then one in eight of these is let in.
 *   - While the pool is far from full, and the proven have not their part, new blocks are called proven, and very old: who comes first is rather popular, and
 *     need not come twice. The same while next to nothing comes back (a loop much larger than the pool), with one new block of four, by groups of neighbours:
 *     so something stays, until something better comes.
 *
 * All of it knows nothing but loads and drops. A time is counted in units of a 256th of a pool's worth of loads, in 16 bits, and wraps: that is all a page
 * needs, beside the list it is on. "proven-kept" unmaps a proven block that is to leave, and keeps it for a while in a tenth of the pool.
 */

#include <errno.h>

#include "ghosts.h"
#include "links.h"
#include "rng.h"
#include "sim.h"

#define PROVEN_UNITS 256 /* of time, in a pool's worth of loads */
#define PROVEN_WINDOW_DIVISOR 8 /* of a pool's worth of loads: how often what is counted is looked at */
#define PROVEN_LATELY_DIVISOR 16
#define PROVEN_NEW_DIVISOR 10 /* of the pool: the share of the new at first, and what they leave to others at the most */
#define PROVEN_NEW_MIN_DIVISOR 50
#define PROVEN_NEW_STEP 4 /* blocks */
#define PROVEN_CHOICES 4
#define PROVEN_TRIES 64 /* pages looked at to find these */
#define PROVEN_AGE_PER_OUT 4
#define PROVEN_AGE_FILLED 16 /* pool's worths of loads */
#define PROVEN_FILL_ONE_IN 4
#define PROVEN_FILL_RARE 64 /* next to nothing comes back: less than one load in so many */
#define PROVEN_SPARE_DIVISOR 16 /* of the pool: the proven lack so much before they are filled; and so much is free if it is far from full */
#define PROVEN_LET_IN_ONE_IN 8
#define PROVEN_GROUP_SHIFT 6 /* neighbours: 64 blocks, aligned */
#define PROVEN_KEPT_DIVISOR 10
#define PROVEN_WAS_PROVEN 0x8000

enum proven_queue {
        PROVEN_NONE,
        PROVEN_NEW,
        PROVEN_PROVEN,
        PROVEN_KEPT,
        N_PROVEN_QUEUES,
};

struct proven_page {
        uint32_t block;
        uint16_t born; /* age is what passed since then */
        uint8_t queue;
};

/* What happened in this window, and faintly in earlier ones. */
struct proven_counts {
        uint32_t n_loads;
        uint32_t n_found; /* remembered when they were loaded */
        uint32_t n_dropped[2]; /* new, proven */
        uint32_t n_back; /* of the proven */
};

struct proven {
        struct sim *sim;
        uint32_t n_new_max; /* the share of the new */
        uint32_t n_kept_max;
        uint32_t unit; /* loads */
        uint32_t n_loads;
        struct proven_counts counts;
        uint32_t n_window; /* loads of this window */
        uint16_t lately[2]; /* new, proven: the time in which as many are dropped as lately means */
        bool is_filling;
        bool is_settled; /* most of the proven that leave come back */
        uint64_t rng;
        struct ghosts ghosts;
        struct proven_page *pages; /* n_pool; a page that was dropped is taken for the next block */
        uint32_t *page_of;         /* each block's, if it is in RAM */
        uint32_t free;             /* the page dropped last; several are linked by block */
        struct link *of;
        struct links queues[N_PROVEN_QUEUES];
};

static void proven_free(void *arg) {
        struct proven *self = arg;

        ghosts_fini(&self->ghosts);
        free(self->pages);
        free(self->page_of);
        free(self->of);
        free(self);
}

static int proven_new_with(struct sim *sim, uint32_t n_kept_max, void **ret) {
        struct proven *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct proven){ .sim = sim,
                                 .n_new_max = sim->n_pool / PROVEN_NEW_DIVISOR + 1,
                                 .n_kept_max = n_kept_max,
                                 .unit = sim->n_pool / PROVEN_UNITS + 1,
                                 .pages = calloc(sim->n_pool, sizeof(*self->pages)),
                                 .page_of = calloc(sim->n_blocks, sizeof(*self->page_of)),
                                 .of = calloc(sim->n_blocks, sizeof(*self->of)) };
        if (!self->pages || !self->page_of || !self->of || ghosts_init(&self->ghosts, sim->n_pool) < 0) {
                proven_free(self);
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < sim->n_pool; i++)
                self->pages[i].block = i + 1;
        for (unsigned i = 0; i < N_PROVEN_QUEUES; i++)
                links_init(&self->queues[i], self->of);
        *ret = self;
        return 0;
}

static int proven_new(struct sim *sim, void **ret) {
        return proven_new_with(sim, 0, ret);
}

static int proven_kept_new(struct sim *sim, void **ret) {
        return proven_new_with(sim, sim->n_pool / PROVEN_KEPT_DIVISOR, ret);
}

static uint16_t proven_now(const struct proven *self) {
        return (uint16_t) (self->n_loads / self->unit);
}

static uint16_t proven_pool_time(const struct proven *self) {
        return (uint16_t) (self->sim->n_pool / self->unit);
}

static struct proven_page *proven_page(const struct proven *self, uint32_t block) {
        return &self->pages[self->page_of[block]];
}

static void proven_move(struct proven *self, uint32_t block, enum proven_queue to) {
        struct proven_page *page = proven_page(self, block);

        if (page->queue != PROVEN_NONE)
                links_remove(&self->queues[page->queue], block);
        page->queue = (uint8_t) to;
        if (to != PROVEN_NONE)
                links_push(&self->queues[to], block);
}

static void proven_drop(struct proven *self, uint32_t block) {
        struct proven_page *page = proven_page(self, block);
        bool is_proven = page->queue != PROVEN_NEW;
        uint16_t when = (uint16_t) (proven_now(self) & ~PROVEN_WAS_PROVEN);

        ghosts_add(&self->ghosts, rng_mix(block + 1), (uint16_t) (when | (is_proven ? PROVEN_WAS_PROVEN : 0)));
        self->counts.n_dropped[is_proven]++;
        proven_move(self, block, PROVEN_NONE);
        page->block = self->free;
        self->free = self->page_of[block];
        sim_drop(self->sim, block);
}

/* The oldest of some that follow a page chosen at random: pages taken at about the same time need not lie side by side for long, and what lies side by side
 * is quick to look at. */
static uint32_t proven_choose(struct proven *self) {
        uint32_t chosen = self->queues[PROVEN_PROVEN].last, n_pool = self->sim->n_pool, at = (uint32_t) (rng_next(&self->rng) % n_pool);
        int age_chosen = -1;

        for (unsigned i = 0, n = 0; i < PROVEN_TRIES && n < PROVEN_CHOICES; i++, at = at + 1 < n_pool ? at + 1 : 0) {
                const struct proven_page *page = &self->pages[at];
                uint16_t age = (uint16_t) (proven_now(self) - page->born);

                if (page->queue != PROVEN_PROVEN)
                        continue;
                n++;
                if (age > age_chosen) {
                        age_chosen = age;
                        chosen = page->block;
                }
        }
        return chosen;
}

/* Whether block is proven like its neighbour, and came just before or after it. */
static bool proven_came_with(const struct proven *self, uint32_t block, uint32_t neighbour) {
        const struct proven_page *page;

        if (block >= self->sim->n_blocks || self->sim->where[block] != SIM_MAPPED)
                return false;
        page = proven_page(self, block);
        return page->queue == PROVEN_PROVEN && (uint16_t) (page->born - proven_page(self, neighbour)->born + PROVEN_AGE_PER_OUT) <= 2 * PROVEN_AGE_PER_OUT;
}

static void proven_evict_one(struct proven *self, uint32_t block) {
        if (self->n_kept_max == 0) {
                proven_drop(self, block);
                return;
        }
        proven_move(self, block, PROVEN_KEPT);
        sim_keep(self->sim, block);
        if (self->queues[PROVEN_KEPT].n > self->n_kept_max)
                proven_drop(self, self->queues[PROVEN_KEPT].last);
}

static void proven_evict(struct proven *self) {
        uint32_t block = proven_choose(self), first = block, last = block, mask = (UINT32_C(1) << PROVEN_GROUP_SHIFT) - 1;

        while ((first & mask) > 0 && proven_came_with(self, first - 1, first))
                first--;
        while ((last & mask) < mask && proven_came_with(self, last + 1, last))
                last++;
        for (uint32_t i = first; i <= last; i++)
                proven_evict_one(self, i);
}

static void proven_make_room(struct proven *self) {
        const struct links *queues = self->queues;

        while (sim_is_full(self->sim)) {
                if (queues[PROVEN_NEW].n > 0 && (queues[PROVEN_NEW].n >= self->n_new_max || queues[PROVEN_PROVEN].n == 0))
                        proven_drop(self, queues[PROVEN_NEW].last);
                else if (queues[PROVEN_PROVEN].n > 0)
                        proven_evict(self);
                else
                        proven_drop(self, queues[PROVEN_KEPT].last);
        }
}

static void proven_adapt(struct proven *self, bool was_proven) {
        uint32_t min = self->sim->n_pool / PROVEN_NEW_MIN_DIVISOR + 1, max = self->sim->n_pool - self->sim->n_pool / PROVEN_NEW_DIVISOR;

        if (was_proven)
                self->n_new_max -= self->n_new_max > min + PROVEN_NEW_STEP ? PROVEN_NEW_STEP : 0;
        else
                self->n_new_max += self->n_new_max < max - PROVEN_NEW_STEP ? PROVEN_NEW_STEP : 0;
}

/* Counts fade, by a quarter in each window. */
static void proven_fade(uint32_t *count) {
        *count -= *count / 4;
}

static void proven_look(struct proven *self) {
        struct proven_counts *counts = &self->counts;

        for (unsigned i = 0; i < 2; i++) {
                uint64_t lately = (uint64_t) proven_pool_time(self) * counts->n_loads / PROVEN_LATELY_DIVISOR / (counts->n_dropped[i] + 1);

                self->lately[i] = (uint16_t) (lately < proven_pool_time(self) ? lately : proven_pool_time(self));
        }
        self->is_filling = counts->n_found < counts->n_loads / PROVEN_FILL_RARE;
        self->is_settled = counts->n_back > counts->n_dropped[true] - counts->n_dropped[true] / 4;
        proven_fade(&counts->n_loads);
        proven_fade(&counts->n_found);
        proven_fade(&counts->n_dropped[false]);
        proven_fade(&counts->n_dropped[true]);
        proven_fade(&counts->n_back);
}

static bool proven_has_spare(const struct proven *self) {
        uint32_t n_pool = self->sim->n_pool;

        return self->queues[PROVEN_PROVEN].n + self->n_new_max + n_pool / PROVEN_SPARE_DIVISOR < n_pool;
}

static bool proven_is_filled(const struct proven *self, uint32_t block) {
        uint32_t epoch = proven_now(self) / 16u, n_pool = self->sim->n_pool;

        if (!proven_has_spare(self))
                return false;
        if (self->sim->n_resident < n_pool - n_pool / PROVEN_SPARE_DIVISOR)
                return true;
        return self->is_filling && rng_mix((uint64_t) epoch << 32 | block >> PROVEN_GROUP_SHIFT) % PROVEN_FILL_ONE_IN == 0;
}

static bool proven_is_let_in(struct proven *self) {
        return !self->is_settled || proven_has_spare(self) || rng_next(&self->rng) % PROVEN_LET_IN_ONE_IN == 0;
}

/* Whether the block was dropped not more than a pool's worth of loads ago, and how long. */
static bool proven_was_missed(struct proven *self, uint32_t block, uint16_t *ret_out) {
        bool was_proven;
        uint16_t when, out;

        if (!ghosts_take(&self->ghosts, rng_mix(block + 1), &when))
                return false;
        was_proven = when & PROVEN_WAS_PROVEN;
        out = (uint16_t) ((proven_now(self) - when) & ~PROVEN_WAS_PROVEN);
        if (out > proven_pool_time(self))
                return false;
        self->counts.n_found++;
        self->counts.n_back += was_proven;
        if (out < self->lately[was_proven])
                proven_adapt(self, was_proven);
        *ret_out = out;
        return true;
}

static void proven_load(struct proven *self, uint32_t block) {
        enum proven_queue queue = PROVEN_NEW;
        uint16_t out, age = 0;

        self->n_loads++;
        self->counts.n_loads++;
        if (++self->n_window >= self->sim->n_pool / PROVEN_WINDOW_DIVISOR) {
                self->n_window = 0;
                proven_look(self);
        }
        if (proven_was_missed(self, block, &out)) {
                age = (uint16_t) (out * PROVEN_AGE_PER_OUT);
                queue = proven_is_let_in(self) ? PROVEN_PROVEN : PROVEN_NEW;
        } else if (proven_is_filled(self, block)) {
                age = (uint16_t) (proven_pool_time(self) * PROVEN_AGE_FILLED);
                queue = PROVEN_PROVEN;
        }
        proven_make_room(self);
        self->page_of[block] = self->free;
        self->free = self->pages[self->free].block;
        *proven_page(self, block) = (struct proven_page){ .block = block, .born = (uint16_t) (proven_now(self) - age) };
        proven_move(self, block, queue);
}

static void proven_fault(void *arg, uint32_t block, enum sim_where where) {
        struct proven *self = arg;

        if (where == SIM_OUT) {
                proven_load(self, block);
                return;
        }
        proven_move(self, block, PROVEN_PROVEN);
        proven_page(self, block)->born = proven_now(self);
}

const struct sim_policy policy_proven = { .name = "proven", .title = "proven", .new = proven_new, .free = proven_free, .fault = proven_fault };

const struct sim_policy policy_proven_kept = {
        .name = "proven-kept", .title = "proven, a tenth kept", .new = proven_kept_new, .free = proven_free, .fault = proven_fault
};
