/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_POOL_H
#define BF_POOL_H

/*
 * The RAM that pages may use: one number of bytes over all filehs, peers and pagers, and the counters that tell what became of it.
 * Everything that several threads touch is atomic. Who leaves RAM when room is short is not decided here.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Fewer pages than this are refused: reclaim works in batches and needs some play. */
#define POOL_PAGES_MIN 64
#define POOL_BYTES_MIN (POOL_PAGES_MIN * UINT64_C(4096))

enum pool_counter {
        POOL_DIRTY_BYTES,
        POOL_PEERS,
        POOL_FILEHS,
        POOL_MAPPINGS,
        POOL_FAULTS,
        POOL_LOADS,
        POOL_STORES,
        POOL_EVICTIONS,
        POOL_LINGERING, /* filehs that nobody has open, and somebody may come back to */
        POOL_SPILL_LIMIT_BYTES, /* what spill files may take of the disk; 0: nothing is spilled */
        POOL_SPILL_FILE_BYTES,  /* and what they do take */
        POOL_SPILLED_BYTES,     /* pages that are there alone */
        POOL_SPILLS,            /* pages spilled */
        POOL_UNSPILLS,          /* and brought back */
        N_POOL_COUNTERS,
};

struct pool {
        uint64_t bytes;
        uint64_t free_low;  /* less free than this: reclaim begins */
        uint64_t free_high; /* and goes on until this is free */
        atomic_uint_fast64_t used;
        atomic_uint_fast64_t turnover; /* bytes taken since the beginning */
        unsigned clock_shift;
        atomic_uint_fast64_t counters[N_POOL_COUNTERS];
};

void pool_init(struct pool *pool, uint64_t bytes);

/* Takes room; false: there is not so much left. */
bool pool_take(struct pool *pool, uint64_t bytes);

/* Counts what is in use already, even beyond the pool's size: reclaim has to follow. */
void pool_force(struct pool *pool, uint64_t bytes);
void pool_give(struct pool *pool, uint64_t bytes);

uint64_t pool_used(const struct pool *pool);
uint64_t pool_free(const struct pool *pool);

/* How many bytes to reclaim now in the background: 0 above the low mark. Once begun, it goes on to the high mark: that is the caller's part. */
bool pool_is_low(const struct pool *pool);
uint64_t pool_missing(const struct pool *pool);

/* A clock that goes on as room is taken: 256 to 512 of its ticks are a whole pool. */
uint64_t pool_clock(const struct pool *pool);

void pool_count(struct pool *pool, enum pool_counter counter, int64_t n);
uint64_t pool_counter(const struct pool *pool, enum pool_counter counter);

#endif
