/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SESSION_H
#define BF_SESSION_H

/*
 * The connection with a daemon: requests go out from any thread, replies come in on one thread, the keeper, and find the thread that waits for them.
 * When the connection ends, requests without a reply wait for another one, and are sent again when it is there; so does every new one.
 *
 * It knows the shape of messages, that each reply bears an errno, and where a message has the number of its handle, not what they are about.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"

#define SESSION_REASON_MAX 256 /* of what session_tell() tells */

enum session_state {
        SESSION_CONNECTED,
        SESSION_SUSPENDED, /* no daemon is there: requests wait, but for farewells (UNMAP, CLOSE), which fail: there is nobody to say them to */
        SESSION_REVIVING,  /* a daemon is taking up what this client has: requests wait, farewells as well, as it may know what they are about by now */
        SESSION_LOST,      /* no daemon is there, and too long: requests fail with -ENOTCONN */
};

/* A request. It is on the stack of the thread that waits for the reply. */
struct call {
        union wire_msg msg;     /* its serial number is set here */
        const uint32_t *handle; /* the number of the handle it is about, looked at each time it is sent; 0: no daemon has it. NULL: it is about none */
        int fds[WIRE_FDS_MAX];  /* borrowed */
        unsigned n_fds;
        void (*on_reply)(struct call *call, int r); /* on the keeper's thread, before anything else happens to the connection; may be NULL */
        void *owner;
        struct chan_packet reply; /* its descriptors are the caller's. Its size is 0 if none came */

        /* the session's own: */
        struct call *next;
        bool is_sent;
        bool is_done;
        int r;
        pthread_cond_t done;
};

struct session {
        uint64_t process; /* process_id() of the process that connected */
        char *daemon;     /* who is at the other end, for messages */
        pthread_mutex_t lock;    /* guards what follows, and the numbers that calls point to */
        pthread_cond_t has_room; /* fewer than WIRE_REQUESTS_MAX calls, or lost */
        int socket;
        struct call *calls; /* requests without a reply: session->calls -> call->next */
        unsigned n_calls;
        uint32_t last_serial;
        enum session_state state;
        bool is_ending;                  /* this side ends it */
        char reason[SESSION_REASON_MAX]; /* why no daemon is there, or "" */
};

/* Takes socket, and daemon, which is allocated. */
void session_init(struct session *session, int socket, char *daemon);
void session_fini(struct session *session);

/* Whether this process made the connection: 0, or -ENOTCONN in a child of it, and sets bf_errmsg(). To be asked before anything else, as in a child
 * any lock may be taken for ever. */
int session_check(const struct session *session);

/*
 * Sends the request and waits for the reply. Returns the errno of the reply; -ENOTCONN if none will come; or another negative errno if the request could not
 * be sent. -EMFILE with a reply that bears no error: its descriptors were lost, as this process has no room for them.
 */
int session_call(struct session *session, struct call *call);

/* Delivers one reply, on the keeper's thread. False: the connection has ended. */
bool session_receive(struct session *session);

/* From CONNECTED: the connection has ended. */
void session_suspend(struct session *session);

/* Between those states that have no connection. What waits and has nothing to wait for any more, fails. */
void session_set_state(struct session *session, enum session_state state);

/* From REVIVING: a new connection, on which the daemon knows all that this client has. Takes socket. Sends what waits. */
void session_resume(struct session *session, int socket);

/* The number of a handle, as requests are to bear it from now on. */
void session_set_handle(struct session *session, uint32_t *handle, uint32_t number);

/* Why no daemon is there, for session_tell(). */
void session_set_reason(struct session *session, const char *reason);

/* Who is, or should be, at the other end, and why it is not; for messages. */
void session_tell(struct session *session, char text[static SESSION_REASON_MAX]);

/* Ends the connection from this side, for good. */
void session_end(struct session *session);

/* The other side broke the protocol: ends the connection as if the daemon were gone. Not from on_reply(). */
void session_give_up(struct session *session);

bool session_is_connected(struct session *session);
bool session_is_ending(struct session *session);

#endif
