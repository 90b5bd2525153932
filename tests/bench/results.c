/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "results.h"

void results_init(struct results *results, size_t n_runs) {
        *results = (struct results){ .n_runs = n_runs };
}

static void result_fini(struct result *result) {
        free(result->main);
        free(result->p99);
        free(result->p50);
}

void results_fini(struct results *results) {
        for (size_t i = 0; i < results->n; i++)
                result_fini(&results->items[i]);
        free(results->items);
        *results = (struct results){ 0 };
}

static struct result *results_find(const struct results *results, const char *placement, const struct workload *workload,
                                   const struct subject_kind *subject) {
        for (size_t i = 0; i < results->n; i++) {
                struct result *result = &results->items[i];

                if (result->workload == workload && result->subject == subject && strcmp(result->placement, placement) == 0)
                        return result;
        }
        return NULL;
}

struct result *results_get(struct results *results, const char *placement, const struct workload *workload, const struct subject_kind *subject) {
        struct result result = { .placement = placement, .workload = workload, .subject = subject }, *items, *found;

        found = results_find(results, placement, workload, subject);
        if (found)
                return found;
        items = reallocarray(results->items, results->n + 1, sizeof(*items));
        if (!items)
                return NULL;
        results->items = items;
        result.main = calloc(results->n_runs, sizeof(double));
        result.p99 = calloc(results->n_runs, sizeof(double));
        result.p50 = calloc(results->n_runs, sizeof(double));
        if (!result.main || !result.p99 || !result.p50) {
                result_fini(&result);
                return NULL;
        }
        items[results->n] = result;
        return &items[results->n++];
}

void result_add(struct result *result, struct workload_run *run) {
        size_t n = run->setup->n_accesses;

        if (result->workload->unit == WORKLOAD_LATENCY) {
                stats_sort(run->latencies, n);
                result->main[result->n] = stats_mean(run->latencies, n);
                result->p50[result->n] = (double) stats_percentile(run->latencies, n, 500);
                result->p99[result->n] = (double) stats_percentile(run->latencies, n, 990);
        } else
                result->main[result->n] = (double) run->bytes * (double) CLOCK_NS_PER_SECOND / (double) (run->ns ? run->ns : 1);
        result->n++;
}

static int results_summarize_alone(const struct result *result, struct result_summary *ret_summary) {
        struct result_summary summary = { 0 };
        struct stats_spread spread;
        int r;

        r = stats_spread(result->main, result->n, &summary.main);
        if (r < 0)
                return r;
        r = stats_spread(result->p50, result->n, &spread);
        if (r < 0)
                return r;
        summary.p50 = spread.median;
        r = stats_spread(result->p99, result->n, &spread);
        if (r < 0)
                return r;
        summary.p99 = spread.median;
        *ret_summary = summary;
        return 0;
}

int results_summarize(const struct results *results, const struct result *result, struct result_summary *ret_summary) {
        const struct result *floor = results_find(results, result->placement, result->workload, &subject_floor);
        struct result_summary summary, base;
        int r;

        assert(result->n > 0);
        r = results_summarize_alone(result, &summary);
        if (r == 0 && floor)
                r = results_summarize_alone(floor, &base);
        if (r < 0)
                return r;
        if (floor && result->workload->unit == WORKLOAD_LATENCY) {
                summary.ratio = summary.main.median / base.main.median;
                summary.ratio_p50 = summary.p50 / base.p50;
        } else if (floor)
                summary.ratio = base.main.median / summary.main.median;
        *ret_summary = summary;
        return 0;
}
