/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <stdlib.h>

#include "ahead.h"
#include "fileh.h"
#include "load.h"
#include "load_now.h"
#include "mapping.h"
#include "pager.h"
#include "reclaim.h"
#include "store.h"
#include "stream.h"

/* So much is read ahead at the most, or this share of the pool; a step of it is short, as faults wait for its end. */
#define AHEAD_WINDOW_BYTES (UINT64_C(8) << 20)
#define AHEAD_WINDOW_EAGER_BYTES (UINT64_C(16) << 20) /* of who says that he reads in order */
#define AHEAD_WINDOW_BLOCKS_MIN UINT64_C(4) /* of large ones */
#define AHEAD_POOL_SHARE 16
#define AHEAD_TRAPS 4 /* while one part is read another one can be copied, and a third one be touched */
#define AHEAD_STEP_BYTES (UINT64_C(256) << 10)
#define AHEAD_STEP_DIRECT_BYTES (UINT64_C(1) << 20) /* what is read without the page cache takes no time here */
#define AHEAD_BACKGROUND_BYTES (UINT64_C(1) << 20) /* blocks as large as this are read by another thread (load_now.c) */
#define AHEAD_STEP_SINGLES 16u /* blocks that do not lie side by side */

/* What is to be read of one stream. */
struct ahead_range {
        struct mapping *mapping;
        uint64_t next;
        int64_t stride;
        uint64_t n;
        struct stream_traps traps;
        bool is_slow; /* what was read last had to be waited for */
};

struct ahead {
        struct job job;
        bool is_running;
        struct fileh *fileh;
        struct streams streams;
        struct ahead_range ranges[STREAMS_MAX]; /* as in streams.list */
};

static uint64_t ahead_min(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

static uint64_t ahead_run_bytes(const struct fileh *fileh) {
        return fileh->is_direct ? AHEAD_STEP_DIRECT_BYTES : AHEAD_STEP_BYTES;
}

/* --- in the background -------------------------------------------------------------------------------------------------------------------------- */

/* How many of the range's next blocks are EMPTY and lie side by side; 0: the next one is not to be loaded. A trap is left out where it can be had at once when it is
 * touched; else that would take as long as all the others, and it is loaded with them. */
static uint64_t ahead_run(const struct fileh *fileh, const struct ahead_range *range) {
        uint64_t n_max = ahead_min(range->n, ahead_run_bytes(fileh) >> fileh->block_shift), n = 0;

        if (range->stride != 1 && range->stride != -1)
                n_max = 1;
        if (n_max == 0)
                n_max = 1;
        while (n < n_max) {
                uint64_t block = range->next + n * (uint64_t) range->stride;

                if ((!range->is_slow && stream_has_trap(&range->traps, block, 1)) || fileh_page(fileh, block))
                        break;
                n++;
        }
        return n;
}

static void ahead_advance(struct ahead_range *range, uint64_t n) {
        range->next += n * (uint64_t) range->stride;
        range->n -= n;
}

/* Room for what is perhaps not needed is not made by letting faults wait. */
static bool ahead_has_room(struct pager *pager, uint64_t bytes) {
        if (pool_free(pager->pool) < bytes + pool_free_low(pager->pool) / 2)
                (void) reclaim_batch(pager, bytes);
        return pool_free(pager->pool) >= bytes + pool_free_low(pager->pool) / 2;
}

/* False: there is no room, or no memory. */
static bool ahead_load(struct fileh *fileh, struct ahead_range *range, uint64_t n) {
        uint64_t first = range->stride == -1 ? range->next - (n - 1) : range->next;
        struct load *load;
        bool may_fill;

        if (!ahead_has_room(fileh->pager, n << fileh->block_shift))
                return false;
        may_fill = load_may_fill(fileh, range->mapping, first, n);
        range->is_slow = may_fill || stream_has_trap(&range->traps, first, n) || !mapping_shows_run(range->mapping, first, n) || !load_now(range->mapping, first, n, false);
        if (!range->is_slow)
                return true;
        if (load_new(fileh, first, n, &load) < 0)
                return false;
        load->ahead_of = range->mapping;
        load->traps = range->traps;
        load->request.is_background = true;
        load->request.may_be_now = may_fill && n << fileh->block_shift <= AHEAD_STEP_BYTES;
        load_start(load);
        return true;
}

/* Reads by other threads take no time here. */
static uint64_t ahead_step_bytes(const struct fileh *fileh) {
        return fileh->block_size >= AHEAD_BACKGROUND_BYTES || fileh->is_direct ? AHEAD_WINDOW_BYTES : AHEAD_STEP_BYTES;
}

static void ahead_range_step(struct fileh *fileh, struct ahead_range *range) {
        uint64_t n_bytes = 0;

        for (unsigned i = 0; i < AHEAD_STEP_SINGLES && n_bytes < ahead_step_bytes(fileh) && range->n > 0; i++) {
                uint64_t n = ahead_run(fileh, range);

                if (n == 0)
                        n = 1;
                else if (!ahead_load(fileh, range, n)) {
                        range->n = 0;
                        break;
                } else
                        n_bytes += n << fileh->block_shift;
                ahead_advance(range, n);
        }
}

static enum job_result ahead_step(struct job *job) {
        struct ahead *ahead = (struct ahead *) job;
        struct fileh *fileh = ahead->fileh;
        bool has_more = false;

        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                struct ahead_range *range = &ahead->ranges[i];

                if (range->n > 0 && !fileh->is_closing)
                        ahead_range_step(fileh, range);
                has_more |= range->n > 0 && !fileh->is_closing;
        }
        if (has_more)
                return JOB_MORE;
        ahead->is_running = false;
        fileh_unref(fileh);
        return JOB_DONE;
}

/* --- when a block is missing -------------------------------------------------------------------------------------------------------------------- */

static struct ahead *ahead_get(struct fileh *fileh) {
        if (fileh->ahead)
                return fileh->ahead;
        fileh->ahead = malloc(sizeof(*fileh->ahead));
        if (!fileh->ahead)
                return NULL;
        *fileh->ahead = (struct ahead) { .fileh = fileh };
        streams_init(&fileh->ahead->streams);
        return fileh->ahead;
}

static struct stream_bounds ahead_bounds(const struct mapping *mapping) {
        const struct fileh *fileh = mapping->fileh;
        bool is_eager = fileh->advice == WIRE_ADVICE_SEQUENTIAL;
        uint64_t window = is_eager ? AHEAD_WINDOW_EAGER_BYTES : AHEAD_WINDOW_BYTES;
        uint64_t end = (mapping->offset + mapping->length) >> fileh->block_shift;

        if (window < AHEAD_WINDOW_BLOCKS_MIN << fileh->block_shift)
                window = AHEAD_WINDOW_BLOCKS_MIN << fileh->block_shift;
        window = ahead_min(window, fileh->pager->pool->bytes / AHEAD_POOL_SHARE);
        return (struct stream_bounds) {
                .begin = mapping->offset >> fileh->block_shift,
                .end = ahead_min(end, fileh_n_blocks(fileh)),
                .window = window >> fileh->block_shift,
                .n_traps = AHEAD_TRAPS,
                .is_eager = is_eager,
        };
}

/* Those of what is planned that are best loaded together with the block itself: the thread would be at their end soon, and fault again. */
static void ahead_take_neighbours(struct fileh *fileh, struct ahead_plan *plan) {
        struct stream_plan *rest = &plan->rest;
        const struct ahead_range range = { .next = rest->first, .stride = rest->stride, .n = rest->n, .traps = rest->traps };
        uint64_t n;

        if ((rest->stride != 1 && rest->stride != -1) || rest->first != plan->first + (uint64_t) rest->stride || rest->n == 0)
                return;
        n = ahead_run(fileh, &range);
        if ((n + 1) << fileh->block_shift > AHEAD_STEP_BYTES)
                n = n > 0 ? n - 1 : 0;
        if (rest->stride == -1)
                plan->first -= n;
        plan->n += n;
        rest->first += n * (uint64_t) rest->stride;
        rest->n -= n;
}

/* Where a program sees what is read, it says so if more may be than what is touched. */
static bool ahead_may_read(const struct fileh *fileh) {
        return fileh->advice == WIRE_ADVICE_SEQUENTIAL || (fileh->advice != WIRE_ADVICE_RANDOM && !store_is_exact(fileh->store));
}

void ahead_on_miss(struct mapping *mapping, uint64_t block, bool write, struct ahead_plan *ret_plan) {
        struct fileh *fileh = mapping->fileh;
        const struct stream_bounds bounds = ahead_bounds(mapping);
        struct ahead *ahead = ahead_may_read(fileh) ? ahead_get(fileh) : NULL;

        *ret_plan = (struct ahead_plan) { .first = block, .n = 1 };
        if (!ahead || bounds.window == 0)
                return;
        streams_miss(&ahead->streams, block, &bounds, &ret_plan->rest);
        if (ret_plan->rest.stream && !write)
                ahead_take_neighbours(fileh, ret_plan);
}

bool ahead_is_trap(const struct fileh *fileh, uint64_t block) {
        return fileh->ahead && streams_have_trap(&fileh->ahead->streams, block);
}

void ahead_on_trap(struct mapping *mapping, uint64_t block) {
        struct ahead_plan plan;

        ahead_on_miss(mapping, block, true, &plan); /* as of a write: it needs no neighbours, as it is there */
        ahead_begin(mapping, &plan, false);
}

void ahead_begin(struct mapping *mapping, const struct ahead_plan *plan, bool is_alone) {
        struct ahead *ahead = mapping->fileh->ahead;
        struct stream_plan rest = plan->rest;
        struct ahead_range *range;

        if (is_alone) {
                rest.first -= (plan->n - 1) * (uint64_t) rest.stride;
                rest.n += plan->n - 1;
        }
        if (!rest.stream || rest.n == 0)
                return;
        range = &ahead->ranges[rest.stream - ahead->streams.list];
        if (range->n > 0 && range->mapping == mapping && range->stride == rest.stride && range->next + range->n * (uint64_t) range->stride == rest.first)
                range->n += rest.n; /* it goes on where it would have ended */
        else
                *range = (struct ahead_range) { .next = rest.first, .stride = rest.stride, .n = rest.n, .is_slow = range->is_slow };
        range->mapping = mapping;
        range->traps = rest.traps;
        if (ahead->is_running)
                return;
        ahead->is_running = true;
        ahead->job = (struct job) { .step = ahead_step };
        fileh_ref(ahead->fileh);
        job_wake(&ahead->fileh->pager->jobs, &ahead->job);
}

/* --- the end ------------------------------------------------------------------------------------------------------------------------------------ */

void ahead_forget_mapping(struct fileh *fileh, const struct mapping *mapping) {
        for (unsigned i = 0; fileh->ahead && i < STREAMS_MAX; i++)
                if (fileh->ahead->ranges[i].mapping == mapping)
                        fileh->ahead->ranges[i].n = 0;
}
