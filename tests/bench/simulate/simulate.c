/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* simulate: prints what each replacement policy makes of each trace, in pools of several sizes. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "size.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define SIMULATE_BLOCKS 32768
#define SIMULATE_BLOCKS_MAX (UINT32_C(1) << 26)
#define SIMULATE_TIMES 30
#define SIMULATE_TIMES_MAX 60 /* more touches than this of so many blocks do not fit into 32 bits */
#define SIMULATE_SEED 1
#define EXIT_USAGE 2

static const unsigned simulate_percents[] = { 10, 25, 50, 75 };

struct simulate {
        uint64_t n_blocks;
        uint64_t n_times; /* touches for each block of the data */
        const struct trace_kind *only; /* NULL: all */
};

static const struct option simulate_options[] = {
        { "blocks", required_argument, NULL, 'b' },
        { "times", required_argument, NULL, 't' },
        { "only", required_argument, NULL, 'o' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
};

static void simulate_help(void) {
        printf("Usage: simulate [OPTION...]\n"
               "Tries replacement policies on traces. A pager learns of page faults alone, and so do the policies, unless they say otherwise.\n\n"
               "  --blocks N    of the data (%d)\n"
               "  --times N     touches for each block of the data (%d)\n"
               "  --only TRACE  one of the traces below\n"
               "  --help        this\n\nTraces:\n",
               SIMULATE_BLOCKS, SIMULATE_TIMES);
        for (const struct trace_kind *kind = trace_kinds; kind->name; kind++)
                printf("  %-13s %s\n", kind->name, kind->title);
        printf("\nPolicies:\n");
        for (size_t i = 0; sim_policies[i]; i++)
                printf("  %-13s %s\n", sim_policies[i]->name, sim_policies[i]->title);
}

static int simulate_complain(const char *what, const char *text) {
        fprintf(stderr, "simulate: %s: '%s' (see --help)\n", what, text);
        return -EINVAL;
}

static int simulate_set(struct simulate *simulate, int option, const char *text) {
        switch (option) {
        case 'b':
                if (size_parse(text, &simulate->n_blocks) < 0 || simulate->n_blocks < TRACE_BLOCKS_MIN || simulate->n_blocks > SIMULATE_BLOCKS_MAX)
                        return simulate_complain("not a number of blocks from 256 to 64M", text);
                return 0;
        case 't':
                if (size_parse(text, &simulate->n_times) < 0 || simulate->n_times < 1 || simulate->n_times > SIMULATE_TIMES_MAX)
                        return simulate_complain("not a number from 1 to 60", text);
                return 0;
        case 'o':
                simulate->only = trace_find(text);
                return simulate->only ? 0 : simulate_complain("no such trace", text);
        case 'h':
                simulate_help();
                return 1;
        default:
                return -EINVAL; /* getopt has said it */
        }
}

static int simulate_row(const struct trace_kind *kind, const struct trace *trace, uint32_t n_pool, unsigned percent) {
        struct sim_result result;
        int r;

        printf("%-10s %3u%%", kind->name, percent);
        for (size_t i = 0; sim_policies[i]; i++) {
                r = sim_run(sim_policies[i], trace, n_pool, &result);
                if (r < 0)
                        return r;
                printf(" %6.1f", result.hits * 100);
                if (result.refaults > 0)
                        printf("+%-4.1f", result.refaults * 100);
                else
                        printf("     ");
                fflush(stdout);
        }
        printf("\n");
        return 0;
}

static int simulate_trace(const struct simulate *simulate, const struct trace_kind *kind) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < N_ELEMENTS(simulate_percents); i++) {
                struct trace_size size = {
                        .n_blocks = (uint32_t) simulate->n_blocks,
                        .n_pool = (uint32_t) (simulate->n_blocks * simulate_percents[i] / 100),
                        .n_touches = simulate->n_blocks * simulate->n_times,
                        .seed = SIMULATE_SEED,
                };
                struct trace trace;

                r = trace_init(&trace, kind, &size);
                if (r < 0)
                        return r;
                r = simulate_row(kind, &trace, size.n_pool, simulate_percents[i]);
                trace_fini(&trace);
        }
        return r;
}

static int simulate_run(const struct simulate *simulate) {
        int r = 0;

        printf("hits (touches without a load) of all touches, percent; +: touches of blocks kept unmapped, which are hits, but cost a fault\n");
        printf("data of %ju blocks, %ju touches of each on average; the pool in percent of the data\n\n%-10s %4s", (uintmax_t) simulate->n_blocks,
               (uintmax_t) simulate->n_times, "trace", "pool");
        for (size_t i = 0; sim_policies[i]; i++)
                printf(" %11s", sim_policies[i]->name);
        printf("\n");
        for (const struct trace_kind *kind = trace_kinds; r == 0 && kind->name; kind++)
                if (!simulate->only || simulate->only == kind)
                        r = simulate_trace(simulate, kind);
        return r;
}

int main(int argc, char **argv) {
        struct simulate simulate = { .n_blocks = SIMULATE_BLOCKS, .n_times = SIMULATE_TIMES };
        int option, r;

        while ((option = getopt_long(argc, argv, "", simulate_options, NULL)) != -1) {
                r = simulate_set(&simulate, option, optarg);
                if (r != 0)
                        return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
        }
        if (optind < argc) {
                simulate_complain("unexpected argument", argv[optind]);
                return EXIT_USAGE;
        }
        r = simulate_run(&simulate);
        if (r < 0)
                fprintf(stderr, "simulate: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
