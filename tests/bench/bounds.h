/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_BOUNDS_H
#define BENCH_BOUNDS_H

/* What is promised of how fast it is: a number, or the ratio of two from the same run, that is to be at most or at least something. Others are only told. */

#include "results.h"

enum bound_relation {
        BOUND_NONE, /* told only */
        BOUND_AT_MOST,
        BOUND_AT_LEAST,
};

struct bound {
        const char *title;
        const struct workload *workload;
        const struct subject_kind *subject;
        const struct workload *other_workload; /* what is compared with; NULL: the same */
        const struct subject_kind *other; /* NULL, and no other workload: nothing, the number itself counts */
        enum result_measure measure;
        enum bound_relation relation;
        double limit;
};

/* All of them, in the order in which they are reported; title NULL after the last. */
extern const struct bound bounds[];

enum bound_verdict {
        BOUND_UNKNOWN, /* it was not measured */
        BOUND_TOLD,
        BOUND_MET,
        BOUND_MISSED,
};

/* *ret_value is set unless it is unknown. */
enum bound_verdict bound_check(const struct bound *bound, const struct results *results, const char *placement, double *ret_value);

/* Why it was not measured, where that is known; else NULL. */
const char *bound_reason(const struct bound *bound, const struct results *results, const char *placement);

#endif
