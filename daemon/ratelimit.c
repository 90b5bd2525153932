/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ratelimit.h"

static bool ratelimit_is_over(const struct ratelimit *limit, uint64_t now) {
        return limit->begun == 0 || now - limit->begun >= RATELIMIT_USEC;
}

bool ratelimit_passes(struct ratelimit *limit, uint64_t now) {
        if (ratelimit_is_over(limit, now)) {
                limit->begun = now;
                limit->n_passed = 0;
        }
        if (limit->n_passed >= RATELIMIT_BURST) {
                limit->n_suppressed++;
                return false;
        }
        limit->n_passed++;
        return true;
}

uint64_t ratelimit_take_suppressed(struct ratelimit *limit, uint64_t now) {
        uint64_t n = ratelimit_is_over(limit, now) ? limit->n_suppressed : 0;

        if (n > 0)
                limit->n_suppressed = 0;
        return n;
}
