/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOOP_H
#define BF_LOOP_H

/* The main thread's event loop: descriptors, times and signals. Only loop.c knows libevent, but for its HTTP server. */

#include <stdint.h>

struct event_base;
struct loop;
struct loop_event;

typedef void loop_callback(void *owner);

int loop_new(struct loop **ret);
void loop_free(struct loop *loop);

/* callback(owner) whenever fd (borrowed) can be read, but between loop_event_disarm() and loop_event_arm(). NULL: no memory. Freed before fd is closed. */
struct loop_event *loop_on_readable(struct loop *loop, int fd, loop_callback *callback, void *owner);
void loop_event_disarm(struct loop_event *event);

/* The same for writing, once, each time loop_event_arm() was called. */
struct loop_event *loop_on_writable(struct loop *loop, int fd, loop_callback *callback, void *owner);
void loop_event_arm(struct loop_event *event);

/* The same after a time, once, each time loop_event_arm_in() was called; called again meanwhile, it begins anew. */
struct loop_event *loop_on_timer(struct loop *loop, loop_callback *callback, void *owner);
void loop_event_arm_in(struct loop_event *event, uint64_t usec);

struct loop_event *loop_on_signal(struct loop *loop, int signal, loop_callback *callback, void *owner);
void loop_event_free(struct loop_event *event);

/* libevent's own, for its HTTP server (http.c). */
struct event_base *loop_base(struct loop *loop);

/* Calls back until loop_quit(). */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

#endif
