/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plot.h"
#include "report.h"
#include "report_plots.h"

#define NS_PER_US 1e3
#define TOUCHES_PER_M 1e6
#define PERCENT 1e2
#define REPORT_PLOTS_TAIL 0.9995 /* the rest of the accesses would only make the axis long */

static int report_plots_write(const char *dir, const char *name, const struct plot *plot) {
        char path[PATH_MAX];
        FILE *out;
        int r;

        if (plot->n_lines == 0)
                return 0;
        if (snprintf(path, sizeof(path), "%s/%s.svg", dir, name) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        for (char *at = path + strlen(dir) + 1; *at; at++)
                if (*at == ' ')
                        *at = '-';
        out = fopen(path, "we");
        if (!out)
                return -errno;
        r = plot_svg(out, plot);
        if (fclose(out) != 0 && r == 0)
                r = -errno;
        return r;
}

/* The part of the accesses that took no longer. Answers how many points there are. */
static size_t report_plots_accumulate(const struct histogram *histogram, struct plot_point points[static HISTOGRAM_RANGES]) {
        uint64_t sum = 0;
        size_t n = 0;

        for (size_t i = 0; i < HISTOGRAM_RANGES && (double) sum < REPORT_PLOTS_TAIL * (double) histogram->n; i++) {
                if (histogram->counts[i] == 0 && sum == 0)
                        continue;
                if (n == 0)
                        points[n++] = (struct plot_point){ .x = histogram_bound(i > 0 ? i : 1) / NS_PER_US };
                sum += histogram->counts[i];
                points[n++] = (struct plot_point){ .x = histogram_bound(i + 1) / NS_PER_US, .y = (double) sum / (double) histogram->n * PERCENT };
        }
        return n;
}

static int report_plots_latency(const char *dir, const struct results *results, const struct workload *workload, const char *placement) {
        struct plot_point(*points)[HISTOGRAM_RANGES + 1] = calloc(PLOT_LINES_MAX, sizeof(*points));
        struct plot_line lines[PLOT_LINES_MAX];
        struct plot plot = { .x_title = "microseconds", .y_title = "percent of accesses that took no longer", .x_is_log = true, .lines = lines };
        char title[200], name[100];
        int r;

        if (!points)
                return -ENOMEM;
        for (size_t i = 0; i < results->n && plot.n_lines < PLOT_LINES_MAX; i++) {
                const struct result *result = &results->items[i];

                if (result->workload != workload || strcmp(result->placement, placement) != 0 || result->n == 0)
                        continue;
                lines[plot.n_lines] = (struct plot_line){ .title = result->subject->title, .points = points[plot.n_lines] };
                lines[plot.n_lines].n = report_plots_accumulate(result->latencies, points[plot.n_lines]);
                plot.n_lines++;
        }
        snprintf(title, sizeof(title), "%s (%s)", workload->title, placement);
        snprintf(name, sizeof(name), "latency-%s-%s", workload->name, placement);
        plot.title = title;
        r = report_plots_write(dir, name, &plot);
        free(points);
        return r;
}

#define REPORT_PLOTS_POOLS (sizeof(workload_pool_zipf) / sizeof(workload_pool_zipf[0]))

/* One subject's medians over the sizes of the pool. */
static size_t report_plots_over_pools(const struct results *results, const struct subject_kind *subject, enum result_measure measure, double scale,
                                      struct plot_point points[static REPORT_PLOTS_POOLS]) {
        size_t n = 0;

        for (size_t i = 0; i < REPORT_PLOTS_POOLS; i++) {
                const struct result *result = results_find(results, REPORT_ANY_CPU, &workload_pool_zipf[i], subject);
                double median;

                if (result && result_median(result, measure, &median))
                        points[n++] = (struct plot_point){ .x = workload_pool_zipf[i].pool_percent, .y = median * scale };
        }
        return n;
}

static int report_plots_pool(const char *dir, const struct results *results, const char *name, const char *y_title, enum result_measure measure, double scale) {
        struct plot_point points[PLOT_LINES_MAX][REPORT_PLOTS_POOLS];
        struct plot_line lines[PLOT_LINES_MAX];
        struct plot plot = {
                .title = "Zipf(0.99) over a file that is not in the page cache", .x_title = "pool, percent of the file", .y_title = y_title, .lines = lines
        };

        for (size_t i = 0; workload_pool_zipf[0].subjects[i] && plot.n_lines < PLOT_LINES_MAX; i++) {
                const struct subject_kind *subject = workload_pool_zipf[0].subjects[i];
                size_t n = report_plots_over_pools(results, subject, measure, scale, points[plot.n_lines]);

                if (n > 0) {
                        lines[plot.n_lines] = (struct plot_line){ .title = subject->title, .points = points[plot.n_lines], .n = n };
                        plot.n_lines++;
                }
        }
        return report_plots_write(dir, name, &plot);
}

int report_plots(const char *dir, const struct results *results) {
        int r = 0;

        if (mkdir(dir, 0777) < 0 && errno != EEXIST)
                return -errno;
        for (size_t i = 0; workloads[i]; i++)
                for (size_t j = 0; r == 0 && report_placements[j]; j++)
                        if (workloads[i]->unit == WORKLOAD_LATENCY)
                                r = report_plots_latency(dir, results, workloads[i], report_placements[j]);
        if (r == 0)
                r = report_plots_pool(dir, results, "pool-throughput", "million touches a second", RESULT_MAIN, 1 / TOUCHES_PER_M);
        if (r == 0)
                r = report_plots_pool(dir, results, "pool-hits", "percent of touches without a load", RESULT_HITS, PERCENT);
        return r;
}
