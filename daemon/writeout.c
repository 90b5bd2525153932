/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A writeout goes through phases: it collects the blocks that are dirty when it begins; stores them in runs of neighbours, several at a time; if
 * asked, flushes the file; and marks what is stored. Runs end in any order, but are looked at in the order of offset, so that after an error exactly
 * those before the failing page
 * count as stored.
 *
 * The content of a page is taken at one moment: it is write-protected, then copied, and only then may a thread write it again. Such a thread and
 * the end of the store race: the state table settles it (STORING_DIRTIED).
 *
 * When nobody has the fileh open any more, its client having died, what is under way ends and nothing more is begun: whoever opens the file next waits for it.
 *
 * With SYNC a page stays STORING, and so in RAM, until the flush has succeeded: if that fails, all of it is dirty again. Without, it is UNSYNCED until the next
 * flush (flush.h).
 *
 * Pages that are spilled are read from the spill file into the run's buffer, piece by piece, and stored from there; they stay where they are. One that is on its
 * way to the spill file is waited for, which is short and needs no room. One on its way back is taken out of its load's hands: waiting for that could be waiting
 * for room that only this writeout makes.
 */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "absent.h"
#include "blocksort.h"
#include "drop.h"
#include "fileh.h"
#include "fileh_name.h"
#include "flush.h"
#include "guess.h"
#include "inject.h"
#include "store.h"
#include "writeout.h"
#include "writeout_run.h"

/* So much is on its way at a time, or one run. */
#define WRITEOUT_WINDOW_BYTES (UINT64_C(4) << 20)

struct writeout {
        struct job job;
        struct fileh *fileh;
        unsigned flags;
        struct reply_to to;
        STAILQ_ENTRY(writeout) entry; /* fileh->writeouts -> writeout->entry */
        struct absent_waiter absent;
        uint64_t patience; /* until when it waits for users who are absent; 0: it did not have to */
        enum {
                WRITEOUT_AWAITS,
                WRITEOUT_COLLECTS,
                WRITEOUT_STORES,
                WRITEOUT_SYNCS,
                WRITEOUT_SETTLES,
                WRITEOUT_MARKS,
        } phase;
        uint32_t n_to_collect;
        struct blocksort blocks;
        struct memory_data known; /* of the memory, to have content */
        bool is_held_up; /* the next block is on its way to the spill file */
        struct writeout_runs runs;   /* under way, in order of offset */
        struct writeout_runs stored; /* ended well, and wait for the flush */
        uint64_t n_bytes;            /* under way */
        int error;                   /* the first */
        int sync_error;
        bool is_syncing;
        struct store_request sync;
};

static bool writeout_wants(const struct writeout *w, unsigned flag) {
        return w->flags & flag;
}

/* --- users who are absent ----------------------------------------------------------------------------------------------------------------------- */

/*
 * Must it wait before it protects pages? An error if it has waited too long: then nothing more is stored. A user who is absent (fileh_may_protect()) could
 * write a page behind our back that we have just called clean.
 */
static bool writeout_is_held(struct writeout *w) {
        struct pager *pager = w->fileh->pager;

        absent_forget(pager, &w->absent);
        if (w->error < 0 || w->fileh->is_closing || fileh_may_protect(w->fileh))
                return false;
        if (w->patience == 0)
                w->patience = ring_now() + pager->options.room_timeout_usec;
        if (ring_now() >= w->patience) {
                fileh_warning(w->fileh, -EBUSY, "a writeout is refused: another user of the file has not come back since the daemon started");
                w->error = -EBUSY;
                return false;
        }
        absent_wait(pager, &w->absent, &w->job);
        return true;
}

static bool writeout_is_waiting(const struct writeout *w) {
        return w->absent.job != NULL;
}

/* May another run begin? */
static bool writeout_goes_on(struct writeout *w) {
        return !w->fileh->is_closing && !writeout_is_held(w) && w->error == 0;
}

static enum job_result writeout_await(struct writeout *w) {
        if (writeout_is_held(w))
                return JOB_WAIT;
        (void) guess_settle(w->fileh);
        w->n_to_collect = w->fileh->dirty.n;
        w->phase = WRITEOUT_COLLECTS;
        return JOB_MORE;
}

/* What becomes of pages that are in the file, or, with SYNC, on stable storage. */
static enum page_event writeout_good_event(const struct writeout *w) {
        if (!writeout_wants(w, WIRE_WRITEOUT_MARKSTORED))
                return EVENT_STORED;
        return writeout_wants(w, WIRE_WRITEOUT_SYNC) ? EVENT_MARK_SYNCED : EVENT_MARK;
}

/* --- collecting --------------------------------------------------------------------------------------------------------------------------------- */

/* Pages go round from the front of the list of dirty ones to its end, so that those that were there at the beginning are met once. */
static enum job_result writeout_collect(struct writeout *w) {
        struct fileh *fileh = w->fileh;
        struct pages *pages = &fileh->pager->pages;
        unsigned n = 0;

        for (; w->n_to_collect > 0 && fileh->dirty.first && n < JOB_STEP_PAGES; w->n_to_collect--, n++) {
                uint32_t id = fileh->dirty.first;

                pagelist_remove(&fileh->dirty, pages, id);
                pagelist_push_last(&fileh->dirty, pages, id);
                if (blocksort_add(&w->blocks, pages_get(pages, id)->block) < 0)
                        w->error = -ENOMEM;
        }
        if (w->n_to_collect > 0 && fileh->dirty.first && w->error == 0)
                return JOB_MORE;
        if (w->error == 0)
                w->error = blocksort_merge(&w->blocks);
        w->phase = writeout_wants(w, WIRE_WRITEOUT_STORE) ? WRITEOUT_STORES : WRITEOUT_MARKS;
        return JOB_MORE;
}

/* Does the memory have the whole content of a block? A client may have taken it away: then there is nothing to store, zeros least of all. */
static bool writeout_has_content(struct writeout *w, uint64_t block) {
        uint64_t begin = block << w->fileh->block_shift;

        return memory_has_data(&w->fileh->memory, begin, begin + w->fileh->block_size, &w->known);
}

/* Is the block to be stored, and can it be? */
static bool writeout_is_due(struct writeout *w, uint64_t block) {
        enum page_state state = fileh_state(w->fileh, block);
        struct drop drop;

        if (state == PAGE_SPILLED || state == PAGE_UNSPILLING)
                return true;
        if (state != PAGE_DIRTY)
                return false;
        if (writeout_has_content(w, block))
                return true;
        drop_init(&drop, w->fileh->pager);
        drop_add(&drop, w->fileh, fileh_page(w->fileh, block), EVENT_VANISHED, 0);
        drop_flush(&drop);
        return false;
}

/* Where a run that begins there ends at the latest: where what the store writes at once does. */
static uint64_t writeout_run_bound(const struct fileh *fileh, uint64_t block, uint64_t n_max) {
        uint64_t n_grain = fileh->store->grain >> fileh->block_shift;

        return n_grain > 1 && n_max >= n_grain ? (block / n_grain + n_max / n_grain) * n_grain : UINT64_MAX;
}

/* Does the next dirty block belong to a run that would go on with that one? In a run that is to be stored, what the store writes at once belongs together. */
static bool writeout_joins(const struct writeout *w, uint64_t block, uint64_t next, const struct writeout_run *run) {
        uint64_t n_grain = w->fileh->store->grain >> w->fileh->block_shift;

        return block == next || (run && n_grain > 1 && block / n_grain == (next - 1) / n_grain);
}

/* The next run of neighbours that are still dirty, at most n_max. Returns its length; 0: at the end, or it is held up. */
static uint64_t writeout_take_run(struct writeout *w, uint64_t n_max, struct writeout_run *run, uint64_t *ret_block) {
        uint64_t block, n = 0, end = 0;

        w->is_held_up = false;
        while (n < n_max && blocksort_peek(&w->blocks, &block)) {
                bool is_dirty = writeout_is_due(w, block);

                w->is_held_up = state_is_spilling(fileh_state(w->fileh, block));
                if (w->is_held_up)
                        break;
                if (n > 0 && (!is_dirty || block >= end || !writeout_joins(w, block, *ret_block + n, run)))
                        break;
                blocksort_pop(&w->blocks);
                if (!is_dirty)
                        continue;
                if (n == 0) {
                        *ret_block = block;
                        end = writeout_run_bound(w->fileh, block, n_max);
                }
                n = block - *ret_block + 1;
                if (run)
                        writeout_run_add(run, n - 1);
        }
        return n;
}

static void writeout_on_spilled(struct job *job, int error) {
        struct writeout *w = (struct writeout *) job;

        (void) error;
        job_wake(&w->fileh->pager->jobs, job);
}

/* Nothing else is under way. */
static enum job_result writeout_wait_for_spilling(struct writeout *w) {
        if (waiters_add_job(&w->fileh->store_waiters, 0, (struct job_waiter) { &w->job, writeout_on_spilled }) == 0)
                return JOB_WAIT;
        w->error = -ENOMEM;
        return JOB_MORE;
}

/* --- storing ------------------------------------------------------------------------------------------------------------------------------------ */

/* So many blocks. */
static uint64_t writeout_run_max(const struct fileh *fileh) {
        uint64_t n = WRITEOUT_RUN_BYTES >> fileh->block_shift, n_grain = fileh->store->grain >> fileh->block_shift;

        if (n_grain > 1)
                return n > n_grain ? n / n_grain * n_grain : n_grain;
        return n > 0 ? n : 1;
}

/* The next run, or NULL: there is none, or no memory for it. */
static struct writeout_run *writeout_next_run(struct writeout *w) {
        uint64_t n_max = writeout_run_max(w->fileh);
        struct writeout_run *run = writeout_run_new(w->fileh, &w->job, n_max);

        if (!run) {
                w->error = -ENOMEM;
                return NULL;
        }
        if (writeout_take_run(w, n_max, run, &run->block) > 0)
                return run;
        free(run);
        return NULL;
}

static uint64_t writeout_begin_bytes(const struct writeout *w) {
        return store_is_exact(w->fileh->store) ? 1 : WRITEOUT_RUN_BYTES;
}

/* Begins the next runs, many short ones or a long one. False: there is none. */
static bool writeout_begin_runs(struct writeout *w) {
        struct writeout_runs runs = STAILQ_HEAD_INITIALIZER(runs);
        struct writeout_run *run;
        uint64_t n_bytes = 0;

        while (n_bytes < writeout_begin_bytes(w) && (run = writeout_next_run(w))) {
                STAILQ_INSERT_TAIL(&runs, run, entry);
                n_bytes += writeout_run_bytes(run);
        }
        writeout_runs_protect(&runs);
        w->n_bytes += n_bytes;
        while ((run = STAILQ_FIRST(&runs))) {
                STAILQ_REMOVE_HEAD(&runs, entry);
                STAILQ_INSERT_TAIL(&w->runs, run, entry);
                writeout_run_store(run);
        }
        return n_bytes > 0;
}

/* The first run has ended. */
static void writeout_finish_run(struct writeout *w, struct writeout_run *run) {
        struct fileh *fileh = w->fileh;
        uint64_t n_good = w->error < 0 ? 0 : run->n_good, n_stored; /* after an error of an earlier run none counts, whatever became of it */

        INJECT(WRITEOUT_STORED);
        if (w->error == 0 && run->error < 0)
                fileh_warning(fileh, run->error, "cannot store changes: %s (they are dirty still, and who asked for it is told)", store_error_text(fileh->store, run->error));
        if (w->error == 0)
                w->error = run->error;
        STAILQ_REMOVE_HEAD(&w->runs, entry);
        w->n_bytes -= writeout_run_bytes(run);
        writeout_run_free_buf(run);
        n_stored = writeout_run_count(run, n_good);
        fileh->n_stores += n_stored;
        pager_count(fileh->pager, COUNTER_STORES, (int64_t) n_stored);
        writeout_pages_end(fileh, run->block + n_good, run->n - n_good, EVENT_STORED);
        run->n = n_good;
        if (n_good > 0 && writeout_wants(w, WIRE_WRITEOUT_SYNC)) {
                STAILQ_INSERT_TAIL(&w->stored, run, entry);
                return;
        }
        writeout_pages_end(fileh, run->block, n_good, writeout_good_event(w));
        free(run);
}

/* A program that serves the file sees its stores one after the other, and none after one that failed. */
static uint64_t writeout_window(const struct writeout *w) {
        return store_is_exact(w->fileh->store) ? 1 : WRITEOUT_WINDOW_BYTES;
}

/* It begins little at a time: what the page cache takes is written when it is handed over, and the next can use the same buffer, while that is in the CPU's cache. */
static enum job_result writeout_store(struct writeout *w) {
        struct writeout_run *run;
        unsigned n = 0;

        while ((run = STAILQ_FIRST(&w->runs)) && run->has_ended && n++ < JOB_STEP_PAGES)
                writeout_finish_run(w, run);
        if (w->n_bytes < writeout_window(w) && writeout_goes_on(w) && writeout_begin_runs(w))
                return JOB_MORE;
        if ((run = STAILQ_FIRST(&w->runs)))
                return run->has_ended ? JOB_MORE : JOB_WAIT;
        if (writeout_is_waiting(w))
                return JOB_WAIT;
        if (w->is_held_up && w->error == 0 && !w->fileh->is_closing)
                return writeout_wait_for_spilling(w);
        w->phase = writeout_wants(w, WIRE_WRITEOUT_SYNC) && !w->fileh->is_closing ? WRITEOUT_SYNCS : WRITEOUT_MARKS;
        return JOB_MORE;
}

/* --- flushing and marking ----------------------------------------------------------------------------------------------------------------------- */

static void writeout_on_synced(struct store_request *request, int error) {
        struct writeout *w = (struct writeout *) ((char *) request - offsetof(struct writeout, sync));

        INJECT(WRITEOUT_SYNCED);
        w->is_syncing = false;
        w->sync_error = error;
        w->phase = WRITEOUT_SETTLES;
        if (error < 0)
                flush_report(w->fileh, error);
        job_wake(&w->fileh->pager->jobs, &w->job);
}

static enum job_result writeout_sync(struct writeout *w) {
        if (!w->is_syncing) {
                w->is_syncing = true;
                w->sync = (struct store_request) { .done = writeout_on_synced };
                flush_begin(w->fileh);
                store_sync(w->fileh->store, &w->sync);
        }
        return JOB_WAIT;
}

/* What earlier writeouts stored shares the fate of what this one did. */
static enum job_result writeout_settle(struct writeout *w) {
        if (!flush_settle(w->fileh, w->sync_error, JOB_STEP_PAGES))
                w->phase = WRITEOUT_MARKS;
        return JOB_MORE;
}

static void writeout_activate(struct writeout *w) {
        w->fileh->writeout = w;
        job_wake(&w->fileh->pager->jobs, &w->job);
}

static void writeout_end(struct writeout *w) {
        struct fileh *fileh = w->fileh;
        struct writeout *next = STAILQ_FIRST(&fileh->writeouts);

        if (writeout_wants(w, WIRE_WRITEOUT_SYNC))
                flush_end(fileh);
        INJECT(WRITEOUT_DONE);
        pager_reply_error(fileh->pager, &w->to, w->error < 0 ? w->error : w->sync_error);
        fileh->writeout = NULL;
        if (next) {
                STAILQ_REMOVE_HEAD(&fileh->writeouts, entry);
                writeout_activate(next);
        }
        blocksort_fini(&w->blocks);
        free(w);
        fileh_unref(fileh);
}

/* What waits for the flush, or, without a store, all that was collected. */
static enum job_result writeout_mark(struct writeout *w) {
        struct fileh *fileh = w->fileh;
        struct writeout_run *run;
        uint64_t block, n = 0, n_run;

        while (n < JOB_STEP_PAGES && (run = STAILQ_FIRST(&w->stored))) {
                STAILQ_REMOVE_HEAD(&w->stored, entry);
                writeout_pages_end(fileh, run->block, run->n, w->sync_error < 0 ? EVENT_STORED : writeout_good_event(w));
                n += run->n;
                free(run);
        }
        while (!writeout_wants(w, WIRE_WRITEOUT_STORE) && n < JOB_STEP_PAGES && writeout_goes_on(w) &&
               (n_run = writeout_take_run(w, JOB_STEP_PAGES, NULL, &block)) > 0) {
                writeout_pages_protect(fileh, block, n_run);
                for (uint64_t i = 0; i < n_run; i++)
                        (void) writeout_page_leave(fileh, block + i, EVENT_MARK);
                n += n_run;
        }
        if (n >= JOB_STEP_PAGES)
                return JOB_MORE;
        if (writeout_is_waiting(w))
                return JOB_WAIT;
        if (!writeout_wants(w, WIRE_WRITEOUT_STORE) && w->is_held_up && w->error == 0)
                return writeout_wait_for_spilling(w);
        writeout_end(w);
        return JOB_DONE;
}

static enum job_result writeout_step(struct job *job) {
        struct writeout *w = (struct writeout *) job;

        switch (w->phase) {
        case WRITEOUT_AWAITS:
                return writeout_await(w);
        case WRITEOUT_COLLECTS:
                return writeout_collect(w);
        case WRITEOUT_STORES:
                return writeout_store(w);
        case WRITEOUT_SYNCS:
                return writeout_sync(w);
        case WRITEOUT_SETTLES:
                return writeout_settle(w);
        case WRITEOUT_MARKS:
                return writeout_mark(w);
        }
        assert(false);
        return JOB_DONE;
}

int writeout_new(struct fileh *fileh, unsigned flags, const struct reply_to *to) {
        struct writeout *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (struct writeout) { .job = { .step = writeout_step }, .fileh = fileh, .flags = flags, .to = *to };
        blocksort_init(&w->blocks);
        STAILQ_INIT(&w->runs);
        STAILQ_INIT(&w->stored);
        fileh_ref(fileh);
        if (fileh->writeout)
                STAILQ_INSERT_TAIL(&fileh->writeouts, w, entry);
        else
                writeout_activate(w);
        return 0;
}
