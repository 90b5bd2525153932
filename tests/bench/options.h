/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

/* The command line of bfbench. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
        uint64_t file_bytes;
        uint64_t pool_bytes;
        size_t n_accesses;
        size_t n_runs;
        const char *dir;
        const char *daemon;
        const char *daemon_args;
        const char *only;
        const char *json;  /* a file; "-": standard output, and no table there; NULL: none */
        const char *plots; /* a folder; NULL: none */
        uint64_t n_huge_pages;
        bool is_pinned; /* measure with all on one CPU */
        bool is_free;   /* measure with no say about CPUs */
};

enum options_answer {
        OPTIONS_END = 1, /* help was asked for, and is printed */
};

/* 0, OPTIONS_END, or -EINVAL with words on stderr. */
int options_parse(struct options *options, int argc, char **argv);

#endif
