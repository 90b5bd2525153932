/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_COUNTERS_H
#define BF_COUNTERS_H

/* What became of the pool, in numbers. One thread counts in a set of them, and any may look: so counting costs next to nothing. What is counted up by one thread and
 * down by another is right in the sum over all sets. */

#include <stdatomic.h>
#include <stdint.h>

enum counter {
        COUNTER_DIRTY_BYTES,
        COUNTER_PEERS,
        COUNTER_FILEHS,
        COUNTER_MAPPINGS,
        COUNTER_FAULTS,
        COUNTER_LOADS,
        COUNTER_STORES,
        COUNTER_EVICTIONS,
        COUNTER_LINGERING,         /* filehs that nobody has open, and somebody may come back to */
        COUNTER_SPILL_LIMIT_BYTES, /* what spill files may take of the disk; 0: nothing is spilled */
        COUNTER_SPILL_FILE_BYTES,  /* and what they do take */
        COUNTER_SPILLED_BYTES,     /* pages that are there alone */
        COUNTER_SPILLS,            /* pages spilled */
        COUNTER_UNSPILLS,          /* and brought back */
        COUNTER_LOAD_ERRORS,       /* pages that could not be loaded */
        COUNTER_STORE_ERRORS,      /* writes that failed */
        N_COUNTERS,
};

struct counters {
        atomic_uint_fast64_t n[N_COUNTERS];
};

void counters_init(struct counters *counters);

uint64_t counters_get(const struct counters *counters, enum counter counter);

static inline void counters_add(struct counters *counters, enum counter counter, int64_t n) {
        atomic_uint_fast64_t *p = &counters->n[counter];

        atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + (uint_fast64_t) n, memory_order_relaxed);
}

#endif
