/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

/* Traces: which blocks of some data are touched one after another, as programs might. What the workloads that need more than the pool replay, and what the
 * simulator tries replacement policies on. The same for the same seed. */

#include <stddef.h>
#include <stdint.h>

struct trace {
        uint32_t *blocks; /* room for those of trace_init() */
        size_t n;
        uint32_t n_blocks; /* all are below it */
};

/* What a trace is made for. */
struct trace_size {
        uint32_t n_blocks; /* of the data; some traces go beyond (times_larger) */
        uint32_t n_pool;   /* blocks there is room for; most traces do not care */
        size_t n_touches;
        uint64_t seed;
};

struct trace_kind {
        const char *name;
        const char *title;
        int (*fill)(struct trace *trace, const struct trace_size *size); /* 0 or -ENOMEM */
        uint32_t times_larger; /* the data of the trace are so many times n_blocks; 0: just n_blocks */
};

/* In the order in which they are reported; name NULL after the last. */
extern const struct trace_kind trace_kinds[];

/* NULL: there is none of that name. */
const struct trace_kind *trace_find(const char *name);

/* n_blocks is at least TRACE_BLOCKS_MIN. 0 or -ENOMEM. */
#define TRACE_BLOCKS_MIN 256
int trace_init(struct trace *trace, const struct trace_kind *kind, const struct trace_size *size);
void trace_fini(struct trace *trace);

#endif
