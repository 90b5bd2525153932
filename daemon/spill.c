/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A page is write-protected, copied, and only then written to its place in the spill file; a thread that writes it meanwhile gets it at once, and keeps it in RAM
 * (SPILLING_DIRTIED). When the write has ended well, the ledger says SPILLED, and the content leaves the memory. So at any moment one of the two has all of it.
 *
 * Two writes of one place are never under way: a page that is being spilled leaves that state only when its write has ended, and places that are being given back
 * (sweep.c) are left alone.
 *
 * A disk that fails costs nothing but time: its pages are dirty in RAM as before, and who needs room waits for it.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "fileh.h"
#include "fileh_name.h"
#include "handle.h"
#include "inject.h"
#include "load.h"
#include "log.h"
#include "pager.h"
#include "size.h"
#include "spill.h"
#include "standing.h"

/* A run is not longer than this, or one block; so many bytes are on their way at a time, or an eighth of the pool, or one block. */
#define SPILL_RUN_BYTES (UINT64_C(1) << 20)
#define SPILL_WINDOW_BYTES (UINT64_C(8) << 20)
#define SPILL_WINDOW_SHARE 8

/* Pages that are looked at in one step. */
#define SPILL_BATCH_PAGES 256u

/* After a failure; each one in a row doubles it. */
#define SPILL_PAUSE_USEC UINT64_C(1000000)
#define SPILL_PAUSE_MAX_USEC UINT64_C(10000000)

struct spill_run {
        struct fileh *fileh;
        uint64_t block;
        uint64_t n;
        void *buf;
        struct store_request request;
};

/* So long it rests where all that could be spilled may be written by users who are absent (fileh_may_protect()). */
#define SPILL_ABSENT_USEC UINT64_C(25000)

struct spill_batch {
        struct fileh_block pages[SPILL_BATCH_PAGES];
        unsigned n;
        bool has_held; /* pages were passed over as users are absent */
};

static uint64_t spill_run_bytes(const struct spill_run *run) {
        return run->n << run->fileh->block_shift;
}

/* --- pausing ------------------------------------------------------------------------------------------------------------------------------------ */

static void spill_on_timer(struct ring_op *op, int result) {
        struct spill *spill = (struct spill *) ((char *) op - offsetof(struct spill, timer));

        (void) result;
        spill->timer_is_set = false; /* and the pager looks anew */
}

static void spill_pause(struct pager *pager, uint64_t usec) {
        struct spill *spill = &pager->spill;

        spill->paused_till = ring_now() + usec;
        if (spill->timer_is_set)
                return;
        spill->timer_is_set = true;
        spill->timer.done = spill_on_timer;
        ring_timer(pager->ring, &spill->timer, spill->paused_till);
}

static bool spill_is_paused(struct pager *pager) {
        if (pager->spill.paused_till == 0)
                return false;
        if (pager->spill.timer_is_set && ring_now() < pager->spill.paused_till)
                return true;
        pager->spill.paused_till = 0;
        return false;
}

void spill_resume(struct pager *pager) {
        pager->spill.paused_till = 0;
}

void spill_stop(struct pager *pager) {
        if (pager->spill.timer_is_set)
                ring_cancel(pager->ring, &pager->spill.timer);
}

/* Of places that are in use no more, there may be enough to go on. */
static void spill_queue_sweeps(struct pager *pager) {
        for (uint32_t id = idtable_next(&pager->filehs, 0); id; id = idtable_next(&pager->filehs, id)) {
                struct fileh *fileh = idtable_get(&pager->filehs, id);

                if (fileh_has_stale_places(fileh))
                        fileh_queue_sweep(fileh);
        }
}

/* Several runs may fail together. */
static void spill_failed(struct pager *pager, int error) {
        struct spill *spill = &pager->spill;

        if (!spill->is_failing)
                log_warning("cannot spill changes: %s (they stay in the pool, and who needs room waits; trying again)", strerror(-error));
        if (!spill->is_failing)
                spill->pause_usec = SPILL_PAUSE_USEC;
        else if (!spill_is_paused(pager) && spill->pause_usec < SPILL_PAUSE_MAX_USEC)
                spill->pause_usec = 2 * spill->pause_usec < SPILL_PAUSE_MAX_USEC ? 2 * spill->pause_usec : SPILL_PAUSE_MAX_USEC;
        spill->is_failing = true;
        if (spill_is_paused(pager))
                return;
        spill_pause(pager, spill->pause_usec);
        if (error == -ENOSPC || error == -EDQUOT)
                spill_queue_sweeps(pager);
}

/* The place of a page may lie where no file of that file system goes: that is about this fileh alone. */
static void spill_is_unfit(struct fileh *fileh) {
        if (!fileh->is_unfit)
                fileh_warning(fileh, -EFBIG, "cannot spill changes of a file of %llu bytes: no file for that can be so large (when they fill the pool, who needs room waits)",
                              (unsigned long long) fileh->size);
        fileh->is_unfit = true;
}

static void spill_went_well(struct pager *pager) {
        if (pager->spill.is_failing)
                log_info("changes can be spilled again");
        pager->spill.is_failing = false;
}

static void spill_is_full(struct pager *pager) {
        char size[SIZE_TEXT_MAX];

        if (!pager->spill.is_full)
                log_warning("cannot spill more changes: the limit of %s is reached (who needs room in the pool waits; see --spill-size)",
                            size_format(pager->options.spill_bytes, size));
        pager->spill.is_full = true;
        spill_queue_sweeps(pager);
        spill_pause(pager, SPILL_PAUSE_USEC);
}

/* --- a run -------------------------------------------------------------------------------------------------------------------------------------- */

/* Of the pages of a run, the first n_good are in the spill file. */
static void spill_end_pages(struct spill_run *run, uint64_t n_good) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);
        struct fileh *fileh = run->fileh;
        uint64_t n_spilled = 0;
        struct drop drop;

        drop_init(&drop, fileh->pager);
        for (uint64_t i = 0; i < run->n; i++) {
                uint32_t id = fileh_page(fileh, run->block + i);
                enum page_event event = i < n_good ? EVENT_SPILLED : EVENT_SPILL_FAILED;

                if (event == EVENT_SPILLED && fileh_state(fileh, run->block + i) == PAGE_SPILLING) {
                        drop_add(&drop, fileh, id, event, 0);
                        INJECT(SPILL_SPILLED);
                        n_spilled++;
                } else if (fileh_page_event(fileh, id, event, 0) == ACTION_UNPROTECT)
                        (void) handles_protect(fileh, run->block + i, 1, false);
        }
        drop_flush(&drop);
        pager_count(fileh->pager, COUNTER_SPILLS, (int64_t) n_spilled);
        STAILQ_CONCAT(&waiters, &fileh->store_waiters);
        waiters_end(&waiters, 0, mapping_wake_waiter);
}

/* What is on its way to the disk. */
static void spill_count(struct pager *pager, int64_t bytes) {
        pager->spill.n_bytes += (uint64_t) bytes;
        atomic_fetch_add_explicit(&pager->commons->n_spilling, (uint_fast64_t) bytes, memory_order_relaxed);
}

static uint64_t spill_n_spilling(const struct pager *pager) {
        return atomic_load_explicit(&pager->commons->n_spilling, memory_order_relaxed);
}

static void spill_run_free(struct spill_run *run) {
        bufs_put(&run->fileh->pager->bufs, run->buf, spill_run_bytes(run));
        fileh_unref(run->fileh);
        free(run);
}

static void spill_on_written(struct store_request *request, int error) {
        struct spill_run *run = (struct spill_run *) ((char *) request - offsetof(struct spill_run, request));
        struct fileh *fileh = run->fileh;
        struct pager *pager = fileh->pager;

        INJECT(SPILL_WRITTEN);
        spill_count(pager, -(int64_t) spill_run_bytes(run));
        fileh_look_at_spill_file(fileh);
        if (error == -EFBIG)
                spill_is_unfit(fileh);
        else if (error < 0)
                spill_failed(pager, error);
        else
                spill_went_well(pager);
        spill_end_pages(run, error < 0 ? request->n_done >> fileh->block_shift : run->n);
        spill_run_free(run);
}

/* What a program wrote behind the end of the file is not kept: should the file grow, zeros are there. */
static int spill_run_copy(struct spill_run *run) {
        struct fileh *fileh = run->fileh;
        uint64_t begin = run->block << fileh->block_shift, end = begin + spill_run_bytes(run);
        int r;

        r = memory_read(&fileh->memory, begin, run->buf, spill_run_bytes(run));
        if (r == 0 && end > fileh->size)
                memset((char *) run->buf + (fileh->size - begin), 0, end - fileh->size);
        return r;
}

static struct spill_run *spill_run_new(struct fileh *fileh, uint64_t block, uint64_t n) {
        struct spill_run *run = calloc(1, sizeof(*run));

        if (!run)
                return NULL;
        *run = (struct spill_run) { .fileh = fileh, .block = block, .n = n };
        run->buf = bufs_get(&fileh->pager->bufs, spill_run_bytes(run));
        if (!run->buf || spill_file_mark(&fileh->spill, block << fileh->block_shift, (block + n) << fileh->block_shift) < 0) {
                bufs_put(&fileh->pager->bufs, run->buf, spill_run_bytes(run));
                free(run);
                return NULL;
        }
        fileh_ref(fileh);
        return run;
}

/* n neighbours, all DIRTY. Without memory, or where a mapping cannot be protected, they stay what they are. */
static void spill_run_begin(struct fileh *fileh, uint64_t block, uint64_t n) {
        struct spill_run *run = spill_run_new(fileh, block, n);

        if (!run) {
                spill_failed(fileh->pager, -ENOMEM);
                return;
        }
        if (handles_protect(fileh, block, n, true) < 0) {
                for (uint64_t i = 0; i < n; i++)
                        fileh_unpark(fileh, fileh_page(fileh, block + i));
                spill_run_free(run);
                return;
        }
        INJECT(SPILL_PROTECTED);
        for (uint64_t i = 0; i < n; i++)
                (void) fileh_page_event(fileh, fileh_page(fileh, block + i), EVENT_SPILL, 0);
        INJECT(SPILL_CALLED);
        if (spill_run_copy(run) < 0) {
                spill_failed(fileh->pager, -EIO);
                spill_end_pages(run, 0);
                spill_run_free(run);
                return;
        }
        INJECT(SPILL_COPIED);
        spill_count(fileh->pager, (int64_t) spill_run_bytes(run));
        run->request = (struct store_request) {
                .buf = run->buf,
                .offset = block << fileh->block_shift,
                .length = (uint32_t) spill_run_bytes(run),
                .done = spill_on_written,
        };
        store_write(fileh->spill.store, &run->request);
}

/* --- a batch ------------------------------------------------------------------------------------------------------------------------------------ */

static bool spill_is_being_punched(const struct fileh *fileh, uint64_t block) {
        return block - fileh->punch_first < fileh->punch_n;
}

/* Takes up to so many bytes of the oldest pages. Those that cannot go now are passed over. */
static void spill_collect(struct pager *pager, struct spill_batch *batch, uint64_t n_bytes) {
        uint32_t id = pager->order.lists[ORDER_PARKED].first, next;
        struct fileh *asked = NULL;
        bool may_protect = true;
        uint64_t n = 0;

        batch->n = 0;
        batch->has_held = false;
        for (unsigned n_looks = 0; id && n_looks < SPILL_BATCH_PAGES; n_looks++, id = next) {
                struct page *page = pages_get(&pager->pages, id);
                struct fileh *fileh = idtable_get(&pager->filehs, page->fileh);

                next = page->order.next;
                if (!fileh_can_spill(fileh))
                        fileh_unpark(fileh, id);
                if (fileh != asked)
                        may_protect = fileh_may_protect(fileh);
                asked = fileh;
                batch->has_held |= !may_protect;
                if (page->list != ORDER_PARKED || page->is_guess || !may_protect || spill_is_being_punched(fileh, page->block))
                        continue;
                n += fileh->block_size;
                if (n > n_bytes && batch->n > 0)
                        break;
                batch->pages[batch->n].fileh = fileh;
                batch->pages[batch->n++].block = page->block;
        }
}

/* A client may have taken content away: zeros are not what was written. */
static void spill_forget_vanished(struct pager *pager, struct spill_batch *batch) {
        struct memory_data known = { 0 };
        struct fileh *last = NULL;
        unsigned n = 0;
        struct drop drop;

        drop_init(&drop, pager);
        for (unsigned i = 0; i < batch->n; i++) {
                struct fileh *fileh = batch->pages[i].fileh;
                uint64_t begin = batch->pages[i].block << fileh->block_shift;

                if (fileh != last)
                        known = (struct memory_data) { 0 };
                last = fileh;
                if (memory_has_data(&fileh->memory, begin, begin + fileh->block_size, &known))
                        batch->pages[n++] = batch->pages[i];
                else
                        drop_add(&drop, fileh, fileh_page(fileh, batch->pages[i].block), EVENT_VANISHED, 0);
        }
        batch->n = n;
        drop_flush(&drop);
}

/* Runs of neighbours. */
static void spill_begin_runs(const struct spill_batch *batch) {
        unsigned first = 0;

        for (unsigned i = 1; i <= batch->n; i++) {
                struct fileh *fileh = batch->pages[first].fileh;

                if (i == batch->n || batch->pages[i].fileh != fileh || batch->pages[i].block != batch->pages[first].block + (i - first) ||
                    (uint64_t) (i + 1 - first) << fileh->block_shift > SPILL_RUN_BYTES) {
                        spill_run_begin(fileh, batch->pages[first].block, i - first);
                        first = i;
                }
        }
}

/* --- when ---------------------------------------------------------------------------------------------------------------------------------------- */

/* Bytes that are to leave RAM beside those that are on their way already: only where clean pages do not do, when what is free falls below the low mark, as much as
 * is missing to the high one, so that many go at a time; and what loads wait for. */
static uint64_t spill_wanted(const struct pager *pager) {
        const struct pool *pool = pager->pool;
        uint64_t wanted = commons_missing(pager->commons), n_spilling = spill_n_spilling(pager);

        if (atomic_load_explicit(&pager->commons->is_reclaiming, memory_order_relaxed))
                return 0;
        if (pool_free(pool) + n_spilling < pool_free_low(pool) && wanted < pool_missing(pool))
                wanted = pool_missing(pool);
        return wanted > n_spilling ? wanted - n_spilling : 0;
}

static uint64_t spill_window(const struct pager *pager) {
        uint64_t share = pager->pool->bytes / SPILL_WINDOW_SHARE, window = share < SPILL_WINDOW_BYTES ? share : SPILL_WINDOW_BYTES;

        return window > pager->spill.n_bytes ? window - pager->spill.n_bytes : 0;
}

/* What the files may still take, if all of it is new to them. */
static uint64_t spill_room(const struct pager *pager) {
        uint64_t used = commons_counter(pager->commons, COUNTER_SPILL_FILE_BYTES) + spill_n_spilling(pager);

        return used < pager->options.spill_bytes ? pager->options.spill_bytes - used : 0;
}

static uint64_t spill_min(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Others are not to wait for pages that cannot go just now. */
static bool spill_is_possible(struct pager *pager) {
        pager->spill.is_held = !pager->options.spill_dir || spill_window(pager) == 0 || spill_is_paused(pager);
        return !pager->spill.is_held && pager->order.lists[ORDER_PARKED].n > 0;
}

bool spill_continue(struct pager *pager) {
        uint64_t n_bytes, room = spill_room(pager);
        struct spill_batch batch;

        if (!spill_is_possible(pager))
                return false;
        n_bytes = spill_min(spill_wanted(pager), spill_window(pager));
        if (n_bytes == 0 || standing_is_others_to_spill(pager))
                return false;
        spill_collect(pager, &batch, spill_min(n_bytes, room));
        if (batch.n == 0) {
                if (batch.has_held)
                        spill_pause(pager, SPILL_ABSENT_USEC);
                return false;
        }
        if (room < batch.pages[0].fileh->block_size) {
                spill_is_full(pager);
                return false;
        }
        if (room > pager->options.spill_bytes / SPILL_WINDOW_SHARE)
                pager->spill.is_full = false;
        qsort(batch.pages, batch.n, sizeof(batch.pages[0]), fileh_block_compare);
        spill_forget_vanished(pager, &batch);
        spill_begin_runs(&batch);
        return true;
}
