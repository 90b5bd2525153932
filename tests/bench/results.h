/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

/* What was measured: for each placement, workload and subject one number of each run. It measures and prints nothing. */

#include <stddef.h>

#include "stats.h"
#include "workload.h"

struct result {
        const char *placement;
        const struct workload *workload;
        const struct subject_kind *subject;
        size_t n;     /* of each of the arrays, which have room for the runs of results_init() */
        double *main; /* WORKLOAD_LATENCY: the mean of a run's accesses, ns. WORKLOAD_RATE: bytes per second */
        double *p50;  /* WORKLOAD_LATENCY only, ns, like the next */
        double *p99;
};

struct results {
        struct result *items;
        size_t n;
        size_t n_runs;
};

void results_init(struct results *results, size_t n_runs);
void results_fini(struct results *results);

/* The result of these three, made if there is none yet; NULL: out of memory. Valid until the next results_get(). */
struct result *results_get(struct results *results, const char *placement, const struct workload *workload, const struct subject_kind *subject);

/* Takes the numbers out of a run that has ended well. Sorts its latencies. */
void result_add(struct result *result, struct workload_run *run);

/* A result in the form it is reported. */
struct result_summary {
        struct stats_spread main;
        double p50; /* WORKLOAD_LATENCY only, like the next: medians over the runs */
        double p99;
        double ratio;     /* the time it takes, in times of the floor's; 0: there is no floor to compare with */
        double ratio_p50; /* WORKLOAD_LATENCY only: the same of p50 */
};

/* The result has a run at least. 0 or -ENOMEM. */
int results_summarize(const struct results *results, const struct result *result, struct result_summary *ret_summary);

#endif
