/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "drop.h"
#include "fileh.h"
#include "inject.h"
#include "load.h"
#include "range.h"
#include "reclaim.h"

/* --- dropping ----------------------------------------------------------------------------------------------------------------------------------- */

struct range_dropping {
        struct job job;
        struct fileh *fileh;
        enum range_what what;
        uint64_t next;
        uint64_t end;
        bool walks; /* over the pages, as there are fewer than blocks in the range */
        struct pagemap_cursor cursor;
        bool has_reply;
        struct reply_to to;
};

static enum job_result range_drop_end(struct range_dropping *range) {
        if (range->has_reply)
                pager_reply_error(range->fileh->pager, &range->to, 0);
        fileh_unref(range->fileh);
        free(range);
        return JOB_DONE;
}

/* A page goes, wherever its content is or is on its way to. */
static void range_lose_page(struct drop *drop, struct fileh *fileh, uint32_t id, enum page_event event) {
        enum page_state state = pages_get(&fileh->pager->pages, id)->state;

        if (state_is_resident(state))
                drop_add(drop, fileh, id, event, 0);
        else if (state_is_loading(state))
                load_abandon(fileh, id, event);
        else
                (void) fileh_page_event(fileh, id, event, 0);
}

static void range_drop_page(struct range_dropping *range, struct drop *drop, uint32_t id) {
        enum page_state state = pages_get(&range->fileh->pager->pages, id)->state;

        if (range->what == RANGE_ALL || state_is_clean(state) || (range->what == RANGE_ALL_BUT_DIRTY && !state_is_dirty(state)))
                range_lose_page(drop, range->fileh, id, EVENT_INVALIDATE);
}

/* The next page of the range, or 0 at its end. Blocks that are in RAM nowhere are many and cost little, but not nothing. */
static uint32_t range_drop_next(struct range_dropping *range, unsigned *n_looks) {
        uint32_t id;

        while (range->walks && (id = pagemap_walk(&range->fileh->map, &range->cursor))) {
                uint64_t block = pages_get(&range->fileh->pager->pages, id)->block;

                if (block >= range->next && block < range->end)
                        return id;
                if (++*n_looks >= JOB_STEP_PAGES * 8)
                        return 0;
        }
        while (!range->walks && range->next < range->end && *n_looks < JOB_STEP_PAGES * 8) {
                id = fileh_page(range->fileh, range->next++);
                if (id)
                        return id;
                ++*n_looks;
        }
        return 0;
}

static enum job_result range_drop_step(struct job *job) {
        struct range_dropping *range = (struct range_dropping *) job;
        unsigned n = 0, n_looks = 0;
        struct drop drop;
        uint32_t id;

        load_settle_fills(range->fileh);
        drop_init(&drop, range->fileh->pager);
        while (n++ < JOB_STEP_PAGES && (id = range_drop_next(range, &n_looks)))
                range_drop_page(range, &drop, id);
        drop_flush(&drop);
        INJECT(RANGE_DROPPED);
        if (n > JOB_STEP_PAGES || n_looks >= JOB_STEP_PAGES * 8)
                return JOB_MORE;
        return range_drop_end(range);
}

int range_drop(struct fileh *fileh, uint64_t first, uint64_t end, enum range_what what, const struct reply_to *to) {
        struct range_dropping *range = calloc(1, sizeof(*range));
        uint64_t n_blocks = fileh_n_blocks(fileh);

        if (!range)
                return -ENOMEM;
        *range = (struct range_dropping) { .job = { .step = range_drop_step }, .fileh = fileh, .what = what, .next = first };
        range->end = end < n_blocks ? end : n_blocks;
        range->walks = first < range->end && range->end - first > fileh->map.n_used;
        if (to) {
                range->has_reply = true;
                range->to = *to;
        }
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &range->job);
        return 0;
}

/* --- discarding --------------------------------------------------------------------------------------------------------------------------------- */

struct range_discard {
        struct job job;
        struct fileh *fileh;
        uint32_t n_dirty;   /* those of fileh->dirty that were so when it began: the first ones */
        uint32_t n_storing; /* the same of fileh->storing */
        struct reply_to to;
};

/* Drops from the front of a list; pages that became dirty since are behind. A store that ends moves a page to the end of the dirty ones: such a
 * page may stay. */
static void range_discard_list(struct range_discard *range, struct drop *drop, struct pagelist *list, uint32_t *n_left, unsigned *n) {
        while (*n_left > 0 && list->first && *n < JOB_STEP_PAGES) {
                range_lose_page(drop, range->fileh, list->first, EVENT_DISCARD);
                --*n_left;
                ++*n;
        }
        if (!list->first)
                *n_left = 0;
}

static enum job_result range_discard_step(struct job *job) {
        struct range_discard *range = (struct range_discard *) job;
        struct fileh *fileh = range->fileh;
        struct drop drop;
        unsigned n = 0;

        drop_init(&drop, fileh->pager);
        range_discard_list(range, &drop, &fileh->storing, &range->n_storing, &n);
        range_discard_list(range, &drop, &fileh->dirty, &range->n_dirty, &n);
        drop_flush(&drop);
        INJECT(RANGE_DISCARDED);
        if (range->n_dirty > 0 || range->n_storing > 0)
                return JOB_MORE;
        pager_reply_error(fileh->pager, &range->to, 0);
        fileh_unref(fileh);
        free(range);
        return JOB_DONE;
}

int range_discard(struct fileh *fileh, const struct reply_to *to) {
        struct range_discard *range = calloc(1, sizeof(*range));

        if (!range)
                return -ENOMEM;
        *range = (struct range_discard) {
                .job = { .step = range_discard_step },
                .fileh = fileh,
                .n_dirty = fileh->dirty.n,
                .n_storing = fileh->storing.n,
                .to = *to,
        };
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &range->job);
        return 0;
}

/* --- loading ------------------------------------------------------------------------------------------------------------------------------------ */

/* Runs that one job has under way. */
#define RANGE_LOADS_MAX 4

struct range_load {
        struct job job;
        struct fileh *fileh;
        uint64_t next;
        uint64_t end;
        unsigned n_waits; /* loads and stores it waits for */
        int error;        /* the first */
        bool has_reply;
        struct reply_to to;
};

static void range_load_on_ended(struct job *job, int error) {
        struct range_load *range = (struct range_load *) job;

        range->n_waits--;
        if (error < 0 && range->error == 0)
                range->error = error;
        job_wake(&range->fileh->pager->jobs, job);
}

static void range_load_wait(struct range_load *range, struct waiters *waiters, uint64_t block) {
        if (waiters_add_job(waiters, block, (struct job_waiter) { &range->job, range_load_on_ended }) < 0)
                range->error = -ENOMEM;
        else
                range->n_waits++;
}

/* As many blocks as are EMPTY in a row, or SPILLED, and for which there is room without much ado. */
static uint64_t range_load_run(const struct range_load *range) {
        struct fileh *fileh = range->fileh;
        struct pager *pager = fileh->pager;
        uint64_t n_max = LOAD_RUN_BYTES >> fileh->block_shift, n = 1;
        enum page_state state = fileh_state(fileh, range->next);

        if (pool_free(pager->pool) < LOAD_RUN_BYTES)
                (void) reclaim_batch(pager, LOAD_RUN_BYTES);
        if (n_max > pool_free(pager->pool) >> fileh->block_shift)
                n_max = pool_free(pager->pool) >> fileh->block_shift;
        if (n_max > pager->pool->bytes >> fileh->block_shift >> 3) /* the last run must not push out the first of the same range */
                n_max = pager->pool->bytes >> fileh->block_shift >> 3;
        while (n < n_max && range->next + n < range->end && fileh_state(fileh, range->next + n) == state)
                n++;
        return n;
}

static void range_load_begin(struct range_load *range) {
        uint64_t n = range_load_run(range);
        struct load *load;

        if (load_new(range->fileh, range->next, n, &load) < 0) {
                range->error = -ENOMEM;
                return;
        }
        range_load_wait(range, &load->waiters, range->next);
        range->next += n;
        load_start(load);
}

/* One block of the range, or a run of them. False: to go on, it has to wait. */
static bool range_load_block(struct range_load *range) {
        struct fileh *fileh = range->fileh;
        uint32_t id = fileh_page(fileh, range->next);

        if (!id) {
                range_load_begin(range);
                return true;
        }
        switch (pages_get(&fileh->pager->pages, id)->state) {
        case PAGE_SPILLED:
                range_load_begin(range);
                return true;
        case PAGE_LOADING:
        case PAGE_UNSPILLING:
                range_load_wait(range, &load_of_page(fileh, id)->waiters, range->next);
                break;
        case PAGE_STORING_DROPPED:
        case PAGE_SPILLING_DROPPED:
        case PAGE_STORING_SPILLED:
                range_load_wait(range, &fileh->store_waiters, range->next);
                return false;
        case PAGE_FAILED:
                range->error = -pages_get(&fileh->pager->pages, id)->error;
                break;
        default:
                fileh_touch(fileh, id);
        }
        range->next++;
        return true;
}

/* Pages that could not be brought back before can now: their poison is the client's to take away. */
static void range_load_answer(const struct range_load *range) {
        struct pager *pager = range->fileh->pager;
        union wire_msg msg;

        wire_init(&msg, range->to.id | WIRE_REPLY, range->to.serial);
        msg.header.flags = range->fileh->has_failed ? WIRE_LOAD_HEALED : 0;
        msg.reply.error = range->error;
        pager->reply(pager, range->to.peer, &msg, NULL, 0);
}

static enum job_result range_load_step(struct job *job) {
        struct range_load *range = (struct range_load *) job;
        bool goes_on = true;
        unsigned n = 0;

        if (range->fileh->is_closing)
                range->next = range->end;
        if (!range->has_reply && range->error < 0) /* a prefetch passes over what fails */
                range->error = 0;
        while (goes_on && n++ < JOB_STEP_PAGES && range->error == 0 && range->next < range->end && range->n_waits < RANGE_LOADS_MAX)
                goes_on = range_load_block(range);
        if (range->n_waits > 0)
                return JOB_WAIT;
        if (range->error == 0 && range->next < range->end)
                return JOB_MORE;
        if (range->has_reply)
                range_load_answer(range);
        fileh_unref(range->fileh);
        free(range);
        return JOB_DONE;
}

static struct range_load *range_load_new(struct fileh *fileh, uint64_t first, uint64_t end) {
        struct range_load *range = calloc(1, sizeof(*range));

        if (!range)
                return NULL;
        *range = (struct range_load) { .job = { .step = range_load_step }, .fileh = fileh, .next = first, .end = end };
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &range->job);
        return range;
}

int range_load(struct fileh *fileh, uint64_t first, uint64_t end, const struct reply_to *to) {
        struct range_load *range = range_load_new(fileh, first, end);

        if (!range)
                return -ENOMEM;
        range->has_reply = true;
        range->to = *to;
        return 0;
}

int range_prefetch(struct fileh *fileh, uint64_t first, uint64_t end) {
        uint64_t n_max = fileh->pager->pool->bytes / 2 >> fileh->block_shift;

        if (end > fileh_n_blocks(fileh))
                end = fileh_n_blocks(fileh);
        if (first >= end)
                return 0;
        return range_load_new(fileh, first, end - first > n_max ? first + n_max : end) ? 0 : -ENOMEM;
}

/* --- reclaiming --------------------------------------------------------------------------------------------------------------------------------- */

struct range_reclaim {
        struct job job;
        struct pager *pager;
        struct reclaim_ask ask;
};

static void range_reclaim_answer(struct pager *pager, const struct reclaim_ask *ask) {
        union wire_msg msg;

        wire_init(&msg, ask->to.id | WIRE_REPLY, ask->to.serial);
        msg.reclaim_reply.bytes = ask->n_done;
        pager->reply(pager, ask->to.peer, &msg, NULL, 0);
}

static enum job_result range_reclaim_step(struct job *job) {
        struct range_reclaim *range = (struct range_reclaim *) job;
        struct pager *pager = range->pager;
        struct reclaim_ask *ask = &range->ask;
        uint64_t n = reclaim_batch(pager, ask->n_wanted - ask->n_done);

        ask->n_done += n;
        if (n > 0 && ask->n_done < ask->n_wanted)
                return JOB_MORE;
        if (ask->n_done < ask->n_wanted && ++ask->n_pagers < atomic_load(&pager->commons->n_pagers))
                pager->pass_on(pager, ask);
        else
                range_reclaim_answer(pager, ask);
        free(range);
        return JOB_DONE;
}

int range_reclaim(struct pager *pager, const struct reclaim_ask *ask) {
        struct range_reclaim *range = calloc(1, sizeof(*range));

        if (!range)
                return -ENOMEM;
        *range = (struct range_reclaim) { .job = { .step = range_reclaim_step }, .pager = pager, .ask = *ask };
        job_wake(&pager->jobs, &range->job);
        return 0;
}
