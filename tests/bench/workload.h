/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

/* A workload is something done to a subject's memory, timed, and checked. To add one: a file workload_x.c, and its kind in the list of driver.c. */

#include <stddef.h>
#include <stdint.h>

#include "subject.h"

enum workload_unit {
        WORKLOAD_LATENCY, /* each access is timed */
        WORKLOAD_RATE,    /* the whole is timed */
};

/* What run() may answer besides 0 and a negative errno. */
enum workload_answer {
        WORKLOAD_SKIPPED = 1, /* this subject, or a file and pool of these sizes, cannot do it */
};

struct workload_run {
        const struct setup *setup;
        struct subject *subject;
        uint64_t seed;   /* of the order of accesses: the same for all subjects */
        uint64_t tag;    /* what is written: another one in each run */
        uint64_t *order; /* room for the accesses of the setup, like the two below */
        uint64_t *seen;
        uint64_t *latencies; /* WORKLOAD_LATENCY: ns of each access */
        uint64_t ns;         /* WORKLOAD_RATE: of the whole */
        uint64_t bytes;
};

/* A run that fails says on stderr why; wrong data is -EBADMSG. */
struct workload {
        const char *name;
        const char *title;
        enum workload_unit unit;
        int (*run)(struct workload_run *run);
};

extern const struct workload workload_random_read;
extern const struct workload workload_random_read_full;
extern const struct workload workload_first_write;
extern const struct workload workload_sequential_read;
extern const struct workload workload_writeout;
extern const struct workload workload_writeout_scattered;
extern const struct workload workload_writeout_sync;
extern const struct workload workload_writeout_scattered_sync;

#endif
