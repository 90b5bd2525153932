/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_INJECT_H
#define BF_INJECT_H

/*
 * Failures on demand, for tests, in a build with -Dinject=true; in any other these are nothing at all. The environment of the daemon says what
 * is to happen where:
 *
 *   BIGFILED_INJECT=POINT[:N]=kill|ERRNO[,…]      the N-th time (the first, if it says none) that the daemon comes by there
 *
 * What happens is said on standard error. "bigfiled --inject-points" lists the points (inject_points.h), each with what can happen there.
 * Any thread may come by.
 */

#include <stdbool.h>

#if defined(BIGFILED_INJECT) && BIGFILED_INJECT

#include "inject_points.h"

#define INJECT_ID(id, ...) INJECT_##id,
enum inject_point {
        INJECT_POINTS(INJECT_ID, INJECT_ID)
        N_INJECT_POINTS,
};
#undef INJECT_ID

/* Reads the environment; ends the process where it is not understood. True: it was asked for the list, and there is no more to do. */
bool inject_begin(int argc, char **argv);

/* Does nothing, or does not return. */
void inject_kill(enum inject_point point);

/* 0, or a negative errno. */
int inject_error(enum inject_point point);

#define INJECT(id) inject_kill(INJECT_##id)
#define INJECT_ERROR(id) inject_error(INJECT_##id)

#else

static inline bool inject_begin(int argc, char **argv) {
        (void) argc;
        (void) argv;
        return false;
}

#define INJECT(id) ((void) 0)
#define INJECT_ERROR(id) 0

#endif

#endif
