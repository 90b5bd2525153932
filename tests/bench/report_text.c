/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "report.h"
#include "size.h"

#define NS_PER_US 1e3
#define BYTES_PER_GB 1e9

static void report_text_head(FILE *out, const struct report_about *about) {
        char file[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX];

        fprintf(out, "file %s, all of it in the page cache; pool %s; %zu accesses; medians of %zu runs\n", size_format(about->file_bytes, file),
                size_format(about->setup->pool_bytes, pool), about->setup->n_accesses, about->n_runs);
        fprintf(out, "Linux %s, %u CPUs; each time has one reading of the clock in it, about %ju ns\n", about->kernel, about->n_cpus,
                (uintmax_t) about->clock_ns);
        fprintf(out, "mean/floor, time/floor, p50/floor: in times of the time of the bare userfaultfd loop; under 1 is faster\n");
}

static void report_text_title(FILE *out, const struct result *result) {
        if (result->workload->unit == WORKLOAD_LATENCY)
                fprintf(out, "\n%s (%s)\n  %-20s %10s %10s %10s %11s %10s %10s %11s\n", result->workload->title, result->placement,
                        "us per access", "mean", "min", "max", "mean/floor", "p50", "p99", "p50/floor");
        else
                fprintf(out, "\n%s (%s)\n  %-20s %10s %10s %10s %11s\n", result->workload->title, result->placement, "GB/s", "median", "min",
                        "max", "time/floor");
}

static void report_text_row(FILE *out, const struct result *result, const struct result_summary *summary) {
        bool is_latency = result->workload->unit == WORKLOAD_LATENCY;
        double scale = is_latency ? NS_PER_US : BYTES_PER_GB;

        fprintf(out, "  %-20s %10.3f %10.3f %10.3f %10.2fx", result->subject->title, summary->main.median / scale, summary->main.min / scale,
                summary->main.max / scale, summary->ratio);
        if (is_latency)
                fprintf(out, " %10.3f %10.3f %10.2fx", summary->p50 / scale, summary->p99 / scale, summary->ratio_p50);
        fprintf(out, "\n");
}

int report_text(FILE *out, const struct report_about *about, const struct results *results) {
        const struct result *last = NULL;
        struct result_summary summary;
        int r;

        report_text_head(out, about);
        for (size_t i = 0; i < results->n; i++) {
                const struct result *result = &results->items[i];

                r = results_summarize(results, result, &summary);
                if (r < 0)
                        return r;
                if (!last || last->workload != result->workload || strcmp(last->placement, result->placement) != 0)
                        report_text_title(out, result);
                report_text_row(out, result, &summary);
                last = result;
        }
        return 0;
}
