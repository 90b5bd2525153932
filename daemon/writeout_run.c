/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "fileh.h"
#include "handle.h"
#include "inject.h"
#include "load.h"
#include "writeout_run.h"

/* --- pages -------------------------------------------------------------------------------------------------------------------------------------- */

/* Runs that are no further apart are protected together. What lies between them is protected already, or will be un-protected with the next write. */
#define WRITEOUT_GAP_BYTES UINT64_C(65536)

void writeout_pages_protect(struct fileh *fileh, uint64_t block, uint64_t n) {
        (void) handles_protect(fileh, block, n, true);
        INJECT(WRITEOUT_PROTECTED);
}

void writeout_runs_protect(const struct writeout_runs *runs) {
        const struct writeout_run *first = STAILQ_FIRST(runs), *run, *next;

        STAILQ_FOREACH(run, runs, entry) {
                next = STAILQ_NEXT(run, entry);
                if (next && (next->block - writeout_run_end(run)) << run->fileh->block_shift <= WRITEOUT_GAP_BYTES)
                        continue;
                writeout_pages_protect(run->fileh, first->block, writeout_run_end(run) - first->block);
                first = next;
        }
}

static void writeout_unprotect(struct fileh *fileh, uint64_t block, uint64_t n) {
        if (n > 0)
                (void) handles_protect(fileh, block, n, false);
}

/* A page that counts as stored while it is not in RAM is not here any more if a flush fails. */
static void writeout_note_gone(struct fileh *fileh, enum page_state state, enum page_event event) {
        if (event == EVENT_MARK && state_is_spilled(state))
                fileh->n_unsynced_gone++;
}

void writeout_pages_end(struct fileh *fileh, uint64_t block, uint64_t n, enum page_event event) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);
        const struct pages *pages = &fileh->pager->pages;
        uint64_t n_unprotect = 0;

        for (uint64_t i = 0; i < n; i++) {
                uint32_t id = fileh_page(fileh, block + i);
                enum page_state state = id ? pages_get(pages, id)->state : PAGE_EMPTY;

                if (i > 0)
                        INJECT(WRITEOUT_MARKING);
                writeout_note_gone(fileh, state, event);
                if (state_is_storing(state) && fileh_page_event(fileh, id, event, 0) == ACTION_UNPROTECT)
                        n_unprotect++;
                else {
                        writeout_unprotect(fileh, block + i - n_unprotect, n_unprotect);
                        n_unprotect = 0;
                }
        }
        writeout_unprotect(fileh, block + n - n_unprotect, n_unprotect);
        STAILQ_CONCAT(&waiters, &fileh->store_waiters);
        waiters_end(&waiters, 0, mapping_wake_waiter);
}

enum page_state writeout_page_leave(struct fileh *fileh, uint64_t block, enum page_event event) {
        uint32_t id = fileh_page(fileh, block);
        enum page_state state = pages_get(&fileh->pager->pages, id)->state;

        writeout_note_gone(fileh, state, event);
        if (state == PAGE_UNSPILLING)
                load_abandon(fileh, id, event);
        else
                (void) fileh_page_event(fileh, id, event, 0);
        return state;
}

/* --- storing ------------------------------------------------------------------------------------------------------------------------------------ */

struct writeout_run *writeout_run_new(struct fileh *fileh, struct job *job, uint64_t n_max) {
        uint64_t n_words = (n_max + 63) / 64;
        struct writeout_run *run = calloc(1, sizeof(*run) + 2 * n_words * sizeof(run->bits[0]));

        if (!run)
                return NULL;
        run->fileh = fileh;
        run->job = job;
        run->n_words = n_words;
        return run;
}

void writeout_run_add(struct writeout_run *run, uint64_t i) {
        run->bits[run->n_words + i / 64] |= UINT64_C(1) << i % 64;
        run->has_gaps |= i > run->n;
        run->n = i + 1;
}

static bool writeout_run_is_spilled(const struct writeout_run *run, uint64_t i) {
        return run->bits[i / 64] >> i % 64 & 1;
}

static bool writeout_run_has(const struct writeout_run *run, uint64_t i) {
        return run->bits[run->n_words + i / 64] >> i % 64 & 1;
}

uint64_t writeout_run_count(const struct writeout_run *run, uint64_t n) {
        uint64_t count = 0;

        for (uint64_t i = 0; i < n; i++)
                count += writeout_run_has(run, i);
        return count;
}

uint64_t writeout_run_bytes(const struct writeout_run *run) {
        return run->n << run->fileh->block_shift;
}

static void writeout_run_ended(struct writeout_run *run, int error) {
        (void) pager_record(run->fileh->pager, REPORT_STORE, run->began);
        if (error < 0)
                pager_count(run->fileh->pager, COUNTER_STORE_ERRORS, 1);
        run->has_ended = true;
        run->error = error;
        job_wake(&run->fileh->pager->jobs, run->job);
}

static void writeout_run_on_stored(struct store_request *request, int error);

/* Writes the next n_written blocks; of the file's last one only what lies inside the file. */
static void writeout_run_write(struct writeout_run *run) {
        struct fileh *fileh = run->fileh;
        uint64_t skip = (run->n_good + run->n_alone) << fileh->block_shift, offset = (run->block << fileh->block_shift) + skip;
        uint64_t length = run->n_written << fileh->block_shift;

        run->request = (struct store_request) {
                .buf = (char *) run->buf + skip,
                .loan = run->loan.buf ? &run->loan : NULL,
                .offset = offset,
                .length = (uint32_t) (length < fileh->size - offset ? length : fileh->size - offset),
                .mask = run->has_gaps ? run->bits + run->n_words : NULL,
                .page_size = (uint32_t) fileh->block_size,
                .done = writeout_run_on_stored,
        };
        store_write(fileh->store, &run->request);
}

/* The error may be about any of the blocks behind the good ones. They are written one by one, up to the one that fails again: those before it are
 * stored. If none fails again, the error is told all the same, and none of them counts. */
static void writeout_run_on_stored_alone(struct writeout_run *run, int error) {
        if (error < 0)
                run->n_good += run->n_alone;
        else if (run->n_good + ++run->n_alone < run->n_filled) {
                writeout_run_write(run);
                return;
        }
        writeout_run_ended(run, run->error);
}

static void writeout_run_on_stored(struct store_request *request, int error) {
        struct writeout_run *run = (struct writeout_run *) ((char *) request - offsetof(struct writeout_run, request));

        if (run->error < 0) {
                writeout_run_on_stored_alone(run, error);
                return;
        }
        run->n_good = error < 0 ? request->n_done >> run->fileh->block_shift : run->n_filled;
        run->error = error;
        run->n_written = 1;
        if (error == 0)
                writeout_run_ended(run, run->fill_error);
        else if (run->n_filled == 1 || store_is_exact(run->fileh->store))
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

static void writeout_run_on_unspilled(struct store_request *request, int error) {
        struct writeout_run *run = (struct writeout_run *) ((char *) request - offsetof(struct writeout_run, request));
        bool is_whole = error == 0 && request->n_done == request->length;

        run->n_filled += request->n_done >> run->fileh->block_shift;
        if (is_whole)
                writeout_run_fill(run);
        else
                writeout_run_filled(run, error < 0 ? error : -EIO);
}

/* A page that was dropped since the run began is read all the same: what is written in its place must be something that was there. */
static void writeout_run_unspill(struct writeout_run *run) {
        struct fileh *fileh = run->fileh;
        uint64_t skip = run->n_filled << fileh->block_shift, n = 1;

        while (run->n_filled + n < run->n && writeout_run_is_spilled(run, run->n_filled + n))
                n++;
        run->request = (struct store_request) {
                .buf = (char *) run->buf + skip,
                .offset = (run->block << fileh->block_shift) + skip,
                .length = (uint32_t) (n << fileh->block_shift),
                .done = writeout_run_on_unspilled,
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

/* What is in RAM is copied at once, while it is protected. */
static int writeout_run_copy(struct writeout_run *run) {
        struct fileh *fileh = run->fileh;
        uint64_t n;

        for (uint64_t first = 0; first < run->n; first += n) {
                uint64_t skip = first << fileh->block_shift;
                int r;

                n = 1;
                if (!writeout_run_has(run, first) || writeout_run_is_spilled(run, first))
                        continue;
                while (first + n < run->n && writeout_run_has(run, first + n) && !writeout_run_is_spilled(run, first + n))
                        n++;
                r = memory_read(&fileh->memory, (run->block << fileh->block_shift) + skip, (char *) run->buf + skip, n << fileh->block_shift);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void writeout_run_get_buf(struct writeout_run *run) {
        struct fileh *fileh = run->fileh;

        if (store_lend(fileh->store, run->block << fileh->block_shift, (uint32_t) writeout_run_bytes(run), &run->loan))
                run->buf = run->loan.buf;
        else
                run->buf = bufs_get(&fileh->pager->bufs, writeout_run_bytes(run));
}

void writeout_run_free_buf(struct writeout_run *run) {
        if (run->loan.buf)
                store_take_back(run->fileh->store, &run->loan);
        else
                bufs_put(&run->fileh->pager->bufs, run->buf, writeout_run_bytes(run));
        run->buf = NULL;
}

void writeout_run_store(struct writeout_run *run) {
        struct fileh *fileh = run->fileh;
        int r;

        run->began = latency_now();
        for (uint64_t i = 0; i < run->n; i++) {
                if (writeout_run_has(run, i) && state_is_spilled(writeout_page_leave(fileh, run->block + i, EVENT_STORE)))
                        run->bits[i / 64] |= UINT64_C(1) << i % 64;
        }
        INJECT(WRITEOUT_CALLED);
        writeout_run_get_buf(run);
        r = run->buf ? writeout_run_copy(run) : -ENOMEM;
        if (r < 0)
                writeout_run_ended(run, r);
        else {
                INJECT(WRITEOUT_COPIED);
                writeout_run_fill(run);
        }
}
