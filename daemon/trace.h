/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TRACE_H
#define BF_TRACE_H

/*
 * Events on their way from one thread, which makes them, to one that tells them to others. The first never waits: what there is no room for is counted, and gone.
 * Pure.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "report.h"

#define TRACE_EVENTS 4096u /* that there is room for; a power of two */

struct trace {
        _Alignas(64) atomic_uint n_put; /* by the one who makes them */
        atomic_uint_fast64_t n_lost;
        _Alignas(64) atomic_uint n_taken; /* by the other */
        struct report_event events[TRACE_EVENTS];
};

/* NULL: no memory. */
struct trace *trace_new(void);
void trace_free(struct trace *trace);

void trace_put(struct trace *trace, const struct report_event *event);

/* The next one; false: there is none. */
bool trace_take(struct trace *trace, struct report_event *ret_event);

/* How many were lost since this was asked last. */
uint64_t trace_take_lost(struct trace *trace);

#endif
