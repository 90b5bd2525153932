/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "latency.h"

/* Values of all sizes, and those beside each power of two. */
static uint64_t next_value(uint64_t value) {
        return value + 1 + value / 97;
}

static void test_a_value_is_in_its_bucket(void **state) {
        uint64_t value;

        (void) state;
        for (value = 0; value >> (HISTOGRAM_POWER_MAX + 1) == 0; value = next_value(value)) {
                unsigned bucket = histogram_bucket(value);

                assert_true(bucket < HISTOGRAM_BUCKETS);
                assert_true(value <= histogram_bucket_max(bucket));
                assert_true(bucket == 0 || value > histogram_bucket_max(bucket - 1));
        }
}

static void test_buckets_are_a_sixteenth_wide(void **state) {
        (void) state;
        for (unsigned bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
                uint64_t max = histogram_bucket_max(bucket), below = histogram_bucket_max(bucket - 1);

                assert_true(max > below);
                assert_true(max - below <= 1 || (max - below) * 16 <= max);
                assert_int_equal(histogram_bucket(max), bucket);
                assert_int_equal(histogram_bucket(max + 1), bucket + 1 < HISTOGRAM_BUCKETS ? bucket + 1 : bucket);
        }
}

static void test_what_is_too_long_is_in_the_last_one(void **state) {
        (void) state;
        assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
        assert_int_equal(histogram_bucket(UINT64_C(1) << (HISTOGRAM_POWER_MAX + 1)), HISTOGRAM_BUCKETS - 1);
}

static void test_quantiles(void **state) {
        uint64_t counts[HISTOGRAM_BUCKETS] = { 0 };

        (void) state;
        assert_int_equal(histogram_quantile(counts, 500000), 0);
        for (uint64_t usec = 1; usec <= 1000; usec++)
                counts[histogram_bucket(usec * 1000)]++;
        assert_int_equal(histogram_count(counts), 1000);
        for (unsigned part = 1; part <= 1000; part++) {
                uint64_t found = histogram_quantile(counts, part * 1000), exact = part * 1000;

                assert_true(found >= exact && found <= exact + exact / 16);
        }
        assert_true(histogram_quantile(counts, 0) >= 1000 && histogram_quantile(counts, 0) < 1100);
        assert_int_equal(histogram_quantile(counts, 1000000), histogram_bucket_max(histogram_bucket(1000000)));
        assert_int_equal(histogram_count_to(counts, UINT64_MAX), 1000);
        assert_int_equal(histogram_count_to(counts, 900), 0);
}

static void test_latencies_sum_up(void **state) {
        static struct latencies one, other;
        static struct report_histogram sum;

        (void) state;
        latency_record(&one, REPORT_LOAD, 1000);
        latency_record(&other, REPORT_LOAD, 1000);
        latency_record(&other, REPORT_LOAD, 5000);
        latency_record(&other, REPORT_STORE, 7);
        latency_sum_up(&one, REPORT_LOAD, &sum);
        latency_sum_up(&other, REPORT_LOAD, &sum);
        assert_int_equal(sum.sum_nsec, 7000);
        assert_int_equal(sum.counts[histogram_bucket(1000)], 2);
        assert_int_equal(histogram_count(sum.counts), 3);
}

/* What it costs to have this always on. */
static void test_the_cost_is_told(void **state) {
        enum { N = 1000000 };
        static struct latencies latencies;
        uint64_t began = latency_now(), clock_nsec, record_nsec;

        (void) state;
        for (unsigned i = 0; i < N; i++)
                (void) latency_now();
        clock_nsec = latency_now() - began;
        began = latency_now();
        for (unsigned i = 0; i < N; i++)
                latency_record(&latencies, REPORT_FAULT, (i * 2654435761u) >> 8);
        record_nsec = latency_now() - began;
        print_message("a record takes %.1f ns, and to look at the clock %.1f ns\n", (double) record_nsec / N, (double) clock_nsec / N);
        assert_int_equal(histogram_count((const uint64_t *) &latencies.of[REPORT_FAULT].buckets[0]), N);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_value_is_in_its_bucket),
                cmocka_unit_test(test_buckets_are_a_sixteenth_wide),
                cmocka_unit_test(test_what_is_too_long_is_in_the_last_one),
                cmocka_unit_test(test_quantiles),
                cmocka_unit_test(test_latencies_sum_up),
                cmocka_unit_test(test_the_cost_is_told),
        };

        return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
