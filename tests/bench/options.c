/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "driver.h"
#include "options.h"
#include "size.h"
#include "workload.h"

#define OPTIONS_RUNS_MAX 1000

static const struct options options_default = {
        .file_bytes = UINT64_C(128) << 20,
        .pool_bytes = UINT64_C(32) << 20,
        .n_accesses = 4096,
        .n_runs = 5,
        .is_pinned = true,
        .is_free = true,
};

enum {
        OPTION_FILE_SIZE = 256,
        OPTION_POOL,
        OPTION_ACCESSES,
        OPTION_RUNS,
        OPTION_CPU,
        OPTION_ONLY,
        OPTION_DIR,
        OPTION_DAEMON,
        OPTION_DAEMON_ARGS,
        OPTION_JSON,
        OPTION_PLOTS,
        OPTION_HUGE_PAGES,
        OPTION_HELP,
};

static const struct option options_long[] = {
        { "file-size", required_argument, NULL, OPTION_FILE_SIZE },
        { "pool", required_argument, NULL, OPTION_POOL },
        { "accesses", required_argument, NULL, OPTION_ACCESSES },
        { "runs", required_argument, NULL, OPTION_RUNS },
        { "cpu", required_argument, NULL, OPTION_CPU },
        { "only", required_argument, NULL, OPTION_ONLY },
        { "dir", required_argument, NULL, OPTION_DIR },
        { "daemon", required_argument, NULL, OPTION_DAEMON },
        { "daemon-args", required_argument, NULL, OPTION_DAEMON_ARGS },
        { "json", required_argument, NULL, OPTION_JSON },
        { "plots", required_argument, NULL, OPTION_PLOTS },
        { "huge-pages", required_argument, NULL, OPTION_HUGE_PAGES },
        { "help", no_argument, NULL, OPTION_HELP },
        { 0 },
};

static void options_help(void) {
        printf("Usage: bfbench [OPTION...]\n"
               "Measures a big file beside plain mmap of the same file, a bare userfaultfd loop, and other ways to have a file in memory.\n\n"
               "  --file-size SIZE      of the file it makes (128M)\n"
               "  --pool SIZE           of the daemon's pool, where a workload has none of its own (32M)\n"
               "  --accesses N          of each run over single pages (4096)\n"
               "  --runs N              that count; one more before them warms up (5); at most 3 of long workloads\n"
               "  --cpu same|free|both  client and daemon on one CPU, or as the scheduler likes (both)\n"
               "  --only WORKLOAD,...   of those below; \"pool\" means all that begin with \"pool-\"\n"
               "  --huge-pages N        makes the host's reserve of huge pages (vm.nr_hugepages) larger meanwhile, so that N are free\n"
               "  --dir DIR             where the file is made ($TMPDIR, else /var/tmp)\n"
               "  --daemon PATH         the program bigfiled ($BIGFILED_PROGRAM, else the one in $PATH)\n"
               "  --daemon-args TEXT    more options for it, with spaces between\n"
               "  --json FILE           the results as JSON, too; -: to standard output, instead of the table\n"
               "  --plots DIR           and some of them as pictures (SVG) in that folder\n"
               "  --help                this\n\n"
               "SIZE: bytes, or with K, M, G, T.\n\nWorkloads:\n");
        for (size_t i = 0; workloads[i]; i++)
                printf("  %-24s %s\n", workloads[i]->name, workloads[i]->title);
}

static int options_complain(const char *what, const char *text) {
        fprintf(stderr, "bfbench: %s: '%s' (see --help)\n", what, text);
        return -EINVAL;
}

static int options_set_bytes(uint64_t *value, const char *text) {
        uint64_t bytes;

        if (size_parse(text, &bytes) < 0 || bytes == 0 || bytes % CONTENT_BLOCK != 0)
                return options_complain("not a size that is a multiple of 4096", text);
        *value = bytes;
        return 0;
}

static int options_set_number(size_t *value, const char *text) {
        uint64_t n;

        if (size_parse(text, &n) < 0 || n == 0)
                return options_complain("not a number above 0", text);
        *value = n;
        return 0;
}

static int options_set_cpu(struct options *options, const char *text) {
        bool both = strcmp(text, "both") == 0;

        options->is_pinned = both || strcmp(text, "same") == 0;
        options->is_free = both || strcmp(text, "free") == 0;
        return options->is_pinned || options->is_free ? 0 : options_complain("not same, free or both", text);
}

static int options_set_only(struct options *options, const char *text) {
        options->only = text;
        return driver_knows(text) ? 0 : options_complain("no such workload", text);
}

static int options_set(struct options *options, int option, const char *text) {
        switch (option) {
        case OPTION_FILE_SIZE:
                return options_set_bytes(&options->file_bytes, text);
        case OPTION_POOL:
                return options_set_bytes(&options->pool_bytes, text);
        case OPTION_ACCESSES:
                return options_set_number(&options->n_accesses, text);
        case OPTION_RUNS:
                return options_set_number(&options->n_runs, text);
        case OPTION_CPU:
                return options_set_cpu(options, text);
        case OPTION_ONLY:
                return options_set_only(options, text);
        case OPTION_DIR:
                options->dir = text;
                return 0;
        case OPTION_DAEMON:
                options->daemon = text;
                return 0;
        case OPTION_DAEMON_ARGS:
                options->daemon_args = text;
                return 0;
        case OPTION_JSON:
                options->json = text;
                return 0;
        case OPTION_PLOTS:
                options->plots = text;
                return 0;
        case OPTION_HUGE_PAGES:
                return options_set_number(&options->n_huge_pages, text);
        case OPTION_HELP:
                options_help();
                return OPTIONS_END;
        default:
                return -EINVAL; /* getopt has said it */
        }
}

/* Dirty pages stay in the pool until they are stored: half of it leaves room for the rest. */
static int options_check(const struct options *options) {
        if (options->n_accesses > options->pool_bytes / CONTENT_BLOCK / 2) {
                fprintf(stderr, "bfbench: %zu accesses are more than half of the pages of the pool (--pool, --accesses)\n", options->n_accesses);
                return -EINVAL;
        }
        if (options->n_accesses > options->file_bytes / CONTENT_BLOCK) {
                fprintf(stderr, "bfbench: %zu accesses are more than the pages of the file (--file-size, --accesses)\n", options->n_accesses);
                return -EINVAL;
        }
        if (options->n_runs > OPTIONS_RUNS_MAX) {
                fprintf(stderr, "bfbench: at most %d runs\n", OPTIONS_RUNS_MAX);
                return -EINVAL;
        }
        return 0;
}

int options_parse(struct options *options, int argc, char **argv) {
        const char *tmpdir = getenv("TMPDIR");
        int option, r;

        *options = options_default;
        options->dir = tmpdir ? tmpdir : "/var/tmp";
        while ((option = getopt_long(argc, argv, "", options_long, NULL)) != -1) {
                r = options_set(options, option, optarg);
                if (r != 0)
                        return r;
        }
        if (optind < argc)
                return options_complain("unexpected argument", argv[optind]);
        return options_check(options);
}
