/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The first write to pages that have been read before, in random order. */

#include "access.h"
#include "content.h"
#include "order.h"

static int workload_first_write_run(struct workload_run *run) {
        int r;

        r = run->subject->kind->drop(run->subject);
        if (r < 0)
                return r;
        r = order_random(0, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r < 0)
                return r;
        access_read(run);
        access_write(run);
        return access_check_written(run);
}

const struct workload workload_first_write = {
        .name = "first-write",
        .title = "first write to a page in RAM",
        .unit = WORKLOAD_LATENCY,
        .run = workload_first_write_run,
};
