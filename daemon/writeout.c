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
#include "handle.h"
#include "inject.h"
#include "load.h"
#include "store.h"
#include "writeout.h"

/* A run is not longer than this, or one block; so many bytes are on their way at a time, or one run. */
#define WRITEOUT_RUN_BYTES (UINT64_C(1) << 20)
#define WRITEOUT_RUN_BLOCKS (WRITEOUT_RUN_BYTES / WIRE_BLOCK_MIN)
#define WRITEOUT_WINDOW_BYTES (UINT64_C(8) << 20)

struct writeout_run {
        STAILQ_ENTRY(writeout_run) entry; /* writeout->runs, then writeout->stored -> run->entry */
        struct writeout *writeout;
        uint64_t block;
        uint64_t n;
        uint64_t spilled[WRITEOUT_RUN_BLOCKS / 64]; /* a bit for each that comes from the spill file */
        uint64_t n_filled;  /* of them, those whose content is in the buffer */
        int fill_error;     /* why not the others; they are not written */
        uint64_t n_good;    /* of them, those that are in the file */
        uint64_t n_alone;   /* after an error: those behind the good ones that were written one by one since */
        uint64_t n_written; /* by the write under way */
        void *buf;
        bool has_ended;
        int error;
        struct store_request request;
};

STAILQ_HEAD(writeout_runs, writeout_run);

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

/* --- pages -------------------------------------------------------------------------------------------------------------------------------------- */

static void writeout_protect(struct fileh *fileh, uint64_t block, uint64_t n, bool protect) {
        if (n > 0)
                (void) handles_protect(fileh, block, n, protect);
}

/* A page that counts as stored while it is not in RAM is not here any more if a flush fails. */
static void writeout_note_gone(struct fileh *fileh, uint64_t block, enum page_event event) {
        if (event == EVENT_MARK && state_is_spilled(fileh_state(fileh, block)))
                fileh->n_unsynced_gone++;
}

/* The store of these blocks has ended; each that is still here is told so. Whoever waited because the page was dropped meanwhile asks again. */
static void writeout_end_pages(struct fileh *fileh, uint64_t block, uint64_t n, enum page_event event) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);
        uint64_t n_unprotect = 0;

        for (uint64_t i = 0; i < n; i++) {
                uint32_t id = fileh_page(fileh, block + i);

                if (i > 0)
                        INJECT(WRITEOUT_MARKING);
                writeout_note_gone(fileh, block + i, event);
                if (id && state_is_storing(pages_get(&fileh->pager->pages, id)->state) &&
                    fileh_page_event(fileh, id, event, 0) == ACTION_UNPROTECT)
                        n_unprotect++;
                else {
                        writeout_protect(fileh, block + i - n_unprotect, n_unprotect, false);
                        n_unprotect = 0;
                }
        }
        writeout_protect(fileh, block + n - n_unprotect, n_unprotect, false);
        STAILQ_CONCAT(&waiters, &fileh->store_waiters);
        waiters_end(&waiters, 0, mapping_wake);
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

/* The next run of neighbours that are still dirty, at most n_max. Returns its length; 0: at the end, or it is held up. */
static uint64_t writeout_take_run(struct writeout *w, uint64_t n_max, uint64_t *ret_block) {
        uint64_t block, n = 0;

        w->is_held_up = false;
        while (n < n_max && blocksort_peek(&w->blocks, &block)) {
                bool is_dirty = writeout_is_due(w, block);

                w->is_held_up = state_is_spilling(fileh_state(w->fileh, block));
                if (w->is_held_up)
                        break;
                if (n > 0 && (!is_dirty || block != *ret_block + n))
                        break;
                blocksort_pop(&w->blocks);
                if (is_dirty && n++ == 0)
                        *ret_block = block;
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

/* No page may count as clean, or be copied, while it can be written: first it is protected, then the ledger is told. */
static void writeout_protect_run(struct fileh *fileh, uint64_t block, uint64_t n, enum page_event event) {
        writeout_protect(fileh, block, n, true);
        INJECT(WRITEOUT_PROTECTED);
        for (uint64_t i = 0; i < n; i++) {
                uint32_t id = fileh_page(fileh, block + i);

                writeout_note_gone(fileh, block + i, event);
                if (fileh_state(fileh, block + i) == PAGE_UNSPILLING)
                        load_abandon(fileh, id, event);
                else
                        (void) fileh_page_event(fileh, id, event, 0);
        }
}

/* --- storing ------------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t writeout_run_bytes(const struct writeout_run *run) {
        return run->n << run->writeout->fileh->block_shift;
}

static void writeout_run_ended(struct writeout_run *run, int error) {
        run->has_ended = true;
        run->error = error;
        job_wake(&run->writeout->fileh->pager->jobs, &run->writeout->job);
}

static void writeout_on_stored(struct store_request *request, int error);

/* Writes the next n_written blocks; of the file's last one only what lies inside the file. */
static void writeout_run_write(struct writeout_run *run) {
        struct fileh *fileh = run->writeout->fileh;
        uint64_t skip = (run->n_good + run->n_alone) << fileh->block_shift, offset = (run->block << fileh->block_shift) + skip;
        uint64_t length = run->n_written << fileh->block_shift;

        run->request = (struct store_request) {
                .buf = (char *) run->buf + skip,
                .offset = offset,
                .length = (uint32_t) (length < fileh->size - offset ? length : fileh->size - offset),
                .done = writeout_on_stored,
        };
        store_write(fileh->store, &run->request);
}

/* The error may be about any of the blocks behind the good ones. They are written one by one, up to the one that fails again: those before it are
 * stored. If none fails again, the error is told all the same, and none of them counts. */
static void writeout_on_stored_alone(struct writeout_run *run, int error) {
        if (error < 0)
                run->n_good += run->n_alone;
        else if (run->n_good + ++run->n_alone < run->n_filled) {
                writeout_run_write(run);
                return;
        }
        writeout_run_ended(run, run->error);
}

static void writeout_on_stored(struct store_request *request, int error) {
        struct writeout_run *run = (struct writeout_run *) ((char *) request - offsetof(struct writeout_run, request));

        if (run->error < 0) {
                writeout_on_stored_alone(run, error);
                return;
        }
        run->n_good = error < 0 ? request->n_done >> run->writeout->fileh->block_shift : run->n_filled;
        run->error = error;
        run->n_written = 1;
        if (error == 0)
                writeout_run_ended(run, run->fill_error);
        else if (run->n_filled == 1)
                writeout_run_ended(run, error);
        else
                writeout_run_write(run);
}

/* What is in the buffer is written, up to where something could not be had. */
static void writeout_run_filled(struct writeout_run *run, int error) {
        run->fill_error = error;
        run->n_written = run->n_filled;
        if (run->n_filled > 0)
                writeout_run_write(run);
        else
                writeout_run_ended(run, error);
}

static void writeout_run_fill(struct writeout_run *run);

static void writeout_on_unspilled(struct store_request *request, int error) {
        struct writeout_run *run = (struct writeout_run *) ((char *) request - offsetof(struct writeout_run, request));
        bool is_whole = error == 0 && request->n_done == request->length;

        run->n_filled += request->n_done >> run->writeout->fileh->block_shift;
        if (is_whole)
                writeout_run_fill(run);
        else
                writeout_run_filled(run, error < 0 ? error : -EIO);
}

static bool writeout_run_is_spilled(const struct writeout_run *run, uint64_t i) {
        return run->spilled[i / 64] >> i % 64 & 1;
}

/* A page that was dropped since the run began is read all the same: what is written in its place must be something that was there. */
static void writeout_run_unspill(struct writeout_run *run) {
        struct fileh *fileh = run->writeout->fileh;
        uint64_t skip = run->n_filled << fileh->block_shift, n = 1;

        while (run->n_filled + n < run->n && writeout_run_is_spilled(run, run->n_filled + n))
                n++;
        run->request = (struct store_request) {
                .buf = (char *) run->buf + skip,
                .offset = (run->block << fileh->block_shift) + skip,
                .length = (uint32_t) (n << fileh->block_shift),
                .done = writeout_on_unspilled,
        };
        store_read(fileh->spill.store, &run->request);
}

static void writeout_run_fill(struct writeout_run *run) {
        while (run->n_filled < run->n && !writeout_run_is_spilled(run, run->n_filled))
                run->n_filled++;
        if (run->n_filled < run->n)
                writeout_run_unspill(run);
        else
                writeout_run_filled(run, 0);
}

/* All that is in RAM is copied at once, while it is protected. */
static int writeout_run_copy(struct writeout_run *run) {
        struct fileh *fileh = run->writeout->fileh;
        uint64_t n;

        for (uint64_t first = 0; first < run->n; first += n) {
                uint64_t skip = first << fileh->block_shift;
                int r;

                n = 1;
                if (fileh_state(fileh, run->block + first) == PAGE_STORING_SPILLED) {
                        run->spilled[first / 64] |= UINT64_C(1) << first % 64;
                        continue;
                }
                while (first + n < run->n && fileh_state(fileh, run->block + first + n) != PAGE_STORING_SPILLED)
                        n++;
                r = memory_read(&fileh->memory, (run->block << fileh->block_shift) + skip, (char *) run->buf + skip, n << fileh->block_shift);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void writeout_run_store(struct writeout_run *run) {
        struct fileh *fileh = run->writeout->fileh;
        int r;

        writeout_protect_run(fileh, run->block, run->n, EVENT_STORE);
        INJECT(WRITEOUT_CALLED);
        run->buf = bufs_get(&fileh->pager->bufs, writeout_run_bytes(run));
        r = run->buf ? writeout_run_copy(run) : -ENOMEM;
        if (r < 0)
                writeout_run_ended(run, r);
        else {
                INJECT(WRITEOUT_COPIED);
                writeout_run_fill(run);
        }
}

/* Begins the next run. False: there is none, or no memory for it. */
static bool writeout_begin_run(struct writeout *w) {
        uint64_t n_max = WRITEOUT_RUN_BYTES >> w->fileh->block_shift;
        struct writeout_run *run = calloc(1, sizeof(*run));

        if (!run) {
                w->error = -ENOMEM;
                return false;
        }
        run->writeout = w;
        run->n = writeout_take_run(w, n_max > 0 ? n_max : 1, &run->block);
        if (run->n == 0) {
                free(run);
                return false;
        }
        STAILQ_INSERT_TAIL(&w->runs, run, entry);
        w->n_bytes += writeout_run_bytes(run);
        writeout_run_store(run);
        return true;
}

/* The first run has ended. */
static void writeout_finish_run(struct writeout *w, struct writeout_run *run) {
        struct fileh *fileh = w->fileh;
        uint64_t n_good = w->error < 0 ? 0 : run->n_good; /* after an error of an earlier run none counts, whatever became of it */

        INJECT(WRITEOUT_STORED);
        if (w->error == 0 && run->error < 0)
                fileh_warning(fileh, run->error, "cannot store changes: %s (they are dirty still, and who asked for it is told)", strerror(-run->error));
        if (w->error == 0)
                w->error = run->error;
        STAILQ_REMOVE_HEAD(&w->runs, entry);
        w->n_bytes -= writeout_run_bytes(run);
        bufs_put(&fileh->pager->bufs, run->buf, writeout_run_bytes(run));
        run->buf = NULL;
        fileh->n_stores += n_good;
        pager_count(fileh->pager, COUNTER_STORES, (int64_t) n_good);
        writeout_end_pages(fileh, run->block + n_good, run->n - n_good, EVENT_STORED);
        run->n = n_good;
        if (n_good > 0 && writeout_wants(w, WIRE_WRITEOUT_SYNC)) {
                STAILQ_INSERT_TAIL(&w->stored, run, entry);
                return;
        }
        writeout_end_pages(fileh, run->block, n_good, writeout_good_event(w));
        free(run);
}

static enum job_result writeout_store(struct writeout *w) {
        struct writeout_run *run;
        unsigned n = 0;

        while ((run = STAILQ_FIRST(&w->runs)) && run->has_ended && n++ < JOB_STEP_PAGES)
                writeout_finish_run(w, run);
        while (w->n_bytes < WRITEOUT_WINDOW_BYTES && writeout_goes_on(w) && writeout_begin_run(w))
                ;
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
                writeout_end_pages(fileh, run->block, run->n, w->sync_error < 0 ? EVENT_STORED : writeout_good_event(w));
                n += run->n;
                free(run);
        }
        while (!writeout_wants(w, WIRE_WRITEOUT_STORE) && n < JOB_STEP_PAGES && writeout_goes_on(w) &&
               (n_run = writeout_take_run(w, JOB_STEP_PAGES, &block)) > 0) {
                writeout_protect_run(fileh, block, n_run, EVENT_MARK);
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
