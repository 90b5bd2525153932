/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfbench: builds the setup from the command line, runs the driver for each placement, prints. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "content.h"
#include "driver.h"
#include "hugepages.h"
#include "options.h"
#include "placement.h"
#include "report.h"
#include "report_plots.h"
#include "undo.h"

#define MAIN_EXIT_USAGE 2
#define MAIN_CLOCK_TRIES 20
#define MAIN_CLOCK_READINGS 10000

static void main_on_progress(const char *placement, const char *workload, size_t run, size_t n_runs) {
        if (!isatty(STDERR_FILENO))
                return;
        if (run == 0)
                fprintf(stderr, "\r\033[K%s: %s: warming up", placement, workload);
        else
                fprintf(stderr, "\r\033[K%s: %s: run %zu of %zu", placement, workload, run, n_runs);
}

/* The best of some tries: others may want the CPU too. */
static uint64_t main_clock_cost(void) {
        uint64_t best = UINT64_MAX;

        for (size_t try = 0; try < MAIN_CLOCK_TRIES; try++) {
                uint64_t begin = clock_ns(), ns;

                for (size_t i = 0; i < MAIN_CLOCK_READINGS; i++)
                        (void) clock_ns();
                ns = (clock_ns() - begin) / MAIN_CLOCK_READINGS;
                if (ns < best)
                        best = ns;
        }
        return best;
}

static int main_measure(const struct options *options, struct driver *driver, struct results *results) {
        struct placement placement;
        unsigned cpu;
        int r;

        r = placement_init(&placement);
        if (r == 0 && options->is_pinned) {
                driver->is_pinned = true;
                r = placement_pin(&placement, &cpu);
                if (r == 0)
                        r = driver_run(driver, REPORT_SAME_CPU, results);
        }
        if (r == 0 && options->is_free) {
                driver->is_pinned = false;
                r = placement_free(&placement);
                if (r == 0)
                        r = driver_run(driver, REPORT_ANY_CPU, results);
        }
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[K");
        return r;
}

static int main_report_json(const char *path, const struct report_about *about, const struct results *results) {
        FILE *out;
        int r;

        if (strcmp(path, "-") == 0)
                return report_json(stdout, about, results);
        out = fopen(path, "we");
        if (!out) {
                r = -errno;
                fprintf(stderr, "bfbench: cannot write %s: %s\n", path, strerror(-r));
                return r;
        }
        r = report_json(out, about, results);
        if (fclose(out) != 0 && r == 0)
                r = -errno;
        return r;
}

static int main_report_plots(const char *dir, const struct results *results) {
        int r = report_plots(dir, results);

        if (r < 0)
                fprintf(stderr, "bfbench: cannot write plots to %s: %s\n", dir, strerror(-r));
        return r;
}

static int main_report(const struct options *options, const struct setup *setup, const struct results *results) {
        struct report_about about = {
                .setup = setup,
                .file_bytes = options->file_bytes,
                .n_runs = options->n_runs,
                .n_cpus = (unsigned) sysconf(_SC_NPROCESSORS_ONLN),
                .clock_ns = main_clock_cost(),
        };
        struct utsname uts;
        int r = 0;

        uname(&uts);
        about.kernel = uts.release;
        if (!options->json || strcmp(options->json, "-") != 0)
                r = report_text(stdout, &about, results);
        if (r == 0 && (!options->json || strcmp(options->json, "-") != 0))
                r = report_bounds(stdout, results);
        if (r == 0 && options->json)
                r = main_report_json(options->json, &about, results);
        if (r == 0 && options->plots)
                r = main_report_plots(options->plots, results);
        return r;
}

static int main_run(const struct options *options, const struct content *content) {
        struct setup setup = {
                .content = content,
                .pool_bytes = options->pool_bytes,
                .daemon = options->daemon,
                .daemon_args = options->daemon_args,
                .n_accesses = options->n_accesses,
        };
        struct driver driver = { .setup = &setup, .n_runs = options->n_runs, .only = options->only, .on_progress = main_on_progress };
        struct results results;
        int r;

        results_init(&results, options->n_runs);
        r = main_measure(options, &driver, &results);
        if (r == 0)
                r = main_report(options, &setup, &results);
        results_fini(&results);
        return r;
}

static int main_run_on_file(const struct options *options) {
        struct content content;
        int r;

        r = content_init(&content, options->dir, options->file_bytes);
        if (r < 0) {
                fprintf(stderr, "bfbench: cannot make a file of %ju bytes in %s: %s (--dir, --file-size)\n", (uintmax_t) options->file_bytes,
                        options->dir, strerror(-r));
                return r;
        }
        r = main_run(options, &content);
        content_fini(&content);
        return r;
}

int main(int argc, char **argv) {
        struct hugepages hugepages;
        struct options options;
        int r;

        r = options_parse(&options, argc, argv);
        if (r != 0)
                return r < 0 ? MAIN_EXIT_USAGE : EXIT_SUCCESS;
        undo_init();
        r = hugepages_init(&hugepages, options.n_huge_pages);
        if (r < 0)
                fprintf(stderr, "bfbench: cannot reserve %ju huge pages: %s (--huge-pages takes root, and memory in one piece); going on without\n",
                        (uintmax_t) options.n_huge_pages, strerror(-r));
        r = main_run_on_file(&options);
        hugepages_fini(&hugepages);
        if (r < 0)
                fprintf(stderr, "bfbench: failed: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
