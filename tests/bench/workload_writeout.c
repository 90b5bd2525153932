/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stores dirty pages, neighbours or scattered ones; to the file (in the page cache), or on to the disk as well. */

#include <stdbool.h>

#include "access.h"
#include "clock.h"
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
        uint64_t begin;
        int r;

        r = run->subject->kind->drop(run->subject);
        if (r < 0)
                return r;
        r = workload_writeout_choose(run, is_scattered);
        if (r < 0)
                return r;
        access_write(run);
        begin = clock_ns();
        r = run->subject->kind->store(run->subject, sync);
        run->ns = clock_ns() - begin;
        run->bytes = run->setup->n_accesses * CONTENT_BLOCK;
        if (r == SUBJECT_HAS_NONE)
                return WORKLOAD_SKIPPED;
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

const struct workload workload_writeout = {
        .name = "writeout",
        .title = "writeout of neighbours",
        .unit = WORKLOAD_RATE,
        .run = workload_writeout_run_plain,
};

const struct workload workload_writeout_scattered = {
        .name = "writeout-scattered",
        .title = "writeout of scattered pages",
        .unit = WORKLOAD_RATE,
        .run = workload_writeout_run_scattered,
};

const struct workload workload_writeout_sync = {
        .name = "writeout-sync",
        .title = "writeout of neighbours, with sync (mmap: msync)",
        .unit = WORKLOAD_RATE,
        .run = workload_writeout_run_sync,
};

const struct workload workload_writeout_scattered_sync = {
        .name = "writeout-scattered-sync",
        .title = "writeout of scattered pages, with sync (mmap: msync)",
        .unit = WORKLOAD_RATE,
        .run = workload_writeout_run_scattered_sync,
};
