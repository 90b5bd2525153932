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

#include "bounds.h"
#include "plot.h"
#include "report.h"

#define N_ACCESSES 4
#define N_RUNS 3
#define N_BOUNDS_KNOWN 3 /* of the fixture: time and CPU time of a read fault, and the sequential read */

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
        struct workload_run run = { .setup = &fixture->setup, .latencies = latencies, .cpu_ns = 4000, .hits = NAN };
        struct result *result = results_get(&fixture->results, "same CPU", &workload_random_read, subject);

        assert_non_null(result);
        result_add(result, &run);
}

static void add_rate(struct fixture *fixture, const struct subject_kind *subject, uint64_t ns) {
        struct workload_run run = { .setup = &fixture->setup, .ns = ns, .bytes = 1000, .cpu_ns = UINT64_MAX, .hits = NAN };
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
                add_rate(fixture, &subject_floor_2m, 1000 * run);
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
        assert_true(is_near(summary.medians[RESULT_P50], 600) && is_near(summary.medians[RESULT_P99], 1200));
        assert_true(is_near(summary.ratio, 1.5) && is_near(summary.ratio_p50, 1.5) && is_near(summary.to_base, 1.5));
        assert_true(is_near(summary.medians[RESULT_CPU], 1000) && isnan(summary.medians[RESULT_HITS]));
}

static void test_rate_summary_compares_times(void **state) {
        struct fixture *fixture = *state;
        struct result_summary summary;

        assert_int_equal(results_summarize(&fixture->results, &fixture->results.items[3], &summary), 0);
        assert_true(is_near(summary.main.median, 1e9) && is_near(summary.to_base, 0.5) && is_near(summary.ratio, 0));
}

static void test_a_result_without_a_base_has_no_ratio(void **state) {
        struct fixture *fixture = *state;
        struct result_summary summary;
        struct result *result = results_get(&fixture->results, "any CPU", &workload_sequential_read, &subject_bigfile);

        assert_non_null(result);
        result_add(result, &(struct workload_run){ .setup = &fixture->setup, .ns = 1, .bytes = 1, .cpu_ns = UINT64_MAX, .hits = NAN });
        assert_int_equal(results_summarize(&fixture->results, result, &summary), 0);
        assert_true(is_near(summary.ratio, 0) && is_near(summary.to_base, 0));
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
        assert_true(json_object_object_get_ex(root, "bounds", &list));
        assert_int_equal(json_object_array_length(list), N_BOUNDS_KNOWN);
        item = json_object_array_get_idx(list, 0);
        assert_true(is_near(member(item, "value"), 1.5) && is_near(member(item, "limit"), 1.1));
        assert_true(json_object_object_get_ex(item, "verdict", &value));
        assert_string_equal(json_object_get_string(value), "missed");
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

static void test_bounds(void **state) {
        struct fixture *fixture = *state;
        unsigned n_known = 0, n_met = 0, n_missed = 0;
        double value;

        for (const struct bound *bound = bounds; bound->title; bound++) {
                enum bound_verdict verdict = bound_check(bound, &fixture->results, REPORT_SAME_CPU, &value);

                n_known += verdict != BOUND_UNKNOWN;
                n_met += verdict == BOUND_MET;
                n_missed += verdict == BOUND_MISSED;
                if (verdict == BOUND_MET)
                        assert_true(is_near(value, 2) && bound->workload == &workload_sequential_read);
                assert_int_equal(bound_check(bound, &fixture->results, REPORT_ANY_CPU, &value), BOUND_UNKNOWN);
        }
        assert_int_equal(n_known, N_BOUNDS_KNOWN);
        assert_int_equal(n_met, 1);
        assert_int_equal(n_missed, 1);
}

static int print_bounds(FILE *out, const struct report_about *about, const struct results *results) {
        (void) about;
        return report_bounds(out, results);
}

static void test_what_is_left_out_says_why(void **state) {
        struct fixture *fixture = *state;
        struct result *result = results_get(&fixture->results, REPORT_ANY_CPU, &workload_sequential_huge, &subject_bigfile_huge);
        char *text, *json, *told;

        assert_non_null(result);
        reason_say(&result->reason, "%s", "no huge pages today");
        text = print(fixture, report_text);
        json = print(fixture, report_json);
        told = print(fixture, print_bounds);
        assert_non_null(strstr(text, "left out: no huge pages today"));
        assert_non_null(strstr(json, "no huge pages today"));
        assert_non_null(strstr(told, "no huge pages today"));
        assert_non_null(strstr(told, "missed") && strstr(told, "met") ? told : NULL);
        free(text);
        free(json);
        free(told);
}

static char *draw(const struct plot *plot) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        assert_int_equal(plot_svg(out, plot), 0);
        fclose(out);
        return text;
}

/* The corners of the drawing are those of the data. */
static void test_plot(void **state) {
        static const struct plot_point points[] = { { 1, 0 }, { 10, 5 }, { 100, 10 } };
        static const struct plot_line line = { .title = "some line", .points = points, .n = 3 };
        struct plot plot = { .title = "t", .x_title = "x", .y_title = "y", .x_is_log = true, .lines = &line, .n_lines = 1 };
        char *text = draw(&plot);

        (void) state;
        assert_non_null(strstr(text, "points=\"70.0,430.0 370.0,235.0 670.0,40.0\""));
        assert_non_null(strstr(text, "some line"));
        free(text);
}

static void test_plot_of_next_to_nothing(void **state) {
        static const struct plot_point point = { 7, 0 };
        static const struct plot_line line = { .title = "a point", .points = &point, .n = 1 };
        struct plot plot = { .title = "t", .x_title = "x", .y_title = "y", .lines = &line, .n_lines = 1 };
        char *text = draw(&plot);

        (void) state;
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        free(text);
        plot.n_lines = 0;
        text = draw(&plot);
        assert_null(strstr(text, "nan"));
        assert_non_null(strstr(text, "</svg>"));
        free(text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_latency_summary, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_rate_summary_compares_times, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_result_without_a_base_has_no_ratio, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_text_has_a_row_for_each_result, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_left_out_says_why, set_up, tear_down),
                cmocka_unit_test(test_plot),
                cmocka_unit_test(test_plot_of_next_to_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
