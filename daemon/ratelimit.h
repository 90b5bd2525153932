/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_RATELIMIT_H
#define BF_RATELIMIT_H

/* So many in a time, and no more: what is over that is counted. Pure, and of one thread at a time. */

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_BURST 20
#define RATELIMIT_USEC UINT64_C(10000000)

struct ratelimit {
        uint64_t begun; /* the time that is running now, microseconds */
        unsigned n_passed;
        uint64_t n_suppressed;
};

/* May one more pass at this time? All zeros: nothing was asked yet. */
bool ratelimit_passes(struct ratelimit *limit, uint64_t now);

/* How many did not, once their time is over: then they are forgotten. 0: none, or it is too early. */
uint64_t ratelimit_take_suppressed(struct ratelimit *limit, uint64_t now);

#endif
