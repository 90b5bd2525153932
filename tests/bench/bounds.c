/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "bounds.h"

/* More threads must not make it slower: what lies within the spread of a measurement is no loss. */
#define BOUND_NO_LOSS 0.95

#define BOUND_PEER(title_, workload_, subject_, other_, measure_, relation_, limit_)                                                                        \
        { .title = title_, .workload = &workload_, .subject = &subject_, .other = &other_, .measure = measure_, .relation = relation_, .limit = limit_ }

#define BOUND_SCALES(title_, workload_, other_workload_, subject_, limit_)                                                                                  \
        {                                                                                                                                                   \
                .title = title_, .workload = &workload_, .subject = &subject_, .other_workload = &other_workload_, .other = &subject_,                      \
                .measure = RESULT_MAIN, .relation = BOUND_AT_LEAST, .limit = limit_                                                                         \
        }

#define BOUND_NUMBER(title_, workload_, limit_)                                                                                                             \
        { .title = title_, .workload = &workload_, .subject = &subject_bigfile, .measure = RESULT_MAIN, .relation = BOUND_AT_MOST, .limit = limit_ }

#define BOUND_POOL(text_, workload_)                                                                                                                        \
        BOUND_PEER("hits, " text_ ": to LRU", workload_, subject_bigfile_limited, subject_sim_lru, RESULT_HITS, BOUND_NONE, 0),                            \
                BOUND_PEER("hits, " text_ ": to the optimum", workload_, subject_bigfile_limited, subject_sim_belady, RESULT_HITS, BOUND_NONE, 0),          \
                BOUND_PEER("touches a second, " text_ ": to mmap, MADV_RANDOM", workload_, subject_bigfile_limited, subject_mmap_random_limited,            \
                           RESULT_MAIN, BOUND_NONE, 0),                                                                                                     \
                BOUND_PEER("touches a second, " text_ ": to mmap", workload_, subject_bigfile_limited, subject_mmap_normal_limited, RESULT_MAIN,            \
                           BOUND_NONE, 0)

const struct bound bounds[] = {
        BOUND_PEER("random read fault, time: to the bare loop", workload_random_read, subject_bigfile, subject_floor, RESULT_P50, BOUND_AT_MOST, 1.1),
        BOUND_PEER("random read fault, time: to SIGSEGV and mprotect", workload_random_read, subject_bigfile, subject_signal, RESULT_P50, BOUND_NONE, 0),
        BOUND_PEER("random read fault, CPU time of the server: to the bare loop", workload_random_read, subject_bigfile, subject_floor, RESULT_CPU, BOUND_NONE,
                   0),
        BOUND_PEER("the same with the pool full, time: to the bare loop", workload_random_read_full, subject_bigfile, subject_floor, RESULT_P50, BOUND_NONE, 0),
        BOUND_PEER("first write, time: to the bare loop", workload_first_write, subject_bigfile, subject_floor, RESULT_P50, BOUND_AT_MOST, 1.1),
        BOUND_PEER("first write, time: to SIGSEGV and mprotect", workload_first_write, subject_bigfile, subject_signal, RESULT_P50, BOUND_NONE, 0),
        BOUND_PEER("sequential read: to a bare loop of 2 MiB", workload_sequential_read, subject_bigfile, subject_floor_2m, RESULT_MAIN, BOUND_AT_LEAST, 0.9),
        BOUND_PEER("sequential read, a smaller pool: to a bare loop of 2 MiB", workload_sequential_read_full, subject_bigfile, subject_floor_2m, RESULT_MAIN,
                   BOUND_NONE, 0),
        BOUND_PEER("sequential read, huge pages: to pread into a huge page", workload_sequential_huge, subject_bigfile_huge, subject_file_huge, RESULT_MAIN,
                   BOUND_AT_LEAST, 0.8),
        BOUND_PEER("sequential read, cold: to mmap", workload_sequential_cold, subject_bigfile, subject_mmap_normal, RESULT_MAIN, BOUND_AT_LEAST, 1.0),
        BOUND_PEER("sequential read, cold, direct I/O: to mmap", workload_sequential_cold, subject_bigfile_direct, subject_mmap_normal, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("read from the end: to a bare loop", workload_reverse_read, subject_bigfile, subject_floor, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("read from the end: to mmap", workload_reverse_read, subject_bigfile, subject_mmap_normal, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("read of each 16th page: to a bare loop", workload_strided_read, subject_bigfile, subject_floor, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("read of each 16th page: to mmap", workload_strided_read, subject_bigfile, subject_mmap_normal, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("two sequential streams: to a bare loop of 2 MiB", workload_two_streams, subject_bigfile, subject_floor_2m, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("two sequential streams: to mmap", workload_two_streams, subject_bigfile, subject_mmap_normal, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("first writes in order: to a bare loop", workload_sequential_write, subject_bigfile, subject_floor, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("first writes in order: to mmap", workload_sequential_write, subject_bigfile, subject_mmap_normal, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("writeout of neighbours: to pwrite", workload_writeout, subject_bigfile, subject_file, RESULT_MAIN, BOUND_AT_LEAST, 0.9),
        BOUND_PEER("writeout of scattered pages: to pwrite", workload_writeout_scattered, subject_bigfile, subject_file, RESULT_MAIN, BOUND_AT_LEAST, 0.9),
        BOUND_PEER("writeout of neighbours, sync: to pwrite and fdatasync", workload_writeout_sync, subject_bigfile, subject_file, RESULT_MAIN, BOUND_AT_LEAST,
                   0.9),
        BOUND_PEER("writeout of scattered pages, sync: to pwrite and fdatasync", workload_writeout_scattered_sync, subject_bigfile, subject_file, RESULT_MAIN,
                   BOUND_AT_LEAST, 0.9),
        BOUND_SCALES("two threads: to one", workload_threads[1], workload_threads[0], subject_bigfile, 1.3),
        BOUND_SCALES("four threads: to two", workload_threads[2], workload_threads[1], subject_bigfile, BOUND_NO_LOSS),
        BOUND_SCALES("eight threads: to four", workload_threads[3], workload_threads[2], subject_bigfile, BOUND_NO_LOSS),
        BOUND_SCALES("two clients: to one", workload_clients[1], workload_clients[0], subject_bigfile_server, 1.3),
        BOUND_SCALES("four clients: to two", workload_clients[2], workload_clients[1], subject_bigfile_server, BOUND_NO_LOSS),
        BOUND_SCALES("eight clients: to four", workload_clients[3], workload_clients[2], subject_bigfile_server, BOUND_NO_LOSS),
        BOUND_PEER("served, 4 KiB, in order: to FUSE", workload_provider[0], subject_ops_ahead, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 2 MiB, in order: to FUSE", workload_provider[0], subject_ops_2m_ahead, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 2 MiB, huge pages, in order: to FUSE", workload_provider[0], subject_ops_huge, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 4 KiB, huge pages, in order: to FUSE", workload_provider[0], subject_ops_small_huge, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 4 KiB, in order, four threads: to FUSE", workload_provider[1], subject_ops_ahead, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 2 MiB, in order, four threads: to FUSE", workload_provider[1], subject_ops_2m_ahead, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 2 MiB, huge pages, four threads: to FUSE", workload_provider[1], subject_ops_huge, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 4 KiB, huge pages, four threads: to FUSE", workload_provider[1], subject_ops_small_huge, subject_fuse, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 4 KiB, at random: to FUSE, MADV_RANDOM", workload_provider[2], subject_ops, subject_fuse_random, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("served, 4 KiB, at random, four threads: to FUSE, MADV_RANDOM", workload_provider[3], subject_ops, subject_fuse_random, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_POOL("Zipf, pool 25 %", workload_pool_zipf[1]),
        BOUND_POOL("Zipf, pool 50 %", workload_pool_zipf[2]),
        BOUND_POOL("Zipf and scan, pool 25 %", workload_pool_scan[0]),
        BOUND_POOL("Zipf and scan, pool 50 %", workload_pool_scan[1]),
        BOUND_POOL("loop of 1.1 pools, pool 25 %", workload_pool_loop[0]),
        BOUND_POOL("loop of 1.1 pools, pool 50 %", workload_pool_loop[1]),
#if BENCH_LIBNBD
        BOUND_PEER("random read fault of an NBD server, time: to nbd_pread", workload_nbd_random, subject_nbd, subject_libnbd, RESULT_P50, BOUND_NONE, 0),
        BOUND_PEER("the same: to a local file", workload_nbd_random, subject_nbd, subject_bigfile, RESULT_P50, BOUND_NONE, 0),
        BOUND_PEER("sequential read of an NBD server: to nbdcopy", workload_nbd_sequential, subject_nbd, subject_nbdcopy, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("the same: to a local file", workload_nbd_sequential, subject_nbd, subject_bigfile, RESULT_MAIN, BOUND_NONE, 0),
        BOUND_PEER("sequential read of a slow NBD server: to nbdcopy", workload_nbd_slow_sequential, subject_nbd_slow, subject_nbdcopy_slow, RESULT_MAIN,
                   BOUND_NONE, 0),
#endif
        BOUND_NUMBER("start of a private daemon, ms", workload_start_up, 20),
        BOUND_NUMBER("wake-ups of an idle daemon in a second", workload_idle, 0),
        BOUND_NUMBER("metadata for each page in RAM, bytes", workload_metadata, 64),
        { 0 },
};

static bool bound_value(const struct bound *bound, const struct results *results, const char *placement, double *ret_value) {
        const struct result *result = results_find(results, placement, bound->workload, bound->subject), *other;

        if (!result)
                return false;
        if (!bound->other)
                return result_median(result, bound->measure, ret_value);
        other = results_find(results, placement, bound->other_workload ? bound->other_workload : bound->workload, bound->other);
        return other && result_ratio(result, other, bound->measure, ret_value);
}

enum bound_verdict bound_check(const struct bound *bound, const struct results *results, const char *placement, double *ret_value) {
        if (!bound_value(bound, results, placement, ret_value))
                return BOUND_UNKNOWN;
        if (bound->relation == BOUND_NONE)
                return BOUND_TOLD;
        return (bound->relation == BOUND_AT_MOST ? *ret_value <= bound->limit : *ret_value >= bound->limit) ? BOUND_MET : BOUND_MISSED;
}

const char *bound_reason(const struct bound *bound, const struct results *results, const char *placement) {
        for (size_t i = 0; i < results->n; i++) {
                const struct result *result = &results->items[i];
                bool is_of_it = result->workload == bound->workload && (result->subject == bound->subject || result->subject == bound->other);

                if (is_of_it && result->n == 0 && strcmp(result->placement, placement) == 0 && *result->reason.text)
                        return result->reason.text;
        }
        return NULL;
}
