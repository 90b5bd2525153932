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
#include "options.h"
#include "placement.h"
#include "report.h"

#define MAIN_EXIT_USAGE 2
#define MAIN_CLOCK_TRIES 20
#define MAIN_CLOCK_READINGS 10000

static void main_on_progress(const char *placement, size_t run, size_t n_runs) {
        if (!isatty(STDERR_FILENO))
                return;
        if (run == 0)
                fprintf(stderr, "\r\033[K%s: warming up", placement);
        else
                fprintf(stderr, "\r\033[K%s: run %zu of %zu", placement, run, n_runs);
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

static int main_measure(const struct options *options, const struct driver *driver, struct results *results) {
        struct placement placement;
        unsigned cpu;
        int r;

        r = placement_init(&placement);
        if (r == 0 && options->is_pinned) {
                r = placement_pin(&placement, &cpu);
                if (r == 0)
                        r = driver_run(driver, "same CPU", results);
        }
        if (r == 0 && options->is_free) {
                r = placement_free(&placement);
                if (r == 0)
                        r = driver_run(driver, "any CPU", results);
        }
        if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[K");
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

        uname(&uts);
        about.kernel = uts.release;
        return options->is_json ? report_json(stdout, &about, results) : report_text(stdout, &about, results);
}

static int main_run(const struct options *options, const struct content *content) {
        struct setup setup = { .content = content, .pool_bytes = options->pool_bytes, .daemon = options->daemon, .n_accesses = options->n_accesses };
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

int main(int argc, char **argv) {
        struct options options;
        struct content content;
        int r;

        r = options_parse(&options, argc, argv);
        if (r != 0)
                return r < 0 ? MAIN_EXIT_USAGE : EXIT_SUCCESS;
        r = content_init(&content, options.dir, options.file_bytes);
        if (r < 0) {
                fprintf(stderr, "bfbench: cannot make a file of %ju bytes in %s: %s (--dir, --file-size)\n", (uintmax_t) options.file_bytes,
                        options.dir, strerror(-r));
                return EXIT_FAILURE;
        }
        r = main_run(&options, &content);
        content_fini(&content);
        if (r < 0)
                fprintf(stderr, "bfbench: failed: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
