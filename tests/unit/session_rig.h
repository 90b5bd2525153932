/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_SESSION_RIG_H
#define BF_TEST_SESSION_RIG_H

/* A session, a thread that delivers its replies, and a daemon played by the test at the other end. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "session.h"

struct rig {
        struct session session;
        pthread_t keeper;
        bool is_kept; /* the keeper has not been joined */
        int daemon;   /* the other end */
};

/* A request in a thread of its own. */
struct request {
        struct rig *rig;
        pthread_t thread;
        struct call call;
        int r;
};

/* *state is the rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* The connection has ended, or is about to: until the session is suspended. */
void rig_await_suspension(struct rig *rig);

/* The daemon closes the connection, and the session is suspended. */
void rig_end_daemon(struct rig *rig);

/* The suspended session goes on with another daemon, which is the test again. */
void rig_resume(struct rig *rig);

/* Until so many requests have no reply. */
void rig_await_calls(struct rig *rig, unsigned n);

/* What the daemon gets next. */
struct chan_packet rig_receive(struct rig *rig);

/* The reply to a request, with a number that only this request can expect. */
union wire_msg rig_reply_to(const struct chan_packet *packet);

void rig_answer(struct rig *rig, const struct chan_packet *packet, int error);

/* A RECLAIM, whose reply bears a number. */
void request_init(struct request *request, struct rig *rig, uint64_t bytes);

/* A request about a handle. */
void request_init_handle(struct request *request, struct rig *rig, enum wire_id id, const uint32_t *handle);

void request_start(struct request *request);

/* In this thread. */
void request_run(struct request *request);

void request_join(struct request *request);

/* Whether the reply to a RECLAIM is its own. */
bool request_has_reply(const struct request *request);

/* Joins it: it succeeded, and the reply was its own. */
void request_check_reply(struct request *request);

/* Joins it: it failed without a reply. */
void request_check_failure(struct request *request, int error);

#endif
