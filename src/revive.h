/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REVIVE_H
#define BF_REVIVE_H

/*
 * One attempt to have another daemon take up what this client has when its daemon is gone: connects, shows it every handle and mapping, wakes who waits in a
 * fault, and gives the connection to the session, which sends again what has no reply yet. On the keeper's thread.
 *
 * A handle that the daemon refuses is lost: its faults are answered with SIGBUS and its requests with -ENOTCONN; the others go on.
 */

#include <stdint.h>

#include "dial.h"
#include "fileh.h"
#include "lost.h"
#include "serve.h"

struct revive {
        struct session *session; /* SUSPENDED or LOST; then CONNECTED, or on failure REVIVING or as before */
        struct handles *handles;
        struct serves *serves;
        struct dial *dial;
        struct lost *lost;
        int stop;      /* when this is readable, the attempt ends */
        int64_t until; /* the daemon has to have answered the first message by then. After that it is left as much time as it takes: who leaves a daemon
                        * that has taken up a handle has it drop that handle's pages */
        struct dial_line line;
};

/* Sets bf_errmsg() on failure. */
int revive_run(struct revive *revive);

#endif
