/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The budget: never more than there is, also with several threads; marks; counters. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool.h"

#define PAGE UINT64_C(4096)
#define HUGE_PAGE (UINT64_C(2) << 20)

static void test_room_is_taken_and_given(void **state) {
        struct pool pool;

        (void) state;
        pool_init(&pool, 64 * PAGE);
        assert_int_equal(pool_used(&pool), 0);
        assert_int_equal(pool_free(&pool), 64 * PAGE);
        for (unsigned i = 0; i < 64; i++)
                assert_true(pool_take(&pool, PAGE));
        assert_false(pool_take(&pool, PAGE));
        assert_false(pool_take(&pool, 1));
        assert_int_equal(pool_used(&pool), 64 * PAGE);
        assert_int_equal(pool_free(&pool), 0);
        pool_give(&pool, PAGE);
        assert_true(pool_take(&pool, PAGE));
        pool_give(&pool, 64 * PAGE);
        assert_int_equal(pool_used(&pool), 0);
}

/* What does not fit whole is not taken in part. */
static void test_room_is_taken_whole(void **state) {
        struct pool pool;

        (void) state;
        pool_init(&pool, HUGE_PAGE + 5 * PAGE);
        assert_true(pool_take(&pool, HUGE_PAGE));
        assert_false(pool_take(&pool, HUGE_PAGE));
        assert_int_equal(pool_free(&pool), 5 * PAGE);
        assert_false(pool_take(&pool, UINT64_MAX));
        assert_true(pool_take(&pool, 5 * PAGE));
        pool_give(&pool, HUGE_PAGE);
        assert_true(pool_take(&pool, HUGE_PAGE));
}

/* Between the marks reclaim is not begun, but what began goes on. */
static void check_marks(uint64_t bytes) {
        uint64_t low, high;
        struct pool pool;

        pool_init(&pool, bytes);
        low = pool_free_low(&pool);
        high = pool_free_high(&pool);
        assert_in_range(low, PAGE, bytes / 2);
        assert_in_range(high, low + 1, bytes / 2);
        assert_int_equal(pool_missing(&pool), 0);
        assert_false(pool_is_low(&pool));

        assert_true(pool_take(&pool, bytes - high));
        assert_int_equal(pool_missing(&pool), 0);
        assert_true(pool_take(&pool, 1));
        assert_int_equal(pool_missing(&pool), 1);
        assert_false(pool_is_low(&pool));
        assert_true(pool_take(&pool, high - low - 1));
        assert_false(pool_is_low(&pool));
        assert_true(pool_take(&pool, 1));
        assert_true(pool_is_low(&pool));
        assert_true(pool_take(&pool, low - 1));
        assert_true(pool_is_low(&pool));
        assert_int_equal(pool_missing(&pool), high);
}

static void test_marks(void **state) {
        (void) state;
        for (uint64_t bytes = POOL_BYTES_MIN; bytes <= UINT64_C(1) << 44; bytes *= 2)
                check_marks(bytes);
        check_marks(POOL_BYTES_MIN + 1);
        check_marks(1000 * PAGE);
}

/* 256 to 512 ticks a pool, whatever its size; only what is taken makes it go. */
static void test_clock(void **state) {
        (void) state;
        for (uint64_t bytes = POOL_BYTES_MIN; bytes <= UINT64_C(1) << 44; bytes = bytes * 2 + PAGE) {
                struct pool pool;

                pool_init(&pool, bytes);
                assert_int_equal(pool_clock(&pool), 0);
                assert_true(pool_take(&pool, bytes));
                assert_in_range(pool_clock(&pool), 256, 512);
                assert_false(pool_take(&pool, 1));
                pool_give(&pool, bytes);
                assert_in_range(pool_clock(&pool), 256, 512);
                assert_true(pool_take(&pool, bytes));
                assert_in_range(pool_clock(&pool), 512, 1024);
        }
}

#define N_THREADS 4
#define N_ROUNDS 200000

static atomic_uint n_over;

static void *take_and_give(void *arg) {
        struct pool *pool = arg;
        uint64_t held = 0;

        for (unsigned i = 0; i < N_ROUNDS; i++) {
                if (pool_take(pool, PAGE))
                        held += PAGE;
                if (pool_used(pool) > pool->bytes)
                        n_over++;
                if (held > 16 * PAGE || (held && i % 3 == 0)) {
                        pool_give(pool, PAGE);
                        held -= PAGE;
                }
        }
        pool_give(pool, held);
        return NULL;
}

static void test_threads_never_take_more_than_there_is(void **state) {
        pthread_t threads[N_THREADS];
        struct pool pool;

        (void) state;
        pool_init(&pool, 32 * PAGE);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &pool), 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(n_over, 0);
        assert_int_equal(pool_used(&pool), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_room_is_taken_and_given),
                cmocka_unit_test(test_room_is_taken_whole),
                cmocka_unit_test(test_marks),
                cmocka_unit_test(test_clock),
                cmocka_unit_test(test_threads_never_take_more_than_there_is),
        };

        return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
