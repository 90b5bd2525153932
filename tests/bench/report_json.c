/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <json-c/json.h>

#include "report.h"

/* Takes value; NULL (out of memory) makes the result false. */
static bool report_json_put(struct json_object *object, const char *key, struct json_object *value) {
        if (!value)
                return false;
        if (json_object_object_add(object, key, value) == 0)
                return true;
        json_object_put(value);
        return false;
}

static struct json_object *report_json_numbers(const double *values, size_t n) {
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < n; i++) {
                struct json_object *value = json_object_new_double(values[i]);

                if (!value || json_object_array_add(array, value) < 0) {
                        json_object_put(value);
                        json_object_put(array);
                        return NULL;
                }
        }
        return array;
}

static bool report_json_fill_latency(struct json_object *object, const struct result *result, const struct result_summary *summary) {
        return report_json_put(object, "unit", json_object_new_string("ns")) &&
               report_json_put(object, "p50", json_object_new_double(summary->p50)) &&
               report_json_put(object, "p99", json_object_new_double(summary->p99)) &&
               report_json_put(object, "p50_to_floor", json_object_new_double(summary->ratio_p50)) &&
               report_json_put(object, "runs_p50", report_json_numbers(result->p50, result->n)) &&
               report_json_put(object, "runs_p99", report_json_numbers(result->p99, result->n));
}

static bool report_json_fill(struct json_object *object, const struct result *result, const struct result_summary *summary) {
        bool is_latency = result->workload->unit == WORKLOAD_LATENCY;

        return report_json_put(object, "placement", json_object_new_string(result->placement)) &&
               report_json_put(object, "workload", json_object_new_string(result->workload->name)) &&
               report_json_put(object, "subject", json_object_new_string(result->subject->name)) &&
               report_json_put(object, "median", json_object_new_double(summary->main.median)) &&
               report_json_put(object, "min", json_object_new_double(summary->main.min)) &&
               report_json_put(object, "max", json_object_new_double(summary->main.max)) &&
               report_json_put(object, "time_to_floor", json_object_new_double(summary->ratio)) &&
               report_json_put(object, "runs", report_json_numbers(result->main, result->n)) &&
               (is_latency ? report_json_fill_latency(object, result, summary)
                           : report_json_put(object, "unit", json_object_new_string("bytes/s")));
}

static struct json_object *report_json_result(const struct results *results, const struct result *result) {
        struct json_object *object = json_object_new_object();
        struct result_summary summary;

        if (object && results_summarize(results, result, &summary) == 0 && report_json_fill(object, result, &summary))
                return object;
        json_object_put(object);
        return NULL;
}

static struct json_object *report_json_results(const struct results *results) {
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < results->n; i++) {
                struct json_object *object = report_json_result(results, &results->items[i]);

                if (!object || json_object_array_add(array, object) < 0) {
                        json_object_put(object);
                        json_object_put(array);
                        return NULL;
                }
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
               report_json_put(root, "results", report_json_results(results));
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
