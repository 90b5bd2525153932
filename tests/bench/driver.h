/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

/* Runs every workload on every subject, in turns (A B C, A B C, ...), so that what changes in the machine meanwhile changes all of them. */

#include <stdbool.h>
#include <stddef.h>

#include "results.h"
#include "setup.h"

struct driver {
        const struct setup *setup;
        size_t n_runs;    /* that count; one more before them warms up */
        const char *only; /* the name of the only workload to run; NULL: all */
        void (*on_progress)(const char *placement, size_t run, size_t n_runs);
};

/* Whether there is a workload of that name. */
bool driver_knows(const char *workload);

/* The names of the workloads, one after another; NULL after the last. */
const char *driver_workload(size_t i);

/* Adds to results. placement: a name, under which they are kept. */
int driver_run(const struct driver *driver, const char *placement, struct results *results);

#endif
