/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first write to pages that have been read before, in random order. */

#include "access.h"
#include "content.h"
#include "order.h"

static int workload_first_write_run(struct workload_run *run) {
        int r;

        r = order_random(0, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r == 0)
                r = access_read(run);
        if (r == 0)
                r = access_write(run);
        return r < 0 ? r : access_check_written(run);
}

static const struct subject_kind *const workload_first_write_subjects[] = {
        &subject_floor, &subject_mmap_random, &subject_signal, &subject_bigfile, NULL,
};

const struct workload workload_first_write = {
        .name = "first-write",
        .title = "first write to a page in RAM",
        .unit = WORKLOAD_LATENCY,
        .run = workload_first_write_run,
        .subjects = workload_first_write_subjects,
        .base = &subject_floor,
};
