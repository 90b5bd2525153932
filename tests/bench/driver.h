/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

/* Runs workloads on their subjects, in turns (A B C, A B C, ...), so that what changes in the machine meanwhile changes all of them. */

#include <stdbool.h>
#include <stddef.h>

#include "results.h"
#include "setup.h"

struct driver {
        const struct setup *setup; /* the pool's size is the workload's where that has one */
        size_t n_runs;    /* that count; one more before them warms up */
        const char *only; /* names, with commas between: a workload's, or what several begin with before a dash; NULL: all */
        bool is_pinned;   /* all on one CPU: workloads that make no sense there are left out */
        void (*on_progress)(const char *placement, const char *workload, size_t run, size_t n_runs);
};

/* Whether each of these names means any workload. */
bool driver_knows(const char *only);

/* Adds to results. placement: a name, under which they are kept. */
int driver_run(const struct driver *driver, const char *placement, struct results *results);

#endif
