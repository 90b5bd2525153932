/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "histogram.h"

uint64_t histogram_bucket_max(unsigned bucket) {
        unsigned power = (bucket >> HISTOGRAM_SHIFT) + HISTOGRAM_SHIFT - 1, part = bucket & ((1u << HISTOGRAM_SHIFT) - 1);

        if (bucket < 1u << HISTOGRAM_SHIFT)
                return bucket;
        return (UINT64_C(1) << power) + ((uint64_t) (part + 1) << (power - HISTOGRAM_SHIFT)) - 1;
}

uint64_t histogram_count(const uint64_t counts[static HISTOGRAM_BUCKETS]) {
        uint64_t n = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                n += counts[i];
        return n;
}

uint64_t histogram_quantile(const uint64_t counts[static HISTOGRAM_BUCKETS], unsigned per_million) {
        uint64_t n = histogram_count(counts), seen = 0, wanted;

        if (n == 0)
                return 0;
        wanted = (uint64_t) (((unsigned __int128) n * per_million + 999999) / 1000000);
        if (wanted == 0)
                wanted = 1;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += counts[i];
                if (seen >= wanted)
                        return histogram_bucket_max(i);
        }
        return histogram_bucket_max(HISTOGRAM_BUCKETS - 1);
}

uint64_t histogram_count_to(const uint64_t counts[static HISTOGRAM_BUCKETS], uint64_t value) {
        uint64_t n = 0;

        for (unsigned i = 0; i <= histogram_bucket(value); i++)
                n += counts[i];
        return n;
}
