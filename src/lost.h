/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOST_H
#define BF_LOST_H

/*
 * What happens to the memory of handles that no daemon serves: every fault is answered with SIGBUS, so that no thread waits for ever, or reads what the file never
 * held. And the raising again of faults that a daemon had read and not answered when it was gone. All of it on the keeper's thread.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "fileh.h"

/* Descriptors that can be waited for besides. */
#define LOST_FDS_MAX 2

struct lost {
        struct handles *handles;
        struct pollfd *polls;
        size_t n_polls_max;
        size_t n_lost;   /* handles, when they were last looked at */
        unsigned n_wakes; /* still to come */
        int64_t next_wake;
};

void lost_init(struct lost *lost, struct handles *handles);
void lost_fini(struct lost *lost);

/* The daemon is gone, or another one has come: whoever waits in a fault is to fault again, now and some more times. */
void lost_begin(struct lost *lost);

/* Does all there is to do now. False: nothing is left to be done later, either. */
bool lost_look(struct lost *lost);

/* After lost_look(): sleeps until there is something to do for it, one of these descriptors is readable, or that moment (msec.h) has come. */
void lost_sleep(struct lost *lost, const int *fds, unsigned n_fds, int64_t until);

#endif
