/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stores dirty pages, neighbours or scattered ones; to the file (in the page cache), or on to the disk as well. */

#include <stdbool.h>

#include "access.h"
#include "content.h"
#include "order.h"

/* Neighbours begin at another block in each run. */
static int workload_writeout_choose(struct workload_run *run, bool is_scattered) {
        uint64_t n_blocks = run->setup->content->n_blocks, first;
        size_t n = run->setup->n_accesses;
        int r;

        if (is_scattered)
                return order_random(0, n_blocks, n, run->seed, run->order);
        r = order_random(0, n_blocks - n + 1, 1, run->seed, &first);
        for (size_t i = 0; r == 0 && i < n; i++)
                run->order[i] = first + i;
        return r;
}

static int workload_writeout_run(struct workload_run *run, bool is_scattered, bool sync) {
        int r;

        if (!run->subject->kind->store)
                return WORKLOAD_SKIPPED;
        r = workload_writeout_choose(run, is_scattered);
        if (r == 0)
                r = access_write(run);
        if (r == 0)
                r = access_begin(run);
        if (r == 0)
                r = run->subject->kind->store(run->subject, sync);
        if (r == 0)
                r = access_end(run);
        run->bytes = run->setup->n_accesses * CONTENT_BLOCK;
        return r < 0 ? r : access_check_stored(run);
}

static int workload_writeout_run_plain(struct workload_run *run) {
        return workload_writeout_run(run, false, false);
}

static int workload_writeout_run_scattered(struct workload_run *run) {
        return workload_writeout_run(run, true, false);
}

static int workload_writeout_run_sync(struct workload_run *run) {
        return workload_writeout_run(run, false, true);
}

static int workload_writeout_run_scattered_sync(struct workload_run *run) {
        return workload_writeout_run(run, true, true);
}

static const struct subject_kind *const workload_writeout_subjects[] = { &subject_floor, &subject_file, &subject_bigfile, NULL };
static const struct subject_kind *const workload_writeout_sync_subjects[] = { &subject_floor, &subject_file, &subject_mmap_random, &subject_bigfile, NULL };

#define WORKLOAD_WRITEOUT(name_, title_, run_, subjects_)                                                                                                   \
        { .name = name_, .title = title_, .unit = WORKLOAD_RATE, .run = run_, .subjects = subjects_, .base = &subject_file }

const struct workload workload_writeout =
        WORKLOAD_WRITEOUT("writeout", "writeout of neighbours", workload_writeout_run_plain, workload_writeout_subjects);

const struct workload workload_writeout_scattered =
        WORKLOAD_WRITEOUT("writeout-scattered", "writeout of scattered pages", workload_writeout_run_scattered, workload_writeout_subjects);

const struct workload workload_writeout_sync =
        WORKLOAD_WRITEOUT("writeout-sync", "writeout of neighbours, with sync (mmap: msync)", workload_writeout_run_sync, workload_writeout_sync_subjects);

const struct workload workload_writeout_scattered_sync = WORKLOAD_WRITEOUT("writeout-scattered-sync", "writeout of scattered pages, with sync (mmap: msync)",
                                                                           workload_writeout_run_scattered_sync, workload_writeout_sync_subjects);
