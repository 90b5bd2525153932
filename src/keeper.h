/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_KEEPER_H
#define BF_KEEPER_H

/* The one thread of a client: it delivers the daemon's replies, and when the daemon is gone, looks for another one and after the client's memory meanwhile. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dial.h"
#include "fileh.h"
#include "lost.h"
#include "serve.h"

/* Until keeper_stop(), all belong to the keeper as well. */
struct keeper_params {
        struct session *session;
        struct handles *handles;
        struct serves *serves;
        struct dial *dial;
        int64_t timeout; /* milliseconds after which requests fail, and faults are answered with SIGBUS, for want of a daemon */
};

struct keeper {
        struct keeper_params params;
        pthread_t thread;
        bool is_running;
        int end; /* eventfd: readable when the client ends */

        /* the thread's own: */
        struct lost lost;
        bool has_lost;   /* the timeout has passed */
        int64_t pause;   /* before the next attempt to reach a daemon */
        int64_t reached; /* when the present one was */
};

int keeper_start(struct keeper *keeper, const struct keeper_params *params);

/* Ends the session, and waits for the thread. Once it has, nothing more happens. */
void keeper_stop(struct keeper *keeper);

#endif
