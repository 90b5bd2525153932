/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closer.h"
#include "tracers.h"

#define TRACERS_MAX 8u

/* Events are looked for so often, while somebody wants them. */
#define TRACERS_USEC 10000u

#define TRACERS_KINDS (1u << REPORT_EVENT_FAULT | 1u << REPORT_EVENT_STATE)

struct tracer {
        LIST_ENTRY(tracer) entry; /* tracers->list -> tracer->entry */
        struct tracers *tracers;
        int fd;
        struct loop_event *on_end;
        struct wire_trace wanted;
        uint64_t n_lost; /* and not told yet */
        struct report_event events[REPORT_EVENTS_MAX]; /* the first is free for saying how many were lost */
        unsigned n;
};

struct tracers {
        struct commons *commons;
        struct loop *loop;
        struct loop_event *timer;
        LIST_HEAD(, tracer) list;
        unsigned n;
};

static void tracer_free(struct tracer *tracer) {
        loop_event_free(tracer->on_end);
        LIST_REMOVE(tracer, entry);
        tracer->tracers->n--;
        closer_close(tracer->fd); /* he may have sent something there, which nobody has read */
        free(tracer);
}

/* What nobody wants to hear of is not recorded. */
static void tracers_changed(struct tracers *tracers) {
        const struct tracer *tracer;
        unsigned kinds = 0;

        LIST_FOREACH(tracer, &tracers->list, entry)
                kinds |= tracer->wanted.kinds;
        atomic_store(&tracers->commons->traced, kinds);
}

/* Nothing comes from a tracer: what can be read is the end, or a reason to end it. */
static void tracer_on_end(void *owner) {
        struct tracer *tracer = owner;
        struct tracers *tracers = tracer->tracers;

        tracer_free(tracer);
        tracers_changed(tracers);
}

/* --- telling ------------------------------------------------------------------------------------------------------------------------------------ */

static bool tracer_send(struct tracer *tracer) {
        const struct report_event *first = tracer->events + (tracer->n_lost == 0);
        size_t n = tracer->n - (tracer->n_lost == 0);

        if (tracer->n_lost > 0)
                tracer->events[0] = (struct report_event) { .time_nsec = latency_now(), .kind = REPORT_EVENT_LOST, .n = tracer->n_lost };
        return n == 0 || send(tracer->fd, first, n * sizeof(*first), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* What he has no room for is lost for him, and so will be what comes next until he reads. His end is seen elsewhere. */
static void tracer_flush(struct tracer *tracer) {
        if (tracer_send(tracer))
                tracer->n_lost = 0;
        else
                tracer->n_lost += tracer->n - 1;
        tracer->n = 1;
}

static bool tracer_wants(const struct tracer *tracer, const struct report_event *event) {
        const struct wire_trace *wanted = &tracer->wanted;

        return wanted->kinds >> event->kind & 1 && (wanted->inode == 0 || (event->inode == wanted->inode && event->device == wanted->device));
}

static void tracers_tell(struct tracers *tracers, const struct report_event *event) {
        struct tracer *tracer;

        LIST_FOREACH(tracer, &tracers->list, entry) {
                if (!tracer_wants(tracer, event))
                        continue;
                tracer->events[tracer->n++] = *event;
                if (tracer->n == REPORT_EVENTS_MAX)
                        tracer_flush(tracer);
        }
}

static void tracers_tell_lost(struct tracers *tracers, uint64_t n) {
        struct tracer *tracer;

        LIST_FOREACH(tracer, &tracers->list, entry)
                tracer->n_lost += n;
}

/* No more than there was room for at the beginning, lest it never ends. */
static void tracers_look(struct tracers *tracers, struct trace *trace) {
        struct report_event event;

        tracers_tell_lost(tracers, trace_take_lost(trace));
        for (unsigned i = 0; i < TRACE_EVENTS && trace_take(trace, &event); i++)
                tracers_tell(tracers, &event);
}

/* A pager that was started since has its own from now on. Without memory it is looked at again. */
static struct trace *tracers_trace_of(struct tracers *tracers, unsigned pager) {
        struct commons_pager *p = &tracers->commons->pagers[pager];
        struct trace *trace = atomic_load_explicit(&p->trace, memory_order_relaxed);

        if (!trace) {
                trace = trace_new();
                atomic_store_explicit(&p->trace, trace, memory_order_release);
        }
        return trace;
}

static void tracers_look_at_all(struct tracers *tracers) {
        unsigned n = atomic_load(&tracers->commons->n_pagers);

        for (unsigned i = 0; i < n; i++) {
                struct trace *trace = tracers_trace_of(tracers, i);

                if (trace)
                        tracers_look(tracers, trace);
        }
}

static void tracers_on_timer(void *owner) {
        struct tracers *tracers = owner;
        struct tracer *tracer;

        tracers_look_at_all(tracers);
        LIST_FOREACH(tracer, &tracers->list, entry)
                tracer_flush(tracer);
        if (tracers->n > 0)
                loop_event_arm_in(tracers->timer, TRACERS_USEC);
}

/* --- who is told -------------------------------------------------------------------------------------------------------------------------------- */

static int tracer_new(struct tracers *tracers, const struct wire_trace *wanted, int fd) {
        struct tracer *tracer = calloc(1, sizeof(*tracer));

        if (!tracer)
                return -ENOMEM;
        *tracer = (struct tracer) { .tracers = tracers, .fd = fd, .wanted = *wanted, .n = 1 };
        tracer->on_end = loop_on_readable(tracers->loop, fd, tracer_on_end, tracer);
        if (!tracer->on_end) {
                free(tracer);
                return -ENOMEM;
        }
        LIST_INSERT_HEAD(&tracers->list, tracer, entry);
        tracers->n++;
        return 0;
}

int tracers_add(struct tracers *tracers, const struct wire_trace *wanted, int *ret_fd) {
        int fds[2], r;

        if (wanted->kinds == 0 || wanted->kinds & ~TRACERS_KINDS)
                return -EINVAL;
        if (tracers->n == TRACERS_MAX)
                return -EBUSY;
        tracers_look_at_all(tracers); /* what was before is not for him */
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        r = tracer_new(tracers, wanted, fds[0]);
        if (r < 0) {
                close(fds[0]);
                close(fds[1]);
                return r;
        }
        tracers_changed(tracers);
        loop_event_arm_in(tracers->timer, TRACERS_USEC);
        *ret_fd = fds[1];
        return 0;
}

int tracers_new(struct loop *loop, struct commons *commons, struct tracers **ret) {
        struct tracers *tracers = calloc(1, sizeof(*tracers));

        if (!tracers)
                return -ENOMEM;
        *tracers = (struct tracers) { .loop = loop, .commons = commons, .timer = loop_on_timer(loop, tracers_on_timer, tracers) };
        LIST_INIT(&tracers->list);
        if (!tracers->timer) {
                free(tracers);
                return -ENOMEM;
        }
        *ret = tracers;
        return 0;
}

void tracers_free(struct tracers *tracers) {
        if (!tracers)
                return;
        while (!LIST_EMPTY(&tracers->list))
                tracer_free(LIST_FIRST(&tracers->list));
        tracers_changed(tracers);
        loop_event_free(tracers->timer);
        free(tracers);
}
