/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_POOL_H
#define BF_POOL_H

/*
 * The RAM that pages may use: one number of bytes over all filehs, peers and pagers.
 * Everything that several threads touch is atomic. Who leaves RAM when room is short is not decided here.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Fewer pages than this are refused: reclaim works in batches and needs some play. */
#define POOL_PAGES_MIN 64
#define POOL_BYTES_MIN (POOL_PAGES_MIN * UINT64_C(4096))

struct pool {
        atomic_uint_fast64_t bytes;
        atomic_uint_fast64_t used;
        atomic_uint_fast64_t turnover; /* bytes taken since the beginning */
        unsigned clock_shift;
};

void pool_init(struct pool *pool, uint64_t bytes);

/* Another size from now on, by any thread. More may be in use then than fits: reclaim has to follow. The pagers are to be woken for it. */
void pool_resize(struct pool *pool, uint64_t bytes);

/* Less free than the low mark: reclaim begins; and goes on until the high one is free. */
uint64_t pool_free_low(const struct pool *pool);
uint64_t pool_free_high(const struct pool *pool);

/* Takes room; false: there is not so much left. */
bool pool_take(struct pool *pool, uint64_t bytes);

/* Counts what is in use already, even beyond the pool's size: reclaim has to follow. */
void pool_force(struct pool *pool, uint64_t bytes);
void pool_give(struct pool *pool, uint64_t bytes);

uint64_t pool_used(const struct pool *pool);
uint64_t pool_free(const struct pool *pool);

/* Is it to be reclaimed in the background? Once begun, that goes on to the high mark, which is the caller's part: so many bytes are missing to it. */
bool pool_is_low(const struct pool *pool);
uint64_t pool_missing(const struct pool *pool);

/* A clock that goes on as room is taken: 256 to 512 of its ticks are a whole pool, of the size that it began with: what was timed before must not look
 * older or younger for another size. */
uint64_t pool_clock(const struct pool *pool);

#endif
