/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"
#include "order.h"
#include "stats.h"

#define N_MANY 1000

static void test_sort(void **state) {
        uint64_t values[] = { 3, UINT64_MAX, 0, 3, 1 };
        static const uint64_t sorted[] = { 0, 1, 3, 3, UINT64_MAX };

        (void) state;
        stats_sort(values, 5);
        assert_memory_equal(values, sorted, sizeof(sorted));
        stats_sort(values, 0);
}

static void test_percentile_of_one(void **state) {
        static const uint64_t one[] = { 7 };

        (void) state;
        assert_int_equal(stats_percentile(one, 1, 0), 7);
        assert_int_equal(stats_percentile(one, 1, 500), 7);
        assert_int_equal(stats_percentile(one, 1, 1000), 7);
}

static void test_percentile_is_the_nearest_rank(void **state) {
        uint64_t values[N_MANY];

        (void) state;
        for (size_t i = 0; i < N_MANY; i++)
                values[i] = i + 1;
        assert_int_equal(stats_percentile(values, N_MANY, 0), 1);
        assert_int_equal(stats_percentile(values, N_MANY, 1), 1);
        assert_int_equal(stats_percentile(values, N_MANY, 500), 500);
        assert_int_equal(stats_percentile(values, N_MANY, 990), 990);
        assert_int_equal(stats_percentile(values, N_MANY, 1000), 1000);
        assert_int_equal(stats_percentile(values, 5, 500), 3);
        assert_int_equal(stats_percentile(values, 4, 500), 2);
        assert_int_equal(stats_percentile(values, 4, 501), 3);
}

static void test_mean(void **state) {
        static const uint64_t values[] = { 1, 2, 6 };

        (void) state;
        assert_true(fabs(stats_mean(values, 3) - 3.0) < 1e-9);
}

static void test_spread(void **state) {
        static const double odd[] = { 5.0, 1.0, 3.0 }, even[] = { 4.0, 1.0, 2.0, 8.0 };
        struct stats_spread spread;

        (void) state;
        assert_int_equal(stats_spread(odd, 3, &spread), 0);
        assert_true(fabs(spread.median - 3.0) < 1e-9 && fabs(spread.min - 1.0) < 1e-9 && fabs(spread.max - 5.0) < 1e-9);
        assert_int_equal(stats_spread(even, 4, &spread), 0);
        assert_true(fabs(spread.median - 3.0) < 1e-9 && fabs(spread.min - 1.0) < 1e-9 && fabs(spread.max - 8.0) < 1e-9);
        assert_true(fabs(even[0] - 4.0) < 1e-9);
}

/* The order of accesses belongs to the arithmetic of the bench too: each number once, none outside, the same for the same seed only. */
static void test_random_order(void **state) {
        uint64_t order[N_MANY], again[N_MANY], other[N_MANY];
        unsigned seen[N_MANY] = { 0 };

        (void) state;
        assert_int_equal(order_random(100, 100 + N_MANY, N_MANY, 1, order), 0);
        assert_int_equal(order_random(100, 100 + N_MANY, N_MANY, 1, again), 0);
        assert_int_equal(order_random(100, 100 + N_MANY, N_MANY, 2, other), 0);
        assert_memory_equal(order, again, sizeof(order));
        assert_memory_not_equal(order, other, sizeof(order));
        for (size_t i = 0; i < N_MANY; i++) {
                assert_in_range(order[i], 100, 100 + N_MANY - 1);
                assert_int_equal(seen[order[i] - 100]++, 0);
        }
}

/* Each value lies in the range that counted it, and the ranges lie side by side. */
static void test_histogram(void **state) {
        static struct histogram histogram;

        (void) state;
        for (size_t i = 0; i < HISTOGRAM_RANGES; i++)
                assert_true(histogram_bound(i) < histogram_bound(i + 1));
        for (uint64_t value = 0; value < (UINT64_C(1) << 36); value += value / 7 + 1) {
                size_t range = 0;

                memset(&histogram, 0, sizeof(histogram));
                histogram_add(&histogram, value);
                while (!histogram.counts[range])
                        range++;
                assert_int_equal(histogram.n, 1);
                assert_true(histogram_bound(range) <= (double) value && (double) value < histogram_bound(range + 1));
        }
        histogram_add(&histogram, UINT64_MAX);
        assert_int_equal(histogram.counts[HISTOGRAM_RANGES - 1], 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sort), cmocka_unit_test(test_percentile_of_one), cmocka_unit_test(test_percentile_is_the_nearest_rank),
                cmocka_unit_test(test_mean), cmocka_unit_test(test_spread),            cmocka_unit_test(test_random_order),
                cmocka_unit_test(test_histogram),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
