/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

/* What was measured: for each placement, workload and subject some numbers of each run; or why there are none. It measures and prints nothing. */

#include <stdbool.h>
#include <stddef.h>

#include "histogram.h"
#include "stats.h"
#include "workload.h"

/* What there may be of a run. */
enum result_measure {
        RESULT_MAIN, /* WORKLOAD_LATENCY: the mean of the accesses, ns. WORKLOAD_RATE: bytes per second. WORKLOAD_TOUCHES: per second. WORKLOAD_NUMBER */
        RESULT_P50,  /* WORKLOAD_LATENCY only, ns, like the next */
        RESULT_P99,
        RESULT_CPU,  /* of the subject's server, ns for each page */
        RESULT_HITS, /* part of the touches without a load */
        N_RESULT_MEASURES,
};

struct result {
        const char *placement;
        const struct workload *workload;
        const struct subject_kind *subject;
        size_t n; /* runs */
        double *values[N_RESULT_MEASURES]; /* of each run; NAN: there is none. Room for the runs of results_init() */
        struct histogram *latencies;       /* of all runs; WORKLOAD_LATENCY only, else NULL */
        struct reason reason;              /* why there are no runs, where n is 0; may be empty */
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

/* NULL: there is none, or it has no run. */
const struct result *results_find(const struct results *results, const char *placement, const struct workload *workload, const struct subject_kind *subject);

/* Takes the numbers out of a run that has ended well. Sorts its latencies. */
void result_add(struct result *result, struct workload_run *run);

/* Whether the median over the runs is known, and which it is. */
bool result_median(const struct result *result, enum result_measure measure, double *ret_median);

/* The same of the ratio to another result: where both have as many runs, of that of each run to the one that was made beside it. */
bool result_ratio(const struct result *result, const struct result *other, enum result_measure measure, double *ret_median);

/* A result in the form it is reported. */
struct result_summary {
        struct stats_spread main; /* NAN: there is none */
        double medians[N_RESULT_MEASURES]; /* over the runs; NAN: there is none */
        double ratio;     /* the time it takes, in times of the floor's; 0: there is no floor to compare with */
        double ratio_p50; /* WORKLOAD_LATENCY only: the same of p50 */
        double to_base;   /* the time it takes (WORKLOAD_LATENCY: p50), in times of that of the workload's base; 0: there is none */
};

/* The result has a run at least. 0 or -ENOMEM. */
int results_summarize(const struct results *results, const struct result *result, struct result_summary *ret_summary);

#endif
