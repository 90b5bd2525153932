/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_KEEPER_H
#define BF_KEEPER_H

/* The one thread of a client: it delivers the daemon's replies, and when the daemon is gone, looks after the client's memory in its place. */

#include <pthread.h>

#include "fileh.h"

struct keeper {
        pthread_t thread;
        struct session *session;
        struct handles *handles;
};

/* Until keeper_stop(), both belong to the keeper as well. */
int keeper_start(struct keeper *keeper, struct session *session, struct handles *handles);

/* Ends the session, and waits for the thread. */
void keeper_stop(struct keeper *keeper);

#endif
