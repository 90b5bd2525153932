/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <math.h>
#include <string.h>

#include "report.h"
#include "size.h"

#define NS_PER_US 1e3
#define BYTES_PER_GB 1e9
#define TOUCHES_PER_M 1e6
#define PERCENT 1e2

const char *const report_placements[] = { REPORT_SAME_CPU, REPORT_ANY_CPU, NULL };

/* How a kind of workload is told. */
static const struct {
        const char *unit; /* NULL: the workload's own */
        double scale;
        const char *main;
} report_text_units[] = {
        [WORKLOAD_LATENCY] = { "us per access", NS_PER_US, "mean" },
        [WORKLOAD_RATE] = { "GB/s", BYTES_PER_GB, "median" },
        [WORKLOAD_TOUCHES] = { "million touches/s", TOUCHES_PER_M, "median" },
        [WORKLOAD_NUMBER] = { NULL, 1, "median" },
};

static void report_text_head(FILE *out, const struct report_about *about) {
        char file[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX];

        fprintf(out, "file %s, in the page cache where nothing else is said; pool %s or as said; %zu accesses\nmedians of %zu runs, or of 3 that are long\n",
                size_format(about->file_bytes, file), size_format(about->setup->pool_bytes, pool), about->setup->n_accesses, about->n_runs);
        fprintf(out, "Linux %s, %u CPUs; each time has one reading of the clock in it, about %ju ns\n", about->kernel, about->n_cpus,
                (uintmax_t) about->clock_ns);
        fprintf(out, "to base: the time (of single accesses, the median) in times of that of the subject marked *; under 1 is faster\n"
                     "server: CPU time of the subject's server for each page, microseconds\n"
                     "hits: touches that needed no load (mmap: that did not wait for the disk)\n");
}

static void report_text_title(FILE *out, const struct result *result) {
        const struct workload *workload = result->workload;
        const char *unit = report_text_units[workload->unit].unit;

        fprintf(out, "\n%s: %s (%s)\n  %-24s %10s %10s %10s", workload->name, workload->title, result->placement, unit ? unit : workload->number_unit,
                report_text_units[workload->unit].main, "min", "max");
        if (workload->unit == WORKLOAD_LATENCY)
                fprintf(out, " %10s %10s", "p50", "p99");
        if (workload->base)
                fprintf(out, " %9s %8s", "to base", "server");
        if (workload->trace)
                fprintf(out, " %8s", "hits");
        fprintf(out, "\n");
}

static void report_text_number(FILE *out, int width, int digits, double number) {
        if (isnan(number))
                fprintf(out, " %*s", width, "");
        else
                fprintf(out, " %*.*f", width, digits, number);
}

static void report_text_row(FILE *out, const struct result *result, const struct result_summary *summary) {
        const struct workload *workload = result->workload;
        double scale = report_text_units[workload->unit].scale;
        bool is_base = result->subject == workload->base;

        fprintf(out, "  %-22s %c", result->subject->title, is_base ? '*' : ' ');
        report_text_number(out, 10, 3, summary->main.median / scale);
        report_text_number(out, 10, 3, summary->main.min / scale);
        report_text_number(out, 10, 3, summary->main.max / scale);
        if (workload->unit == WORKLOAD_LATENCY) {
                report_text_number(out, 10, 3, summary->medians[RESULT_P50] / scale);
                report_text_number(out, 10, 3, summary->medians[RESULT_P99] / scale);
        }
        if (workload->base) {
                report_text_number(out, 8, 2, summary->to_base > 0 ? summary->to_base : NAN);
                fprintf(out, "%s", summary->to_base > 0 ? "x" : " ");
                report_text_number(out, 8, 2, summary->medians[RESULT_CPU] / NS_PER_US);
        }
        if (workload->trace)
                report_text_number(out, 7, 1, summary->medians[RESULT_HITS] * PERCENT);
        fprintf(out, "%s\n", workload->trace && !isnan(summary->medians[RESULT_HITS]) ? "%" : "");
}

int report_text(FILE *out, const struct report_about *about, const struct results *results) {
        const struct result *last = NULL;
        struct result_summary summary;
        int r;

        report_text_head(out, about);
        for (size_t i = 0; i < results->n; i++) {
                const struct result *result = &results->items[i];

                if (!last || last->workload != result->workload || strcmp(last->placement, result->placement) != 0)
                        report_text_title(out, result);
                last = result;
                if (result->n == 0) {
                        fprintf(out, "  %-24s left out: %s\n", result->subject->title, result->reason.text);
                        continue;
                }
                r = results_summarize(results, result, &summary);
                if (r < 0)
                        return r;
                report_text_row(out, result, &summary);
        }
        return 0;
}
