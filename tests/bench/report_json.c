/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <json-c/json.h>
#include <math.h>

#include "bounds.h"
#include "report.h"

static const char *const report_json_units[] = {
        [WORKLOAD_LATENCY] = "ns",
        [WORKLOAD_RATE] = "bytes/s",
        [WORKLOAD_TOUCHES] = "touches/s",
        [WORKLOAD_NUMBER] = NULL, /* the workload's own */
};

static const char *const report_json_verdicts[] = {
        [BOUND_UNKNOWN] = "unknown",
        [BOUND_TOLD] = "none",
        [BOUND_MET] = "met",
        [BOUND_MISSED] = "missed",
};

static const char *const report_json_relations[] = {
        [BOUND_NONE] = "none",
        [BOUND_AT_MOST] = "at most",
        [BOUND_AT_LEAST] = "at least",
};

/* Takes value; NULL (out of memory) makes the result false. */
static bool report_json_put(struct json_object *object, const char *key, struct json_object *value) {
        if (!value)
                return false;
        if (json_object_object_add(object, key, value) == 0)
                return true;
        json_object_put(value);
        return false;
}

/* A number that there is not is left out. */
static bool report_json_put_number(struct json_object *object, const char *key, double value) {
        return isnan(value) || report_json_put(object, key, json_object_new_double(value));
}

/* The same. */
static bool report_json_put_numbers(struct json_object *object, const char *key, const double *values, size_t n) {
        struct json_object *array;

        if (n == 0 || isnan(values[0]))
                return true;
        array = json_object_new_array();
        for (size_t i = 0; array && i < n; i++) {
                struct json_object *value = json_object_new_double(values[i]);

                if (!value || json_object_array_add(array, value) < 0) {
                        json_object_put(value);
                        json_object_put(array);
                        return false;
                }
        }
        return report_json_put(object, key, array);
}

static bool report_json_fill_numbers(struct json_object *object, const struct result *result, const struct result_summary *summary) {
        const char *unit = report_json_units[result->workload->unit];

        return report_json_put(object, "unit", json_object_new_string(unit ? unit : result->workload->number_unit)) &&
               report_json_put_number(object, "median", summary->main.median) && report_json_put_number(object, "min", summary->main.min) &&
               report_json_put_number(object, "max", summary->main.max) && report_json_put_number(object, "time_to_floor", summary->ratio) &&
               report_json_put_number(object, "time_to_base", summary->to_base) &&
               report_json_put_numbers(object, "runs", result->values[RESULT_MAIN], result->n) &&
               report_json_put_number(object, "p50", summary->medians[RESULT_P50]) && report_json_put_number(object, "p99", summary->medians[RESULT_P99]) &&
               report_json_put_numbers(object, "runs_p50", result->values[RESULT_P50], result->n) &&
               report_json_put_numbers(object, "runs_p99", result->values[RESULT_P99], result->n) &&
               report_json_put_number(object, "p50_to_floor", result->workload->unit == WORKLOAD_LATENCY ? summary->ratio_p50 : NAN) &&
               report_json_put_number(object, "server_cpu_ns", summary->medians[RESULT_CPU]) &&
               report_json_put_number(object, "hits", summary->medians[RESULT_HITS]) &&
               report_json_put_numbers(object, "runs_hits", result->values[RESULT_HITS], result->n);
}

static bool report_json_fill(struct json_object *object, const struct results *results, const struct result *result) {
        const struct subject_kind *base = result->workload->base;
        struct result_summary summary;

        if (!report_json_put(object, "placement", json_object_new_string(result->placement)) ||
            !report_json_put(object, "workload", json_object_new_string(result->workload->name)) ||
            !report_json_put(object, "subject", json_object_new_string(result->subject->name)))
                return false;
        if (result->n == 0)
                return report_json_put(object, "left_out", json_object_new_string(result->reason.text));
        if (base && !report_json_put(object, "base", json_object_new_string(base->name)))
                return false;
        return results_summarize(results, result, &summary) == 0 && report_json_fill_numbers(object, result, &summary);
}

/* Takes both; NULL makes the result NULL. */
static struct json_object *report_json_append(struct json_object *array, struct json_object *object) {
        if (array && object && json_object_array_add(array, object) == 0)
                return array;
        json_object_put(object);
        json_object_put(array);
        return NULL;
}

static struct json_object *report_json_results(const struct results *results) {
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < results->n; i++) {
                struct json_object *object = json_object_new_object();

                if (object && !report_json_fill(object, results, &results->items[i])) {
                        json_object_put(object);
                        object = NULL;
                }
                array = report_json_append(array, object);
        }
        return array;
}

static struct json_object *report_json_bound(const struct bound *bound, const char *placement, enum bound_verdict verdict, double value) {
        struct json_object *object = json_object_new_object();

        if (object && report_json_put(object, "title", json_object_new_string(bound->title)) &&
            report_json_put(object, "placement", json_object_new_string(placement)) && report_json_put_number(object, "value", value) &&
            report_json_put(object, "relation", json_object_new_string(report_json_relations[bound->relation])) &&
            report_json_put_number(object, "limit", bound->relation == BOUND_NONE ? NAN : bound->limit) &&
            report_json_put(object, "verdict", json_object_new_string(report_json_verdicts[verdict])))
                return object;
        json_object_put(object);
        return NULL;
}

static struct json_object *report_json_bounds(const struct results *results) {
        struct json_object *array = json_object_new_array();

        for (const struct bound *bound = bounds; bound->title; bound++)
                for (size_t i = 0; array && report_placements[i]; i++) {
                        double value = NAN;
                        enum bound_verdict verdict = bound_check(bound, results, report_placements[i], &value);

                        if (verdict != BOUND_UNKNOWN || bound_reason(bound, results, report_placements[i]))
                                array = report_json_append(array, report_json_bound(bound, report_placements[i], verdict, value));
                }
        return array;
}

static bool report_json_fill_root(struct json_object *root, const struct report_about *about, const struct results *results) {
        return report_json_put(root, "schema", json_object_new_string("bfbench/1")) &&
               report_json_put(root, "kernel", json_object_new_string(about->kernel)) &&
               report_json_put(root, "cpus", json_object_new_int64(about->n_cpus)) &&
               report_json_put(root, "clock_ns", json_object_new_int64((int64_t) about->clock_ns)) &&
               report_json_put(root, "file_bytes", json_object_new_int64((int64_t) about->file_bytes)) &&
               report_json_put(root, "pool_bytes", json_object_new_int64((int64_t) about->setup->pool_bytes)) &&
               report_json_put(root, "accesses", json_object_new_int64((int64_t) about->setup->n_accesses)) &&
               report_json_put(root, "runs", json_object_new_int64((int64_t) about->n_runs)) &&
               report_json_put(root, "results", report_json_results(results)) && report_json_put(root, "bounds", report_json_bounds(results));
}

int report_json(FILE *out, const struct report_about *about, const struct results *results) {
        struct json_object *root = json_object_new_object();
        int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE, r = -ENOMEM;

        if (root && report_json_fill_root(root, about, results)) {
                fprintf(out, "%s\n", json_object_to_json_string_ext(root, flags));
                r = ferror(out) ? -EIO : 0;
        }
        json_object_put(root);
        return r;
}
