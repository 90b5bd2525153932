/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SESSION_H
#define BF_SESSION_H

/*
 * The connection with a daemon: requests go out from any thread, replies come in on one thread, the keeper, and find the thread that waits for them.
 * When the connection ends, every request without a reply fails with -ENOTCONN, and so does every later one.
 *
 * It knows the shape of messages and that each reply bears an errno, not what they are about.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"

struct session {
        uint64_t process; /* process_id() of the process that connected */
        char *daemon;     /* who is at the other end, for messages */
        int socket;
        pthread_mutex_t lock;    /* guards what follows */
        pthread_cond_t has_room; /* fewer than WIRE_REQUESTS_MAX calls, or lost */
        struct call *calls;      /* requests without a reply: session->calls -> call->next */
        unsigned n_calls;
        uint32_t last_serial;
        bool is_lost;   /* no replies come any more */
        bool is_ending; /* because this side ends it */
};

/* Takes socket, and daemon, which is allocated. */
void session_init(struct session *session, int socket, char *daemon);
void session_fini(struct session *session);

/* Whether this process made the connection: 0, or -ENOTCONN in a child of it, and sets bf_errmsg(). To be asked before anything else, as in a child
 * any lock may be taken for ever. */
int session_check(const struct session *session);

/*
 * Sends a request, with descriptors (borrowed), and waits for the reply. Its serial number is set here. Returns the errno of the reply. *ret_reply:
 * the reply, the descriptors in it are the caller's; its size is 0 if none came: -ENOTCONN, or the request could not be sent. -EMFILE with a reply
 * that bears no error: its descriptors were lost, as this process has no room for them.
 */
int session_call(struct session *session, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply);

/* For requests whose reply is but an errno. */
int session_call_simple(struct session *session, union wire_msg *msg);

/* Delivers replies until the connection ends. On the keeper's thread. */
void session_receive(struct session *session);

/* Ends the connection from this side; session_receive() returns. */
void session_end(struct session *session);

/* Ends the connection as if the daemon were gone: it broke the protocol, or a request could not reach it. */
void session_give_up(struct session *session);

bool session_is_lost(struct session *session);
bool session_is_ending(struct session *session);

#endif
