/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <json-c/json.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report.h"

#define N_ACCESSES 4
#define N_RUNS 3

struct fixture {
        struct setup setup;
        struct results results;
        struct report_about about;
};

static bool is_near(double a, double b) {
        return fabs(a - b) < 1e-6 * (fabs(a) + fabs(b) + 1);
}

/* One run over four accesses that took ns, 2 ns, 3 ns and 4 ns. */
static void add_latency(struct fixture *fixture, const struct subject_kind *subject, uint64_t ns) {
        uint64_t latencies[N_ACCESSES] = { 4 * ns, ns, 3 * ns, 2 * ns };
        struct workload_run run = { .setup = &fixture->setup, .latencies = latencies };
        struct result *result = results_get(&fixture->results, "same CPU", &workload_random_read, subject);

        assert_non_null(result);
        result_add(result, &run);
}

static void add_rate(struct fixture *fixture, const struct subject_kind *subject, uint64_t ns) {
        struct workload_run run = { .setup = &fixture->setup, .ns = ns, .bytes = 1000 };
        struct result *result = results_get(&fixture->results, "same CPU", &workload_sequential_read, subject);

        assert_non_null(result);
        result_add(result, &run);
}

static int set_up(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->setup = (struct setup){ .pool_bytes = UINT64_C(1) << 20, .n_accesses = N_ACCESSES };
        fixture->about = (struct report_about){
                .setup = &fixture->setup, .file_bytes = UINT64_C(1) << 30, .n_runs = N_RUNS, .kernel = "6.6", .n_cpus = 2, .clock_ns = 20
        };
        results_init(&fixture->results, N_RUNS);
        for (uint64_t run = 1; run <= N_RUNS; run++) {
                add_latency(fixture, &subject_floor, 100 * run);
                add_latency(fixture, &subject_bigfile, 150 * run);
                add_rate(fixture, &subject_floor, 1000 * run);
                add_rate(fixture, &subject_bigfile, 500 * run);
        }
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *fixture = *state;

        results_fini(&fixture->results);
        free(fixture);
        return 0;
}

static void test_latency_summary(void **state) {
        struct fixture *fixture = *state;
        struct result_summary summary;

        assert_int_equal(results_summarize(&fixture->results, &fixture->results.items[1], &summary), 0);
        assert_true(is_near(summary.main.median, 750) && is_near(summary.main.min, 375) && is_near(summary.main.max, 1125));
        assert_true(is_near(summary.p50, 600) && is_near(summary.p99, 1200));
        assert_true(is_near(summary.ratio, 1.5) && is_near(summary.ratio_p50, 1.5));
}

static void test_rate_summary_compares_times(void **state) {
        struct fixture *fixture = *state;
        struct result_summary summary;

        assert_int_equal(results_summarize(&fixture->results, &fixture->results.items[3], &summary), 0);
        assert_true(is_near(summary.main.median, 1e9) && is_near(summary.ratio, 0.5));
}

static void test_a_result_without_a_floor_has_no_ratio(void **state) {
        struct fixture *fixture = *state;
        struct result_summary summary;
        struct result *result = results_get(&fixture->results, "any CPU", &workload_sequential_read, &subject_bigfile);

        assert_non_null(result);
        result_add(result, &(struct workload_run){ .setup = &fixture->setup, .ns = 0, .bytes = 1 });
        assert_int_equal(results_summarize(&fixture->results, result, &summary), 0);
        assert_true(is_near(summary.ratio, 0));
}

static char *print(struct fixture *fixture, int (*report)(FILE *, const struct report_about *, const struct results *)) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        assert_int_equal(report(out, &fixture->about, &fixture->results), 0);
        fclose(out);
        return text;
}

static double member(struct json_object *object, const char *key) {
        struct json_object *value;

        assert_true(json_object_object_get_ex(object, key, &value));
        return json_object_get_double(value);
}

static void test_json(void **state) {
        struct fixture *fixture = *state;
        char *text = print(fixture, report_json);
        struct json_object *root = json_tokener_parse(text), *list, *item, *value;

        assert_non_null(root);
        assert_true(json_object_object_get_ex(root, "schema", &value));
        assert_string_equal(json_object_get_string(value), "bfbench/1");
        assert_true(is_near(member(root, "file_bytes"), 1 << 30) && is_near(member(root, "pool_bytes"), 1 << 20));
        assert_true(json_object_object_get_ex(root, "results", &list));
        assert_int_equal(json_object_array_length(list), 4);
        item = json_object_array_get_idx(list, 1);
        assert_true(is_near(member(item, "median"), 750) && is_near(member(item, "p50"), 600) && is_near(member(item, "p99"), 1200));
        assert_true(is_near(member(item, "p50_to_floor"), 1.5) && is_near(member(item, "time_to_floor"), 1.5));
        assert_true(json_object_object_get_ex(item, "runs", &value));
        assert_int_equal(json_object_array_length(value), N_RUNS);
        assert_true(json_object_object_get_ex(item, "unit", &value));
        assert_string_equal(json_object_get_string(value), "ns");
        json_object_put(root);
        free(text);
}

static void test_text_has_a_row_for_each_result(void **state) {
        struct fixture *fixture = *state;
        char *text = print(fixture, report_text), *row = text;
        unsigned n_rows = 0;

        while ((row = strstr(row, subject_bigfile.title))) {
                n_rows++;
                row++;
        }
        assert_int_equal(n_rows, 2);
        assert_non_null(strstr(text, workload_random_read.title));
        assert_non_null(strstr(text, "1.50x"));
        assert_non_null(strstr(text, "0.50x"));
        free(text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_latency_summary, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_rate_summary_compares_times, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_result_without_a_floor_has_no_ratio, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_text_has_a_row_for_each_result, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
