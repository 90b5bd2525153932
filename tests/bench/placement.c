/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "placement.h"

int placement_init(struct placement *placement) {
        CPU_ZERO(&placement->all);
        return sched_getaffinity(0, sizeof(placement->all), &placement->all) < 0 ? -errno : 0;
}

static int placement_set(const cpu_set_t *cpus) {
        return sched_setaffinity(0, sizeof(*cpus), cpus) < 0 ? -errno : 0;
}

int placement_pin(const struct placement *placement, unsigned *ret_cpu) {
        unsigned last = CPU_SETSIZE - 1;
        cpu_set_t one;
        int r;

        while (last > 0 && !CPU_ISSET(last, &placement->all))
                last--;
        CPU_ZERO(&one);
        CPU_SET(last, &one);
        r = placement_set(&one);
        if (r == 0)
                *ret_cpu = last;
        return r;
}

int placement_free(const struct placement *placement) {
        return placement_set(&placement->all);
}
