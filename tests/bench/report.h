/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

/* Prints results: as a table for people, or as JSON. */

#include <stdio.h>

#include "results.h"

/* What the numbers depend on. */
struct report_about {
        const struct setup *setup;
        uint64_t file_bytes;
        size_t n_runs;
        const char *kernel;
        unsigned n_cpus;
        uint64_t clock_ns; /* what one reading of the clock costs: it is in every latency */
};

/* How the placements were called, in order; NULL after the last. */
extern const char *const report_placements[];
#define REPORT_SAME_CPU "same CPU"
#define REPORT_ANY_CPU "any CPU"

/* These answer 0 or a negative errno. */
int report_text(FILE *out, const struct report_about *about, const struct results *results);

/* A line for each bound of which anything is known. */
int report_bounds(FILE *out, const struct results *results);

/* {"schema": "bfbench/1", ...}: later versions add members, and change none. Times in ns, rates in bytes or touches per second. */
int report_json(FILE *out, const struct report_about *about, const struct results *results);

#endif
