/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

/* A workload is something done to a subject's memory, timed, and checked. To add one: a file workload_x.c, and its kind in the list of workloads.c. */

#include <stddef.h>
#include <stdint.h>

#include "reason.h"
#include "subject.h"

enum workload_unit {
        WORKLOAD_LATENCY, /* each access is timed */
        WORKLOAD_RATE,    /* the whole is timed: bytes */
        WORKLOAD_TOUCHES, /* the whole is timed: touches of pages */
        WORKLOAD_NUMBER,  /* a number by itself; see number_unit */
};

enum workload_flags {
        WORKLOAD_FRESH = 1 << 0,   /* new subjects for each run */
        WORKLOAD_NO_WARM_UP = 1 << 1,
        WORKLOAD_ANY_CPU = 1 << 2, /* makes no sense on one CPU */
};

/* What run() may answer besides 0 and a negative errno. */
enum workload_answer {
        WORKLOAD_SKIPPED = 1, /* this subject, or a file and pool of these sizes, cannot do it; there may be a reason */
};

struct workload;

struct workload_run {
        const struct workload *workload;
        const struct setup *setup;
        struct subject *subject;
        struct reason reason;
        uint64_t seed;   /* of the order of accesses: the same for all subjects */
        uint64_t tag;    /* what is written: another one in each run */
        uint64_t *order; /* room for the accesses of the setup, like the two below */
        uint64_t *seen;
        uint64_t *latencies; /* WORKLOAD_LATENCY: ns of each access */
        uint64_t ns;         /* WORKLOAD_RATE, WORKLOAD_TOUCHES: of the whole; 0: there is no such time. Set by access_end(), like the next two */
        uint64_t cpu_ns;     /* of the subject's server meanwhile; UINT64_MAX: unknown */
        uint64_t n_loads;    /* of the subject meanwhile */
        uint64_t bytes;      /* WORKLOAD_RATE */
        uint64_t n_touches;  /* WORKLOAD_TOUCHES */
        double hits;         /* part of the touches without a load: below 0 if more was loaded than touched; NAN: unknown */
        double number;       /* WORKLOAD_NUMBER */
        uint64_t begin;      /* access.c's own, like the next */
        struct subject_counts before;
};

/* A run that fails says on stderr why; wrong data is -EBADMSG. */
struct workload {
        const char *name;
        const char *title;
        const char *group; /* those that follow each other with the same one are run in turns, as they are compared with each other; NULL: none */
        enum workload_unit unit;
        int (*run)(struct workload_run *run);
        const struct subject_kind *const *subjects; /* NULL after the last; one that forks before those with threads */
        const struct subject_kind *base; /* the one that others are compared with; NULL: none */
        unsigned flags;                  /* enum workload_flags */
        unsigned pool_percent;           /* of the file; 0: what the options say */
        unsigned n_runs_max;             /* 0: as many as the options say */
        unsigned parameter;              /* for run() */
        const char *trace;               /* the same */
        const char *number_unit;         /* WORKLOAD_NUMBER */
};

/* All of them, in the order in which they are run and reported; NULL after the last. */
extern const struct workload *const workloads[];

/* NULL: there is none of that name. */
const struct workload *workload_find(const char *name);

extern const struct workload workload_random_read;
extern const struct workload workload_random_read_full;
extern const struct workload workload_first_write;
extern const struct workload workload_sequential_read;
extern const struct workload workload_sequential_read_full;
extern const struct workload workload_sequential_huge;
extern const struct workload workload_sequential_cold;
extern const struct workload workload_reverse_read;
extern const struct workload workload_strided_read;
extern const struct workload workload_two_streams;
extern const struct workload workload_sequential_write;
extern const struct workload workload_writeout;
extern const struct workload workload_writeout_scattered;
extern const struct workload workload_writeout_sync;
extern const struct workload workload_writeout_scattered_sync;
extern const struct workload workload_threads[4];
extern const struct workload workload_clients[4];
extern const struct workload workload_pool_zipf[4];
extern const struct workload workload_pool_loop[2];
extern const struct workload workload_pool_scan[2];
extern const struct workload workload_nbd_random;
extern const struct workload workload_nbd_sequential;
extern const struct workload workload_nbd_slow_sequential;
extern const struct workload workload_nbd_slow_faults;
extern const struct workload workload_provider[4];
extern const struct workload workload_start_up;
extern const struct workload workload_idle;
extern const struct workload workload_metadata;

#endif
