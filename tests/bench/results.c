/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "results.h"

void results_init(struct results *results, size_t n_runs) {
        *results = (struct results){ .n_runs = n_runs };
}

static void result_fini(struct result *result) {
        for (unsigned i = 0; i < N_RESULT_MEASURES; i++)
                free(result->values[i]);
        free(result->latencies);
}

void results_fini(struct results *results) {
        for (size_t i = 0; i < results->n; i++)
                result_fini(&results->items[i]);
        free(results->items);
        *results = (struct results){ 0 };
}

static struct result *results_look(const struct results *results, const char *placement, const struct workload *workload,
                                   const struct subject_kind *subject) {
        for (size_t i = 0; i < results->n; i++) {
                struct result *result = &results->items[i];

                if (result->workload == workload && result->subject == subject && strcmp(result->placement, placement) == 0)
                        return result;
        }
        return NULL;
}

const struct result *results_find(const struct results *results, const char *placement, const struct workload *workload,
                                  const struct subject_kind *subject) {
        const struct result *result = results_look(results, placement, workload, subject);

        return result && result->n > 0 ? result : NULL;
}

static int result_init(struct result *result, size_t n_runs) {
        for (unsigned i = 0; i < N_RESULT_MEASURES; i++) {
                result->values[i] = calloc(n_runs, sizeof(double));
                if (!result->values[i])
                        return -ENOMEM;
        }
        if (result->workload->unit == WORKLOAD_LATENCY) {
                result->latencies = calloc(1, sizeof(*result->latencies));
                if (!result->latencies)
                        return -ENOMEM;
        }
        return 0;
}

struct result *results_get(struct results *results, const char *placement, const struct workload *workload, const struct subject_kind *subject) {
        struct result result = { .placement = placement, .workload = workload, .subject = subject }, *items, *found;

        found = results_look(results, placement, workload, subject);
        if (found)
                return found;
        items = reallocarray(results->items, results->n + 1, sizeof(*items));
        if (!items)
                return NULL;
        results->items = items;
        if (result_init(&result, results->n_runs) < 0) {
                result_fini(&result);
                return NULL;
        }
        items[results->n] = result;
        return &items[results->n++];
}

static void result_add_latencies(struct result *result, struct workload_run *run) {
        size_t n = run->setup->n_accesses;

        for (size_t i = 0; i < n; i++)
                histogram_add(result->latencies, run->latencies[i]);
        stats_sort(run->latencies, n);
        result->values[RESULT_MAIN][result->n] = stats_mean(run->latencies, n);
        result->values[RESULT_P50][result->n] = (double) stats_percentile(run->latencies, n, 500);
        result->values[RESULT_P99][result->n] = (double) stats_percentile(run->latencies, n, 990);
}

static uint64_t result_n_pages(const struct result *result, const struct workload_run *run) {
        switch (result->workload->unit) {
        case WORKLOAD_LATENCY:
                return run->setup->n_accesses;
        case WORKLOAD_RATE:
                return run->bytes / CONTENT_BLOCK;
        case WORKLOAD_TOUCHES:
                return run->n_touches;
        default:
                return 0;
        }
}

static double result_per_second(const struct workload_run *run, uint64_t n) {
        return run->ns ? (double) n * (double) CLOCK_NS_PER_SECOND / (double) run->ns : NAN;
}

void result_add(struct result *result, struct workload_run *run) {
        uint64_t n_pages = result_n_pages(result, run);

        for (unsigned i = 0; i < N_RESULT_MEASURES; i++)
                result->values[i][result->n] = NAN;
        if (result->workload->unit == WORKLOAD_LATENCY)
                result_add_latencies(result, run);
        else if (result->workload->unit == WORKLOAD_NUMBER)
                result->values[RESULT_MAIN][result->n] = run->number;
        else
                result->values[RESULT_MAIN][result->n] = result_per_second(run, result->workload->unit == WORKLOAD_RATE ? run->bytes : run->n_touches);
        if (run->cpu_ns != UINT64_MAX && n_pages > 0)
                result->values[RESULT_CPU][result->n] = (double) run->cpu_ns / (double) n_pages;
        result->values[RESULT_HITS][result->n] = run->hits;
        result->n++;
}

/* All runs of a result have a measure, or none has. */
static bool result_has(const struct result *result, enum result_measure measure) {
        for (size_t i = 0; i < result->n; i++)
                if (isnan(result->values[measure][i]))
                        return false;
        return result->n > 0;
}

bool result_median(const struct result *result, enum result_measure measure, double *ret_median) {
        struct stats_spread spread;

        if (!result_has(result, measure) || stats_spread(result->values[measure], result->n, &spread) < 0)
                return false;
        *ret_median = spread.median;
        return true;
}

bool result_ratio(const struct result *result, const struct result *other, enum result_measure measure, double *ret_median) {
        double mine, theirs, *ratios;
        struct stats_spread spread;
        int r;

        if (!result_median(result, measure, &mine) || !result_median(other, measure, &theirs) || theirs <= 0)
                return false;
        if (result->n != other->n) {
                *ret_median = mine / theirs;
                return true;
        }
        ratios = calloc(result->n, sizeof(*ratios));
        if (!ratios)
                return false;
        for (size_t i = 0; i < result->n; i++)
                ratios[i] = result->values[measure][i] / other->values[measure][i];
        r = stats_spread(ratios, result->n, &spread);
        free(ratios);
        *ret_median = r < 0 ? mine / theirs : spread.median;
        return true;
}

/* In times of the other's time. */
static double result_times(const struct result *result, const struct result *other, enum result_measure measure) {
        double ratio;

        if (!other || !result_ratio(result, other, measure, &ratio) || ratio <= 0)
                return 0;
        return result->workload->unit == WORKLOAD_LATENCY ? ratio : 1 / ratio;
}

int results_summarize(const struct results *results, const struct result *result, struct result_summary *ret_summary) {
        const struct workload *workload = result->workload;
        const struct result *floor = results_find(results, result->placement, workload, &subject_floor);
        const struct result *base = workload->base ? results_find(results, result->placement, workload, workload->base) : NULL;
        struct result_summary summary = { .main = { .median = NAN, .min = NAN, .max = NAN } };
        bool is_latency = workload->unit == WORKLOAD_LATENCY;

        assert(result->n > 0);
        if (result_has(result, RESULT_MAIN) && stats_spread(result->values[RESULT_MAIN], result->n, &summary.main) < 0)
                return -ENOMEM;
        for (unsigned i = 0; i < N_RESULT_MEASURES; i++)
                if (!result_median(result, (enum result_measure) i, &summary.medians[i]))
                        summary.medians[i] = NAN;
        summary.ratio = result_times(result, floor, RESULT_MAIN);
        summary.ratio_p50 = is_latency ? result_times(result, floor, RESULT_P50) : 0;
        summary.to_base = result_times(result, base, is_latency ? RESULT_P50 : RESULT_MAIN);
        *ret_summary = summary;
        return 0;
}
