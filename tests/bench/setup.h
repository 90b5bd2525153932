/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SETUP_H
#define BENCH_SETUP_H

/* What is the same for all subjects and runs of a workload. */

#include <stddef.h>
#include <stdint.h>

struct content;

struct setup {
        const struct content *content;
        uint64_t pool_bytes; /* of the daemon, and of what is compared with it where that has a limit */
        const char *daemon;      /* the path of the program bigfiled; NULL: the one the library finds */
        const char *daemon_args; /* more of its options, with spaces between; NULL: none */
        size_t n_accesses;   /* of a workload that does not go over the whole file */
};

#endif
