/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LATENCY_H
#define BF_LATENCY_H

/* How long things took, in buckets (histogram.h). As with counters.h one thread counts in a set of them, and any may look: no lock, and a count costs two stores. */

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "histogram.h"
#include "report.h"

struct latency_counts {
        atomic_uint_fast64_t buckets[HISTOGRAM_BUCKETS];
        atomic_uint_fast64_t sum; /* nanoseconds */
};

struct latencies {
        struct latency_counts of[N_REPORT_LATENCIES];
};

/* Nanoseconds; monotonic. */
static inline uint64_t latency_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static inline void latency_add(atomic_uint_fast64_t *p, uint64_t n) {
        atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Something took so many nanoseconds. */
static inline void latency_record(struct latencies *latencies, enum report_latency which, uint64_t nsec) {
        struct latency_counts *counts = &latencies->of[which];

        latency_add(&counts->buckets[histogram_bucket(nsec)], 1);
        latency_add(&counts->sum, nsec);
}

/* Adds what was counted there. */
void latency_sum_up(const struct latencies *latencies, enum report_latency which, struct report_histogram *histogram);

#endif
