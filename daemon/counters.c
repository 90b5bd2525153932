/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "counters.h"

void counters_init(struct counters *counters) {
        for (unsigned i = 0; i < N_COUNTERS; i++)
                atomic_init(&counters->n[i], 0);
}

uint64_t counters_get(const struct counters *counters, enum counter counter) {
        return atomic_load_explicit(&counters->n[counter], memory_order_relaxed);
}
