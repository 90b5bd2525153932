/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads of pages not there yet, in random order; with an empty pool, and with a full one, where each page needs another's room. */

#include "access.h"
#include "content.h"
#include "order.h"

static int workload_random_read_from(struct workload_run *run, uint64_t first) {
        int r;

        r = order_random(first, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r == 0)
                r = access_read(run);
        return r < 0 ? r : access_check_seen(run);
}

static int workload_random_read_run(struct workload_run *run) {
        return workload_random_read_from(run, 0);
}

static int workload_random_read_full_run(struct workload_run *run) {
        uint64_t n_pool = run->setup->pool_bytes / CONTENT_BLOCK;

        if (run->setup->content->n_blocks < n_pool + run->setup->n_accesses) {
                reason_say(&run->reason, "the file has no more pages than the pool (--file-size, --pool)");
                return WORKLOAD_SKIPPED;
        }
        for (uint64_t block = 0; block < n_pool; block++)
                (void) *(volatile const uint64_t *) subject_look(run->subject, block);
        return workload_random_read_from(run, n_pool);
}

static const struct subject_kind *const workload_random_read_subjects[] = {
        &subject_floor, &subject_mmap_normal, &subject_mmap_random, &subject_file, &subject_signal, &subject_bigfile, NULL,
};

static const struct subject_kind *const workload_random_read_full_subjects[] = { &subject_floor, &subject_bigfile, NULL };

const struct workload workload_random_read = {
        .name = "random-read",
        .title = "random read fault, 4 KiB",
        .unit = WORKLOAD_LATENCY,
        .run = workload_random_read_run,
        .subjects = workload_random_read_subjects,
        .base = &subject_floor,
};

const struct workload workload_random_read_full = {
        .name = "random-read-full",
        .title = "random read fault, 4 KiB, the pool full before",
        .unit = WORKLOAD_LATENCY,
        .run = workload_random_read_full_run,
        .subjects = workload_random_read_full_subjects,
        .base = &subject_floor,
};
