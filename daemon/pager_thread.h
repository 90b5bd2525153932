/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGER_THREAD_H
#define BF_PAGER_THREAD_H

/* The thread that runs a pager, and the two queues between it and the main thread: requests go in, replies come out. Descriptors go with them. */

#include <stdbool.h>
#include <stdint.h>

#include "pager.h"
#include "request.h"

struct pager_thread;

/* What comes out of a pager. */
struct pager_reply {
        uint64_t peer;
        bool is_drop; /* no message: the peer is to be dropped */
        const char *why;
        union wire_msg msg;
        int fds[WIRE_FDS_MAX]; /* the receiver's */
        unsigned n_fds;
};

int pager_thread_new(struct pool *pool, const struct pager_options *options, struct pager_thread **ret);

/* Closes everything, waits a while for what is under way, and ends the thread. False: something hangs, and the process must end with _exit(). */
bool pager_thread_free(struct pager_thread *thread);

/* Each request is answered by one reply. Takes the request's descriptors if it succeeds. -ENOMEM. */
int pager_thread_request(struct pager_thread *thread, const struct request *request);

/* Closes descriptors that clients sent, which it takes: this thread must not wait for them (ring_close()). */
void pager_thread_close(struct pager_thread *thread, const int *fds, unsigned n_fds);

/* A peer is gone: its handles are closed. What that needs was allocated when the peer came. */
struct pager_farewell;
struct pager_farewell *pager_farewell_new(void);
void pager_thread_farewell(struct pager_thread *thread, struct pager_farewell *farewell, uint64_t peer); /* takes it */

/* Can be read when there are replies. */
int pager_thread_fd(const struct pager_thread *thread);

/* The next one; false: there is none. */
bool pager_thread_next(struct pager_thread *thread, struct pager_reply *ret);

#endif
