/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_HISTOGRAM_H
#define BF_HISTOGRAM_H

/*
 * Buckets for times in nanoseconds, log-linear, as HdrHistogram has them: each power of two is cut into as many equal parts, so that a time is known to a sixteenth of
 * itself, be it a microsecond or a minute. Pure: who counts in them and how is up to others.
 */

#include <stdint.h>

#define HISTOGRAM_SHIFT 4u                       /* 16 parts */
#define HISTOGRAM_POWER_MAX 38u                  /* 2^39 nanoseconds are nine minutes: what takes longer is in the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_POWER_MAX - HISTOGRAM_SHIFT + 2) << HISTOGRAM_SHIFT)

/* The bucket of a value. Below 2^HISTOGRAM_SHIFT each has its own. */
static inline unsigned histogram_bucket(uint64_t value) {
        unsigned power;

        if (value < 1u << HISTOGRAM_SHIFT)
                return (unsigned) value;
        power = 63u - (unsigned) __builtin_clzll(value);
        if (power > HISTOGRAM_POWER_MAX)
                return HISTOGRAM_BUCKETS - 1;
        return ((power - HISTOGRAM_SHIFT + 1) << HISTOGRAM_SHIFT) | (unsigned) (value >> (power - HISTOGRAM_SHIFT) & ((1u << HISTOGRAM_SHIFT) - 1));
}

/* The greatest value of a bucket; of the last one, too, although greater ones are in it. */
uint64_t histogram_bucket_max(unsigned bucket);

uint64_t histogram_count(const uint64_t counts[static HISTOGRAM_BUCKETS]);

/* No more than this was needed by so many parts of a million; 0: there are no values. */
uint64_t histogram_quantile(const uint64_t counts[static HISTOGRAM_BUCKETS], unsigned per_million);

/* How many are no greater than the value, whose bucket counts as a whole. */
uint64_t histogram_count_to(const uint64_t counts[static HISTOGRAM_BUCKETS], uint64_t value);

#endif
