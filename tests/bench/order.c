/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"
#include "rng.h"

int order_random(uint64_t first, uint64_t limit, size_t n, uint64_t seed, uint64_t *ret_blocks) {
        uint64_t n_all = limit - first, state = seed, *all;

        assert(first <= limit && n <= n_all);
        all = malloc(n_all * sizeof(*all) + 1);
        if (!all)
                return -ENOMEM;
        for (uint64_t i = 0; i < n_all; i++)
                all[i] = first + i;
        for (size_t i = 0; i < n; i++) {
                uint64_t j = i + rng_next(&state) % (n_all - i), chosen = all[j];

                all[j] = all[i];
                all[i] = chosen;
        }
        memcpy(ret_blocks, all, n * sizeof(*all));
        free(all);
        return 0;
}
