/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>

#include "pool.h"

/* Enough that a fault rarely waits for reclaim, little enough not to waste RAM on large pools. */
#define POOL_LOW_SHARE 32
#define POOL_LOW_MAX (UINT64_C(32) << 20)

#define POOL_CLOCK_TICKS 512

void pool_init(struct pool *pool, uint64_t bytes) {
        pool->clock_shift = 0;
        while (bytes >> pool->clock_shift >= POOL_CLOCK_TICKS)
                pool->clock_shift++;
        atomic_init(&pool->bytes, bytes);
        atomic_init(&pool->used, 0);
        atomic_init(&pool->turnover, 0);
}

/* The size may change at any moment: who needs it twice reads it once. */
static uint64_t pool_bytes(const struct pool *pool) {
        return atomic_load_explicit(&pool->bytes, memory_order_relaxed);
}

static uint64_t pool_low_of(uint64_t bytes) {
        return bytes / POOL_LOW_SHARE < POOL_LOW_MAX ? bytes / POOL_LOW_SHARE : POOL_LOW_MAX;
}

uint64_t pool_free_low(const struct pool *pool) {
        return pool_low_of(pool_bytes(pool));
}

uint64_t pool_free_high(const struct pool *pool) {
        return 2 * pool_free_low(pool);
}

void pool_resize(struct pool *pool, uint64_t bytes) {
        atomic_store_explicit(&pool->bytes, bytes, memory_order_relaxed);
}

bool pool_take(struct pool *pool, uint64_t bytes) {
        uint_fast64_t used = atomic_load_explicit(&pool->used, memory_order_relaxed);
        uint64_t size = pool_bytes(pool);

        do
                if (used > size || bytes > size - used)
                        return false;
        while (!atomic_compare_exchange_weak(&pool->used, &used, used + bytes));
        atomic_fetch_add_explicit(&pool->turnover, bytes, memory_order_relaxed);
        return true;
}

void pool_force(struct pool *pool, uint64_t bytes) {
        atomic_fetch_add_explicit(&pool->used, bytes, memory_order_relaxed);
}

void pool_give(struct pool *pool, uint64_t bytes) {
        uint_fast64_t before = atomic_fetch_sub(&pool->used, bytes);

        assert(before >= bytes);
        (void) before;
}

uint64_t pool_used(const struct pool *pool) {
        return atomic_load_explicit(&pool->used, memory_order_relaxed);
}

uint64_t pool_free(const struct pool *pool) {
        uint64_t used = pool_used(pool), bytes = pool_bytes(pool);

        return used < bytes ? bytes - used : 0;
}

bool pool_is_low(const struct pool *pool) {
        return pool_free(pool) < pool_free_low(pool);
}

uint64_t pool_missing(const struct pool *pool) {
        uint64_t bytes = pool_bytes(pool), goal = bytes - 2 * pool_low_of(bytes), used = pool_used(pool);

        return used > goal ? used - goal : 0;
}

uint64_t pool_clock(const struct pool *pool) {
        return atomic_load_explicit(&pool->turnover, memory_order_relaxed) >> pool->clock_shift;
}
