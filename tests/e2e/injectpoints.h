/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_INJECTPOINTS_H
#define BF_TEST_INJECTPOINTS_H

/* The points at which a daemon built with -Dinject=true can be struck, as it lists them itself; and daemons that are to be struck. */

#include "rig.h"

#define INJECTPOINTS_MAX 512

struct injectpoint {
        char name[48];
        char action[24]; /* "kill" or an errno; of a point with several each is one of these */
};

/* All of them; or, with BF_INJECT_POINT in the environment, those of that name. Returns how many. */
size_t injectpoints_list(struct injectpoint points[static INJECTPOINTS_MAX]);

/* Starts a daemon with this in $BIGFILED_INJECT; NULL: with nothing. 0, or what daemonproc_start() says. */
int injectpoints_start(struct rig *rig, const char *setting, const char *const *options);

/* Has a daemon of this test said that it was struck there? */
bool injectpoints_was_struck(const struct rig *rig, const char *name, unsigned long n);

#endif
