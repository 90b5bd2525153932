/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

/* Medians, percentiles and spreads. Pure: it does not know what the numbers are. */

#include <stddef.h>
#include <stdint.h>

/* Sorts in place, smallest first. */
void stats_sort(uint64_t *values, size_t n);

/* The smallest value that permille/1000 of all do not exceed (nearest rank). n is at least 1, permille at most 1000. */
uint64_t stats_percentile(const uint64_t *sorted, size_t n, unsigned permille);

double stats_mean(const uint64_t *values, size_t n);

struct stats_spread {
        double median; /* of an even number: the mean of the middle two */
        double min;
        double max;
};

/* n is at least 1. The values stay as they are. 0 or -ENOMEM. */
int stats_spread(const double *values, size_t n, struct stats_spread *ret_spread);

#endif
