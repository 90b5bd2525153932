/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads of pages not there yet, in random order; with an empty pool, and with a full one, where each page needs another's room. */

#include "access.h"
#include "content.h"
#include "order.h"

static int workload_random_read_from(struct workload_run *run, uint64_t first) {
        int r;

        r = order_random(first, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r < 0)
                return r;
        access_read(run);
        return access_check_seen(run);
}

static int workload_random_read_run(struct workload_run *run) {
        int r;

        r = run->subject->kind->drop(run->subject);
        return r < 0 ? r : workload_random_read_from(run, 0);
}

static int workload_random_read_full_run(struct workload_run *run) {
        uint64_t n_pool = run->setup->pool_bytes / CONTENT_BLOCK;
        int r;

        if (run->setup->content->n_blocks < n_pool + run->setup->n_accesses)
                return WORKLOAD_SKIPPED;
        r = run->subject->kind->drop(run->subject);
        if (r < 0)
                return r;
        for (uint64_t block = 0; block < n_pool; block++)
                (void) *(volatile uint64_t *) subject_words(run->subject, block);
        return workload_random_read_from(run, n_pool);
}

const struct workload workload_random_read = {
        .name = "random-read",
        .title = "random read fault, 4 KiB",
        .unit = WORKLOAD_LATENCY,
        .run = workload_random_read_run,
};

const struct workload workload_random_read_full = {
        .name = "random-read-full",
        .title = "random read fault, 4 KiB, the pool full before",
        .unit = WORKLOAD_LATENCY,
        .run = workload_random_read_full_run,
};
