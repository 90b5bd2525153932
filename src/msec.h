/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_MSEC_H
#define BF_MSEC_H

/* Moments, in milliseconds of a clock that nobody sets. */

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define MSEC_NEVER INT64_MAX

static inline int64_t msec_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long it is until then, as poll(2) takes it. */
static inline int msec_until(int64_t moment) {
        int64_t left;

        if (moment == MSEC_NEVER)
                return -1;
        left = moment - msec_now();
        if (left <= 0)
                return 0;
        return left < INT_MAX ? (int) left : INT_MAX;
}

#endif
