/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOOK_H
#define BF_LOOK_H

/* Looking at the daemon in a thread of its own: who shows what was seen can so show that there is no answer, too. One look at a time. */

#include <pthread.h>

#include "snapshot.h"

#define LOOK_TEXT_MAX 1024

struct look {
        struct bf_client *client;
        pthread_t thread;
        bool is_pending;     /* there is a thread, which was not joined yet; the rest is its own meanwhile */
        uint64_t began_nsec; /* monotonic; not the thread's */
        struct snapshot found;
        int r;
        char text[LOOK_TEXT_MAX]; /* of bf_errmsg(), which is a thread's own */
};

int look_begin(struct look *look, struct bf_client *client);

/* Waits for the answer for so long. 0: here it is, compared with nothing; 1: not yet; or a negative errno, with bf_errmsg(). */
int look_wait(struct look *look, uint64_t usec, struct snapshot *ret);

/* For how long the one that is pending has had no answer; 0: none is pending. */
uint64_t look_silent_nsec(const struct look *look);

/* If one is pending: gives up the connection, so that it ends. */
void look_fini(struct look *look);

#endif
