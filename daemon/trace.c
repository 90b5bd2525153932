/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>

#include "trace.h"

struct trace *trace_new(void) {
        struct trace *trace = aligned_alloc(_Alignof(struct trace), sizeof(*trace));

        if (!trace)
                return NULL;
        atomic_init(&trace->n_put, 0);
        atomic_init(&trace->n_lost, 0);
        atomic_init(&trace->n_taken, 0);
        return trace;
}

void trace_free(struct trace *trace) {
        free(trace);
}

/* The event is there before the count says so. */
void trace_put(struct trace *trace, const struct report_event *event) {
        unsigned n_put = atomic_load_explicit(&trace->n_put, memory_order_relaxed);

        if (n_put - atomic_load_explicit(&trace->n_taken, memory_order_acquire) == TRACE_EVENTS) {
                atomic_fetch_add_explicit(&trace->n_lost, 1, memory_order_relaxed);
                return;
        }
        trace->events[n_put % TRACE_EVENTS] = *event;
        atomic_store_explicit(&trace->n_put, n_put + 1, memory_order_release);
}

/* It has been copied before the count says that its place is free. */
bool trace_take(struct trace *trace, struct report_event *ret_event) {
        unsigned n_taken = atomic_load_explicit(&trace->n_taken, memory_order_relaxed);

        if (atomic_load_explicit(&trace->n_put, memory_order_acquire) == n_taken)
                return false;
        *ret_event = trace->events[n_taken % TRACE_EVENTS];
        atomic_store_explicit(&trace->n_taken, n_taken + 1, memory_order_release);
        return true;
}

uint64_t trace_take_lost(struct trace *trace) {
        return atomic_exchange_explicit(&trace->n_lost, 0, memory_order_relaxed);
}
