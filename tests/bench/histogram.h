/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

/* How often values lay where: eight ranges for each doubling. Pure: it does not know what the values are. */

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_RANGES (8 * 40)

struct histogram {
        uint64_t counts[HISTOGRAM_RANGES];
        uint64_t n;
};

/* Values beyond the last range count in it. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* The first value of the range, of those up to HISTOGRAM_RANGES, which is where the last one ends. */
double histogram_bound(size_t range);

#endif
