/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_DIAL_H
#define BF_DIAL_H

/*
 * Finds or starts the daemon, connects, and agrees on the protocol: the first time and whenever a daemon is gone. And requests on a connection that nobody else
 * uses yet. It knows nothing of handles. Each failure sets bf_errmsg().
 */

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "chan.h"

struct dial {
        struct address address; /* ADDRESS_UNIX or ADDRESS_SPAWN, with the path of the program */
        bool is_private;        /* the daemon is for this process alone */
        _Atomic bool wants_direct; /* so it said when last greeted: files are to be opened for direct I/O */
        char *daemon;           /* it, for messages */
        _Atomic int device;     /* /dev/userfaultfd, lent by the first daemon that could; or -1. It outlives that daemon */
};

/* A connection in the hands of one thread. */
struct dial_line {
        int socket;
        int stop; /* when this is readable, nothing is waited for any more; or -1 */
};

/* What the address means, for good: ADDRESS_DEFAULT is tried, which is why this connects. Errors as of bf_connect(), but for those of userfaultfd. */
int dial_init(struct dial *dial, const struct address *address, int *ret_socket);
void dial_fini(struct dial *dial);

/* Another connection to a daemon at that place, without waiting for one that does not accept it; or another private daemon. */
int dial_again(const struct dial *dial, int *ret_socket);

/* The first exchange on a connection: do both sides speak the same protocol? -ETIMEDOUT no reply at that moment (msec.h). */
int dial_hello(struct dial *dial, const struct dial_line *line, int64_t until);

/* Sends a request, with descriptors (borrowed), and waits for the reply, which has none. 0: it came, and bears an errno of its own; a negative errno: the
 * connection is of no use any more, or -ECANCELED: stopped. Does not set bf_errmsg(). */
int dial_ask(const struct dial_line *line, union wire_msg *msg, const int *fds, unsigned n_fds, union wire_msg *ret_reply);

/* The same where the reply may have descriptors; they are the caller's. */
int dial_ask_packet(const struct dial_line *line, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply);

/* Waits so long. -ECANCELED: stopped. */
int dial_pause(const struct dial_line *line, int msec);

#endif
