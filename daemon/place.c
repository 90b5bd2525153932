/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <stdlib.h>

#include "fileh.h"
#include "inject.h"
#include "mapping.h"
#include "pager.h"
#include "place.h"
#include "quota.h"

/* A run of blocks that go the same way: into the memory through one mapping (or through none), all read or one written. */
struct place_run {
        uint64_t block;
        uint64_t n;
        const char *buf;
        bool write;
        struct mapping *target;
        struct waiters waiters; /* of the first block; the others have none */
};

/* Whoever waited goes on. */
static void place_run_fini(struct place_run *run, struct fileh *fileh) {
        struct waiter *w;
        uint64_t ended;

        while ((w = STAILQ_FIRST(&run->waiters))) {
                STAILQ_REMOVE_HEAD(&run->waiters, entry);
                ended = pager_record(fileh->pager, REPORT_FAULT, w->since);
                if (pager_is_traced(fileh->pager, REPORT_EVENT_FAULT))
                        mapping_trace_fault(w->mapping, w->block, w->write, w->since, ended);
                free(w);
        }
}

static bool place_is_awaited(const struct waiters *waiters, uint64_t block) {
        const struct waiter *w;

        STAILQ_FOREACH(w, waiters, entry)
                if (w->mapping && w->block == block)
                        return true;
        return false;
}

/* Where a block is put that nobody waits for; NULL: into the memory alone. */
static struct mapping *place_ahead_of(const struct place_load *load, uint64_t block) {
        struct mapping *mapping = load->ahead_of;

        return mapping && !mapping->readonly && mapping_shows(mapping, block) && !stream_has_trap(&load->traps, block, 1) ? mapping : NULL;
}

/* Only a read-write mapping can be given new pages; a read-only one can be shown them. buf: NULL if the memory has it already. */
static void place_run_init(struct place_run *run, const struct place_load *load, uint64_t block, const char *buf) {
        const struct fileh *fileh = load->fileh;
        struct waiter *w;

        *run = (struct place_run) { .block = block, .n = 1, .buf = buf };
        STAILQ_INIT(&run->waiters);
        waiters_take_faults(load->waiters, block, block, &run->waiters);
        STAILQ_FOREACH(w, &run->waiters, entry) {
                run->write |= w->write;
                if (!run->target && !w->mapping->readonly)
                        run->target = w->mapping;
        }
        if (!buf || STAILQ_EMPTY(&run->waiters))
                run->target = place_ahead_of(load, block);
        if (!quota_has_left(fileh))
                run->write = false; /* it is shown for reading: who wants to write faults once more, and waits then */
}

/* Neighbours that nobody waits for come along. */
static void place_run_extend(struct place_run *run, const struct place_load *load, uint64_t n_max) {
        while (!run->write && run->n < n_max && !stream_has_trap(&load->traps, run->block, 1)) {
                uint64_t block = run->block + run->n;

                if (stream_has_trap(&load->traps, block, 1) || !fileh_is_loaded_by(load->fileh, block, load->id) || place_is_awaited(load->waiters, block) ||
                    (run->target && !mapping_shows(run->target, block)))
                        break;
                run->n++;
        }
}

static void place_run_event(const struct place_run *run, struct fileh *fileh, enum page_event event, int error) {
        for (uint64_t block = run->block; block < run->block + run->n; block++)
                (void) fileh_page_event(fileh, fileh_page(fileh, block), event, error);
}

/* A block of many pages is filled page by page. Were it writable at once, a daemon that ends half way would leave a dirty block that has not all
 * its content. A huge page is filled at once, but who adopts the memory cannot see whether it is there: it, too, is not called dirty before. */
static bool place_needs_two_steps(const struct place_run *run, const struct fileh *fileh) {
        return run->write && (fileh->memory.huge || fileh->block_size > memory_page_size(&fileh->memory));
}

/* If the mapping does not take the content (the client has changed its address space, or something lies in the memory already), the memory does. */
static int place_run_fill(struct place_run *run, struct fileh *fileh, enum uffd_copy how) {
        if (run->target && mapping_fill(run->target, run->block, run->n, run->buf, how) == 0)
                return 0;
        run->target = NULL;
        return memory_write(&fileh->memory, run->block << fileh->block_shift, run->buf, run->n << fileh->block_shift);
}

static void place_run_show(const struct place_run *run) {
        struct waiter *w;

        STAILQ_FOREACH(w, &run->waiters, entry)
                if (w->mapping != run->target && mapping_show(w->mapping, run->block, 1, run->write) < 0)
                        mapping_wake(w->mapping, run->block);
}

static void place_run_fail(const struct place_run *run, struct fileh *fileh, int error) {
        struct waiter *w;

        fileh->has_failed |= fileh_state(fileh, run->block) == PAGE_UNSPILLING;
        place_run_event(run, fileh, STAILQ_EMPTY(&run->waiters) ? EVENT_LOAD_ENDED : fileh_failure(fileh), error);
        INJECT(PLACE_FAILED);
        STAILQ_FOREACH(w, &run->waiters, entry)
                mapping_poison(w->mapping, run->block);
}

static int place_run_fill_or_fail(struct place_run *run, struct fileh *fileh, enum uffd_copy how) {
        int r = place_run_fill(run, fileh, how);

        if (r < 0) {
                (void) memory_punch(&fileh->memory, run->block << fileh->block_shift, run->n << fileh->block_shift); /* what came half way */
                place_run_fail(run, fileh, r);
        }
        return r;
}

/* What comes back from the spill file is called dirty only when all of it is there: until then a daemon that takes it up finds it in the spill file. Only
 * after that who waits goes on, and may write. */
static int place_run_unspilled(struct place_run *run, struct fileh *fileh) {
        int r;

        r = place_run_fill_or_fail(run, fileh, UFFD_COPY_QUIETLY);
        if (r < 0)
                return r;
        place_run_event(run, fileh, EVENT_LOADED, 0);
        run->write = true;
        if (run->target && mapping_protect(run->target, run->block, run->n, false) < 0)
                mapping_wake(run->target, run->block); /* its threads fault once more */
        place_run_show(run);
        pager_count(fileh->pager, COUNTER_UNSPILLS, (int64_t) run->n);
        return 0;
}

/* The states come first: once a page can be written, the ledger must call it dirty. */
static int place_run_loaded(struct place_run *run, struct fileh *fileh) {
        bool write = run->write;
        int r;

        run->write = write && !place_needs_two_steps(run, fileh);
        place_run_event(run, fileh, run->write ? EVENT_LOADED_WRITE : EVENT_LOADED, 0);
        INJECT(PLACE_CALLED);
        if (run->write)
                INJECT(PLACE_CALLED_DIRTY);
        r = place_run_fill_or_fail(run, fileh, run->write ? UFFD_COPY_WRITABLE : UFFD_COPY_PROTECTED);
        if (r < 0)
                return r;
        INJECT(PLACE_FILLED);
        if (run->write)
                INJECT(PLACE_WRITABLE);
        if (write && !run->write) {
                place_run_event(run, fileh, EVENT_WRITE, 0);
                INJECT(PLACE_DIRTY);
                run->write = true;
                if (run->target)
                        (void) mapping_protect(run->target, run->block, run->n, false); /* else its threads fault once more */
        }
        place_run_show(run);
        INJECT(PLACE_SHOWN);
        fileh->n_loads += run->n;
        pager_count(fileh->pager, COUNTER_LOADS, (int64_t) run->n);
        return 0;
}

static int place_run_content(struct place_run *run, struct fileh *fileh) {
        if (fileh_state(fileh, run->block) == PAGE_UNSPILLING)
                return place_run_unspilled(run, fileh);
        return place_run_loaded(run, fileh);
}

/*
 * Who waited there was woken when it was copied, but perhaps before it slept: a thread tells of its fault, then looks whether the page is there, then sleeps. Should the
 * page be dropped between these, it would sleep for ever. So whoever's fault is known is woken once more.
 */
static int place_run_filled(struct place_run *run, struct fileh *fileh) {
        place_run_event(run, fileh, EVENT_LOADED, 0);
        if (run->write)
                place_run_event(run, fileh, EVENT_WRITE, 0);
        if (run->target && !STAILQ_EMPTY(&run->waiters) && (!run->write || mapping_protect(run->target, run->block, run->n, false) < 0))
                mapping_wake(run->target, run->block);
        place_run_show(run);
        fileh->n_loads += run->n;
        pager_count(fileh->pager, COUNTER_LOADS, (int64_t) run->n);
        return 0;
}

static int place_runs(const struct place_load *load, uint64_t block, uint64_t n, const char *buf, int (*place)(struct place_run *run, struct fileh *fileh)) {
        struct fileh *fileh = load->fileh;
        struct place_run run;
        int r, error = 0;

        for (uint64_t i = 0; i < n; i += run.n) {
                run.n = 1;
                if (!fileh_is_loaded_by(fileh, block + i, load->id))
                        continue;
                place_run_init(&run, load, block + i, buf ? buf + (i << fileh->block_shift) : NULL);
                place_run_extend(&run, load, n - i);
                r = place(&run, fileh);
                if (r < 0)
                        error = r;
                place_run_fini(&run, fileh);
        }
        return error;
}

int place_content(const struct place_load *load, uint64_t block, uint64_t n, const void *buf) {
        return place_runs(load, block, n, buf, place_run_content);
}

void place_filled(const struct place_load *load, uint64_t block, uint64_t n) {
        (void) place_runs(load, block, n, NULL, place_run_filled); /* which does not fail */
}

/* --- at once ------------------------------------------------------------------------------------------------------------------------------------ */

/* The first n of the pages are not there any more; their room is the caller's, as it was. */
static void place_unmake_pages(const struct place_run *run, struct fileh *fileh, uint64_t n) {
        for (uint64_t i = 0; i < n; i++) {
                uint32_t id = fileh_page(fileh, run->block + i);

                (void) fileh_take_room(fileh, id);
                (void) fileh_page_event(fileh, id, EVENT_LOAD_ENDED, 0);
        }
}

static int place_make_pages(const struct place_run *run, struct fileh *fileh) {
        enum page_state state = run->write && !place_needs_two_steps(run, fileh) ? PAGE_DIRTY : PAGE_LOADED;

        for (uint64_t i = 0; i < run->n; i++) {
                int r = fileh_add_resident(fileh, run->block + i, state);

                if (r < 0) {
                        place_unmake_pages(run, fileh, i);
                        return r;
                }
        }
        return 0;
}

/* A page that is called dirty only now that it is there becomes writable, and with that its threads go on. */
static void place_run_dirty_now(const struct place_run *run, struct mapping *mapping) {
        (void) fileh_page_event(mapping->fileh, fileh_page(mapping->fileh, run->block), EVENT_WRITE, 0);
        INJECT(PLACE_DIRTY);
        if (run->target && mapping_protect(mapping, run->block, 1, false) < 0)
                mapping_wake(mapping, run->block);
}

/* Who cannot be shown them asks again. */
static void place_run_show_now(const struct place_run *run, struct mapping *mapping) {
        if (run->target || mapping_show(mapping, run->block, run->n, run->write) == 0)
                return;
        for (uint64_t i = 0; i < run->n; i++)
                mapping_wake(mapping, run->block + i);
}

int place_now(struct mapping *mapping, uint64_t block, uint64_t n, const void *buf, bool write) {
        struct place_run run = { .block = block, .n = n, .buf = buf, .write = write, .target = mapping->readonly ? NULL : mapping };
        struct fileh *fileh = mapping->fileh;
        bool has_two_steps = place_needs_two_steps(&run, fileh);
        int r;

        r = place_make_pages(&run, fileh);
        if (r < 0)
                return r;
        INJECT(PLACE_CALLED);
        if (write && !has_two_steps)
                INJECT(PLACE_CALLED_DIRTY);
        r = place_run_fill(&run, fileh, has_two_steps ? UFFD_COPY_QUIETLY : write ? UFFD_COPY_WRITABLE : UFFD_COPY_PROTECTED);
        if (r < 0) {
                (void) memory_punch(&fileh->memory, block << fileh->block_shift, n << fileh->block_shift); /* what came half way */
                place_unmake_pages(&run, fileh, n);
                return r;
        }
        INJECT(PLACE_FILLED);
        if (has_two_steps)
                place_run_dirty_now(&run, mapping);
        if (write)
                INJECT(PLACE_WRITABLE);
        place_run_show_now(&run, mapping);
        INJECT(PLACE_SHOWN);
        fileh->n_loads += n;
        pager_count(fileh->pager, COUNTER_LOADS, (int64_t) n);
        return 0;
}

void place_failure(const struct place_load *load, uint64_t block, uint64_t n, int error) {
        for (uint64_t i = 0; i < n; i++) {
                struct place_run run;

                if (!fileh_is_loaded_by(load->fileh, block + i, load->id))
                        continue;
                place_run_init(&run, load, block + i, NULL);
                place_run_fail(&run, load->fileh, error);
                place_run_fini(&run, load->fileh);
        }
}
