/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "histogram.h"

#define HISTOGRAM_SHIFT 3 /* ranges for each doubling, as a power of two */

/* Values below 16 have ranges of their own; from then on the three bits after the first count. */
void histogram_add(struct histogram *histogram, uint64_t value) {
        unsigned first = value ? 63 - (unsigned) __builtin_clzll(value) : 0;
        size_t range = value;

        if (first > HISTOGRAM_SHIFT)
                range = ((first - HISTOGRAM_SHIFT) << HISTOGRAM_SHIFT) + (value >> (first - HISTOGRAM_SHIFT));
        histogram->counts[range < HISTOGRAM_RANGES ? range : HISTOGRAM_RANGES - 1]++;
        histogram->n++;
}

double histogram_bound(size_t range) {
        size_t doublings = range >> HISTOGRAM_SHIFT;

        if (doublings < 2)
                return (double) range;
        return (double) ((UINT64_C(1) << HISTOGRAM_SHIFT) + (range & ((1u << HISTOGRAM_SHIFT) - 1))) * (double) (UINT64_C(1) << (doublings - 1));
}
