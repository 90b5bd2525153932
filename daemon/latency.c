/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "latency.h"

void latency_sum_up(const struct latencies *latencies, enum report_latency which, struct report_histogram *histogram) {
        const struct latency_counts *counts = &latencies->of[which];

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                histogram->counts[i] += atomic_load_explicit(&counts->buckets[i], memory_order_relaxed);
        histogram->sum_nsec += atomic_load_explicit(&counts->sum, memory_order_relaxed);
}
