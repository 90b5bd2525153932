/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_PLACEMENT_H
#define BENCH_PLACEMENT_H

/*
 * Which CPUs this process, and every process it starts from then on, may use. Waking another, idle CPU can cost more than all the rest of a page
 * fault, so both cases are measured: all on one CPU, and wherever the scheduler likes.
 */

#include <sched.h>

struct placement {
        cpu_set_t all; /* what was allowed at first */
};

int placement_init(struct placement *placement);

/* To the last of the CPUs allowed (the first ones have the most interrupts); *ret_cpu is its number. */
int placement_pin(const struct placement *placement, unsigned *ret_cpu);

int placement_free(const struct placement *placement);

#endif
