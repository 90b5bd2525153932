/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileh.h"
#include "fileh_name.h"
#include "fill.h"
#include "inject.h"
#include "load.h"
#include "mapping.h"
#include "pager.h"
#include "place.h"

static void load_read(struct load *load);
static void load_fail_for_room(struct load *load);

static uint64_t load_bytes(const struct load *load) {
        return load->n_blocks << load->fileh->block_shift;
}

/* --- making and ending -------------------------------------------------------------------------------------------------------------------------- */

/* Those of the pages that are still its own are EMPTY again, or SPILLED. */
static void load_end_pages(struct load *load, uint64_t first, uint64_t n) {
        for (uint64_t block = first; block < first + n; block++) {
                if (fileh_is_loaded_by(load->fileh, block, load->id))
                        (void) fileh_page_event(load->fileh, fileh_page(load->fileh, block), EVENT_LOAD_ENDED, 0);
        }
}

static int load_begin_page(struct load *load, uint64_t block) {
        if (!load->is_unspill)
                return fileh_add_page(load->fileh, block, load->id);
        fileh_unspill_page(load->fileh, fileh_page(load->fileh, block), load->id);
        return 0;
}

int load_new(struct fileh *fileh, uint64_t block, uint64_t n, struct load **ret) {
        struct pager *pager = fileh->pager;
        struct load *load = calloc(1, sizeof(*load));

        if (!load)
                return -ENOMEM;
        *load = (struct load) { .fileh = fileh, .block = block, .n_blocks = n, .is_unspill = fileh_page(fileh, block) };
        STAILQ_INIT(&load->waiters);
        load->id = idtable_add(&pager->loads, load);
        if (!load->id) {
                free(load);
                return -ENOMEM;
        }
        for (uint64_t i = 0; i < n; i++)
                if (load_begin_page(load, block + i) < 0) {
                        load_end_pages(load, block, i);
                        idtable_remove(&pager->loads, load->id);
                        free(load);
                        return -ENOMEM;
                }
        INJECT(LOAD_BEGUN);
        fileh_ref(fileh);
        TAILQ_INSERT_TAIL(&fileh->loads, load, fileh_entry);
        *ret = load;
        return 0;
}

static void load_get_buf(struct load *load) {
        struct fileh *fileh = load->fileh;

        if (!load->is_unspill && store_lend(fileh->store, load->block << fileh->block_shift, (uint32_t) load_bytes(load), &load->loan))
                load->buf = load->loan.buf;
        else
                load->buf = bufs_get(&fileh->pager->bufs, load_bytes(load));
}

static void load_put_buf(struct load *load) {
        if (load->loan.buf)
                store_take_back(load->fileh->store, &load->loan);
        else
                bufs_put(&load->fileh->pager->bufs, load->buf, load_bytes(load));
}

/* All its pages have ended one way or another. */
static void load_free(struct load *load) {
        struct fileh *fileh = load->fileh;
        struct pager *pager = fileh->pager;

        if (load->began)
                (void) pager_record(pager, REPORT_LOAD, load->began);
        TAILQ_REMOVE(&fileh->loads, load, fileh_entry);
        idtable_remove(&pager->loads, load->id);
        load_put_buf(load);
        waiters_end(&load->waiters, load->error, mapping_wake_waiter);
        admission_end(&load->admission);
        free(load);
        fileh_unref(fileh);
}

/* --- beginning ----------------------------------------------------------------------------------------------------------------------------------- */

static struct load *load_of_admission(struct admission *admission) {
        return (struct load *) ((char *) admission - offsetof(struct load, admission));
}

/* Takes room for those pages that are still the load's own. */
static bool load_take_room(struct admission *admission) {
        struct load *load = load_of_admission(admission);
        struct fileh *fileh = load->fileh;
        uint64_t n_owned = 0;

        for (uint64_t i = 0; i < load->n_blocks; i++)
                n_owned += fileh_is_loaded_by(fileh, load->block + i, load->id);
        if (!pool_take(fileh->pager->pool, n_owned << fileh->block_shift))
                return false;
        for (uint64_t i = 0; i < load->n_blocks; i++)
                if (fileh_is_loaded_by(fileh, load->block + i, load->id))
                        pages_get(&fileh->pager->pages, fileh_page(fileh, load->block + i))->has_room = true;
        return true;
}

static void load_cancel(struct load *load) {
        load->error = -ECANCELED;
        load_end_pages(load, load->block, load->n_blocks);
        load_free(load);
}

static void load_on_decided(struct admission *admission, int error) {
        struct load *load = load_of_admission(admission);

        if (error == 0)
                load_read(load);
        else if (error == -ENOMEM)
                load_fail_for_room(load);
        else
                load_cancel(load);
}

void load_start(struct load *load) {
        load->admission = (struct admission) { .fileh = load->fileh, .n_bytes = load_bytes(load), .take_room = load_take_room, .decided = load_on_decided };
        admission_ask(&load->admission);
}

/* --- failing ------------------------------------------------------------------------------------------------------------------------------------ */

static struct place_load load_placing(struct load *load, struct mapping *ahead_of) {
        return (struct place_load) { load->fileh, load->id, &load->waiters, ahead_of, load->traps };
}

static void load_fail(struct load *load, uint64_t n, int error) {
        const struct place_load placing = load_placing(load, NULL);

        if (load->error == 0)
                load->error = error;
        place_failure(&placing, load->block + load->n_ended, n, error);
        load->n_ended += n;
        pager_count(load->fileh->pager, COUNTER_LOAD_ERRORS, (int64_t) n);
}

static void load_fail_rest(struct load *load, int error) {
        load_fail(load, load->n_blocks - load->n_ended, error);
        load_free(load);
}

void load_refuse(struct load *load, int error) {
        load_fail_rest(load, error);
}

void load_refuse_block(struct load *load, uint64_t block, int error) {
        const struct place_load placing = load_placing(load, NULL);

        place_failure(&placing, block, 1, error);
}

/* Whoever runs the daemon learns of it here alone: a program that gets SIGBUS seldom says why. */
static void load_fail_for_room(struct load *load) {
        double seconds = (double) (ring_now() - load->admission.queued) / 1e6;
        const struct mapping *mapping = waiters_mapping(&load->waiters);
        pid_t pid = mapping ? mapping->pid : 0;
        char who[32] = "bf_load()";
        struct fileh_name name;

        if (pid > 0)
                snprintf(who, sizeof(who), "pid %d", (int) pid);
        fileh_name_get(load->fileh, -ENOMEM, &name);
        name.about.pid = pid;
        log_about(LOG_LEVEL_WARNING, &name.about,
                  "%s: %s waited %.1f s for room in the pool to load byte %llu, and got %sENOMEM: what is there is dirty, and can be spilled no more "
                  "(--pool or --spill-size may be larger, or the program may store sooner)",
                  name.path, who, seconds, (unsigned long long) (load->block << load->fileh->block_shift), pid > 0 ? "SIGBUS with " : "");
        load_fail_rest(load, -ENOMEM);
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------------------ */

/* The bytes of the read under way that are to come from the file. */
static uint64_t load_bytes_inside(const struct load *load) {
        const struct fileh *fileh = load->fileh;
        uint64_t length = load->n_read << fileh->block_shift;

        if (load->is_unspill) /* all of a block was spilled */
                return length;
        if (load->request.offset >= fileh->size)
                return 0;
        return length < fileh->size - load->request.offset ? length : fileh->size - load->request.offset;
}

/* The first n_good blocks of the read are whole: what lies behind the end of the file is zero. */
static void load_place_good(struct load *load, uint64_t n_good) {
        const struct place_load placing = load_placing(load, load->ahead_of);
        uint64_t inside = load_bytes_inside(load), good = n_good << load->fileh->block_shift;
        int r;

        if (inside < good)
                memset((char *) load->request.buf + inside, 0, good - inside);
        r = place_content(&placing, load->block + load->n_ended, n_good, load->request.buf);
        if (r < 0 && load->error == 0)
                load->error = r;
        load->n_ended += n_good;
}

static uint64_t load_n_good(const struct load *load) {
        if (load->request.n_done >= load_bytes_inside(load))
                return load->n_read;
        return load->request.n_done >> load->fileh->block_shift;
}

/* The file ends before the size that we know. What was spilled was written by this daemon, or one before it: it has been lost. */
static int load_tell_truncated(const struct load *load) {
        struct fileh *fileh = load->fileh;

        if (load->is_unspill)
                return -EIO;
        if (!fileh->is_truncated)
                fileh_warning(fileh, -ENXIO, "it ends before byte %llu of %llu: it was truncated, and touching what is gone fails",
                              (unsigned long long) (load->request.offset + load->request.length), (unsigned long long) fileh->size);
        fileh->is_truncated = true;
        return -ENXIO;
}

/* How many blocks behind the good ones have failed. Of a run that is not known, but where the store says so: then it is what is read at once. */
static uint64_t load_n_failed(const struct load *load, uint64_t n_good, int error) {
        const struct fileh *fileh = load->fileh;
        uint64_t first = load->block + load->n_ended, n = load->n_read - n_good, n_grain;

        if (n == 0 || load->n_read == 1)
                return n;
        if (error == 0 || load->is_unspill || !store_is_exact(fileh->store))
                return 0;
        n_grain = fileh->store->grain >> fileh->block_shift;
        if (n_grain > 1)
                n_grain -= first % n_grain;
        else
                n_grain = 1;
        return n_grain < n ? n_grain : n;
}

static int load_tell_failed(const struct load *load, int error) {
        uint64_t offset = (load->block + load->n_ended) << load->fileh->block_shift;

        if (error == 0)
                return load_tell_truncated(load);
        fileh_warning(load->fileh, error, "cannot load %s at byte %llu: %s (who touches it gets SIGBUS)", load->is_unspill ? "what was spilled of it" : "it",
                      (unsigned long long) offset, load->is_unspill ? strerror(-error) : store_error_text(load->fileh->store, error));
        return error;
}

bool load_may_fill(const struct fileh *fileh, const struct mapping *mapping, uint64_t block, uint64_t n) {
        return mapping && !mapping->readonly && mapping_is_in_place(mapping) && mapping_shows_run(mapping, block, n) && n << fileh->block_shift >= FILL_BYTES_MIN &&
               fill_is_free(fileh->pager);
}

/* The disk is not to be idle while what it gave is copied. */
static void load_let_others_read(struct load *load) {
        admission_end(&load->admission);
        if (load_bytes(load) >= LOAD_RUN_BYTES)
                ring_submit(load->fileh->pager->ring);
}

static void load_end_fill(struct load *load, int result) {
        const struct place_load placing = load_placing(load, load->ahead_of);

        load->fill = NULL;
        if (result == 0)
                place_filled(&placing, load->block, load->n_blocks);
        else
                load_place_good(load, load->n_blocks); /* some of it is there, perhaps */
        load_free(load);
}

static void load_on_filled(struct fill *fill) {
        load_end_fill(fill->owner, fill->result);
}

void load_hurry(struct load *load) {
        if (load->fill && fill_cancel(load->fileh->pager, load->fill))
                load_end_fill(load, -ECANCELED);
}

void load_settle_fills(struct fileh *fileh) {
        struct load *load, *next;

        for (load = TAILQ_FIRST(&fileh->loads); load; load = next) {
                struct fill *fill = load->fill;

                next = TAILQ_NEXT(load, fileh_entry);
                if (!fill)
                        continue;
                fill_wait(fileh->pager, fill);
                load_end_fill(load, fill->result);
        }
}

/* Has none of its pages left it? */
static bool load_is_whole(const struct load *load) {
        for (uint64_t i = 0; i < load->n_blocks; i++)
                if (!fileh_is_loaded_by(load->fileh, load->block + i, load->id))
                        return false;
        return true;
}

/* What nobody waits for yet is copied elsewhere, if that is possible. */
static bool load_fill_elsewhere(struct load *load, uint64_t n_good) {
        struct fileh *fileh = load->fileh;
        struct mapping *mapping = load->ahead_of;
        struct fill_work work = {
                .mapping = mapping,
                .memory = &fileh->memory,
                .block = load->block,
                .n = load->n_blocks,
                .block_shift = fileh->block_shift,
                .buf = load->request.buf,
                .traps = load->traps,
        };

        if (n_good < load->n_blocks || load_bytes_inside(load) < load_bytes(load) || load->is_unspill || !STAILQ_EMPTY(&load->waiters) ||
            !load_may_fill(fileh, mapping, load->block, load->n_blocks) || !load_is_whole(load))
                return false;
        load->fill = fill_begin(fileh->pager, &work, load, load_on_filled);
        return load->fill;
}

/* After an error in a run the next read is of the failing block alone, where it is not known whether that one alone is to fail. */
static void load_on_read(struct store_request *request, int error) {
        struct load *load = (struct load *) ((char *) request - offsetof(struct load, request));
        uint64_t n_good = load_n_good(load), n_read = load->n_read, n_failed;

        INJECT(LOAD_READ);
        if (load->n_ended + n_good == load->n_blocks)
                load_let_others_read(load);
        if (load_fill_elsewhere(load, n_good))
                return;
        load_place_good(load, n_good);
        n_failed = load_n_failed(load, n_good, error);
        if (n_failed > 0)
                load_fail(load, n_failed, load_tell_failed(load, error));
        if (load->n_ended == load->n_blocks) {
                load_free(load);
                return;
        }
        load->n_read = n_good < n_read && n_failed == 0 ? 1 : load->n_blocks - load->n_ended;
        load_read(load);
}

static void load_read(struct load *load) {
        struct fileh *fileh = load->fileh;
        uint64_t skip = load->n_ended << fileh->block_shift;

        if (!load->buf) {
                load->n_read = load->n_blocks;
                load->began = latency_now();
                load_get_buf(load);
        }
        if (!load->buf) {
                load_fail_rest(load, -ENOMEM);
                return;
        }
        load->request.buf = (char *) load->buf + skip;
        load->request.loan = load->loan.buf ? &load->loan : NULL;
        load->request.offset = (load->block << fileh->block_shift) + skip;
        load->request.length = (uint32_t) (load->n_read << fileh->block_shift);
        load->request.done = load_on_read;
        store_read(load->is_unspill ? fileh->spill.store : fileh->store, &load->request);
}

/* --- when others change their minds ------------------------------------------------------------------------------------------------------------- */

struct load *load_of_page(struct fileh *fileh, uint32_t id) {
        struct load *load = idtable_get(&fileh->pager->loads, fileh_load_of(fileh, id));

        assert(load);
        return load;
}

void load_abandon(struct fileh *fileh, uint32_t id, enum page_event event) {
        struct load *load = load_of_page(fileh, id);
        uint64_t block = pages_get(&fileh->pager->pages, id)->block;
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);
        enum page_action action;

        waiters_take_faults(&load->waiters, block, block, &waiters);
        action = fileh_page_event(fileh, id, event, 0);
        assert(action == ACTION_ABANDON);
        (void) action;
        waiters_end(&waiters, 0, mapping_wake_waiter);
}

void load_forget_mapping(struct fileh *fileh, const struct mapping *mapping) {
        struct load *load;

        TAILQ_FOREACH(load, &fileh->loads, fileh_entry) {
                waiters_remove_mapping(&load->waiters, mapping);
                if (load->ahead_of == mapping)
                        load->ahead_of = NULL;
        }
        load_settle_fills(fileh); /* whose ends have nothing to do any more with where the mapping was: something else may be there */
        waiters_remove_mapping(&fileh->store_waiters, mapping);
}
