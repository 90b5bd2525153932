/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "loop.h"

struct loop {
        struct event_base *base;
};

struct loop_event {
        struct event *event;
        loop_callback *callback;
        void *owner;
};

int loop_new(struct loop **ret) {
        struct loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return -ENOMEM;
        loop->base = event_base_new();
        if (!loop->base) {
                free(loop);
                return -ENOMEM;
        }
        *ret = loop;
        return 0;
}

void loop_free(struct loop *loop) {
        if (!loop)
                return;
        event_base_free(loop->base);
        free(loop);
}

static void loop_dispatch(evutil_socket_t fd, short what, void *arg) {
        struct loop_event *event = arg;

        (void) fd;
        (void) what;
        event->callback(event->owner);
}

static struct loop_event *loop_event_new(struct loop *loop, int fd, short what, loop_callback *callback, void *owner) {
        struct loop_event *event = calloc(1, sizeof(*event));

        if (!event)
                return NULL;
        *event = (struct loop_event) { .callback = callback, .owner = owner };
        event->event = event_new(loop->base, fd, what, loop_dispatch, event);
        if (!event->event || (what & EV_PERSIST && event_add(event->event, NULL) < 0)) {
                loop_event_free(event);
                return NULL;
        }
        return event;
}

struct loop_event *loop_on_readable(struct loop *loop, int fd, loop_callback *callback, void *owner) {
        return loop_event_new(loop, fd, EV_READ | EV_PERSIST, callback, owner);
}

struct loop_event *loop_on_writable(struct loop *loop, int fd, loop_callback *callback, void *owner) {
        return loop_event_new(loop, fd, EV_WRITE, callback, owner);
}

void loop_event_arm(struct loop_event *event) {
        (void) event_add(event->event, NULL); /* fails only without memory: then the next reply tries again */
}

void loop_event_disarm(struct loop_event *event) {
        (void) event_del(event->event);
}

struct loop_event *loop_on_timer(struct loop *loop, loop_callback *callback, void *owner) {
        return loop_event_new(loop, -1, 0, callback, owner);
}

void loop_event_arm_in(struct loop_event *event, uint64_t usec) {
        const struct timeval time = { .tv_sec = (time_t) (usec / 1000000), .tv_usec = (suseconds_t) (usec % 1000000) };

        (void) event_add(event->event, &time); /* as above */
}

struct loop_event *loop_on_signal(struct loop *loop, int signal, loop_callback *callback, void *owner) {
        return loop_event_new(loop, signal, EV_SIGNAL | EV_PERSIST, callback, owner);
}

void loop_event_free(struct loop_event *event) {
        if (!event)
                return;
        if (event->event)
                event_free(event->event);
        free(event);
}

struct event_base *loop_base(struct loop *loop) {
        return loop->base;
}

int loop_run(struct loop *loop) {
        return event_base_dispatch(loop->base) < 0 ? -EIO : 0;
}

void loop_quit(struct loop *loop) {
        (void) event_base_loopbreak(loop->base);
}
