/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "workload.h"

const struct workload *const workloads[] = {
        &workload_random_read,
        &workload_random_read_full,
        &workload_first_write,
        &workload_sequential_read,
        &workload_sequential_read_full,
        &workload_sequential_huge,
        &workload_sequential_cold,
        &workload_reverse_read,
        &workload_strided_read,
        &workload_two_streams,
        &workload_sequential_write,
        &workload_writeout,
        &workload_writeout_scattered,
        &workload_writeout_sync,
        &workload_writeout_scattered_sync,
        &workload_threads[0],
        &workload_threads[1],
        &workload_threads[2],
        &workload_threads[3],
        &workload_clients[0],
        &workload_clients[1],
        &workload_clients[2],
        &workload_clients[3],
        &workload_pool_zipf[0],
        &workload_pool_zipf[1],
        &workload_pool_zipf[2],
        &workload_pool_zipf[3],
        &workload_pool_loop[0],
        &workload_pool_loop[1],
        &workload_pool_scan[0],
        &workload_pool_scan[1],
#if BENCH_LIBNBD
        &workload_nbd_random,
        &workload_nbd_sequential,
        &workload_nbd_slow_sequential,
        &workload_nbd_slow_faults,
#endif
        &workload_provider[0],
        &workload_provider[1],
        &workload_provider[2],
        &workload_provider[3],
        &workload_start_up,
        &workload_idle,
        &workload_metadata,
        NULL,
};

const struct workload *workload_find(const char *name) {
        for (size_t i = 0; workloads[i]; i++)
                if (strcmp(workloads[i]->name, name) == 0)
                        return workloads[i];
        return NULL;
}
