/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Traces that need more than the pool: how many touches find their page in it, and how fast it goes, with nothing but the pool to keep what was read: the file
 * is taken out of the page cache before, and all that the subjects use counts in a memory cgroup. Beside them the same trace in a simulated pool.
 */

#include <errno.h>

#include "access.h"
#include "clock.h"
#include "content.h"
#include "sim.h"
#include "subject_sim.h"
#include "trace.h"

#define WORKLOAD_POOL_TOUCHES 8 /* for each block; but not more than: */
#define WORKLOAD_POOL_ACCESSES 64 /* for each access of other workloads */
#define WORKLOAD_POOL_LOOK_AT_CLOCK 16 /* touches */

static size_t workload_pool_n_touches(const struct setup *setup) {
        size_t n = setup->content->n_blocks * WORKLOAD_POOL_TOUCHES, n_max = setup->n_accesses * WORKLOAD_POOL_ACCESSES;

        return n < n_max ? n : n_max;
}

static int workload_pool_make(struct workload_run *run, struct trace *trace) {
        struct trace_size size = {
                .n_blocks = (uint32_t) run->setup->content->n_blocks,
                .n_pool = (uint32_t) (run->setup->pool_bytes / CONTENT_BLOCK),
                .n_touches = workload_pool_n_touches(run->setup),
                .seed = run->seed,
        };

        return trace_init(trace, trace_find(run->workload->trace), &size);
}

static int workload_pool_simulate(struct workload_run *run, const struct trace *trace) {
        uint32_t n_pool = (uint32_t) (run->setup->pool_bytes / CONTENT_BLOCK);
        struct sim_result result;
        int r;

        r = sim_run(subject_sim_policy(run->subject), trace, n_pool, &result);
        if (r == 0)
                run->hits = result.hits;
        return r;
}

/* Who is too slow is stopped after a time; then the rate is that until then, and of hits nothing is known. */
static int workload_pool_replay(struct workload_run *run, const struct trace *trace) {
        uint64_t n_seconds = run->subject->kind->seconds_max, end = n_seconds ? clock_ns() + n_seconds * CLOCK_NS_PER_SECOND : UINT64_MAX;
        size_t i = 0;
        int r = 0;

        for (; r == 0 && i < trace->n; i++) {
                r = access_check_word(run->subject, trace->blocks[i], *(volatile const uint64_t *) subject_look(run->subject, trace->blocks[i]));
                if (i % WORKLOAD_POOL_LOOK_AT_CLOCK == 0 && clock_ns() >= end)
                        break;
        }
        run->n_touches = i;
        return r;
}

static int workload_pool_measure(struct workload_run *run, const struct trace *trace) {
        unsigned left;
        int r;

        r = content_chill(run->setup->content, &left);
        if (r == 0 && left > CONTENT_LEFT_MAX) {
                reason_say(&run->reason, "%u of a thousand blocks of the file stay in the page cache (--dir)", left);
                return WORKLOAD_SKIPPED;
        }
        if (r == 0)
                r = access_begin(run);
        if (r == 0)
                r = workload_pool_replay(run, trace);
        if (r == 0)
                r = access_end(run);
        if (run->subject->kind->count && run->n_touches == trace->n)
                run->hits = 1 - (double) run->n_loads / (double) trace->n;
        return r;
}

static int workload_pool_run(struct workload_run *run) {
        struct trace trace;
        int r;

        if (run->setup->content->n_blocks < TRACE_BLOCKS_MIN) {
                reason_say(&run->reason, "the file is too small (--file-size)");
                return WORKLOAD_SKIPPED;
        }
        r = workload_pool_make(run, &trace);
        if (r < 0)
                return r;
        r = subject_sim_policy(run->subject) ? workload_pool_simulate(run, &trace) : workload_pool_measure(run, &trace);
        trace_fini(&trace);
        return r;
}

static const struct subject_kind *const workload_pool_subjects[] = {
        &subject_mmap_normal_limited, &subject_mmap_random_limited, &subject_bigfile_limited, &subject_sim_fifo,
        &subject_sim_lru,             &subject_sim_proven,          &subject_sim_belady,      NULL,
};

#define WORKLOAD_POOL(name_, title_, trace_, percent_)                                                                                                      \
        {                                                                                                                                                   \
                .name = name_, .title = title_, .unit = WORKLOAD_TOUCHES, .run = workload_pool_run, .subjects = workload_pool_subjects,                     \
                .base = &subject_mmap_random_limited, .flags = WORKLOAD_FRESH | WORKLOAD_NO_WARM_UP | WORKLOAD_ANY_CPU, .pool_percent = percent_,           \
                .n_runs_max = 3, .trace = trace_                                                                                                            \
        }

const struct workload workload_pool_zipf[4] = {
        WORKLOAD_POOL("pool-zipf-10", "Zipf(0.99) over the whole file, cold, the pool a tenth of it", "zipf", 10),
        WORKLOAD_POOL("pool-zipf-25", "Zipf(0.99) over the whole file, cold, the pool a quarter of it", "zipf", 25),
        WORKLOAD_POOL("pool-zipf-50", "Zipf(0.99) over the whole file, cold, the pool half of it", "zipf", 50),
        WORKLOAD_POOL("pool-zipf-75", "Zipf(0.99) over the whole file, cold, the pool three quarters of it", "zipf", 75),
};

const struct workload workload_pool_loop[2] = {
        WORKLOAD_POOL("pool-loop-25", "a loop over 1.1 pools, cold, the pool a quarter of the file", "loop", 25),
        WORKLOAD_POOL("pool-loop-50", "a loop over 1.1 pools, cold, the pool half of the file", "loop", 50),
};

const struct workload workload_pool_scan[2] = {
        WORKLOAD_POOL("pool-zipf-scan-25", "Zipf(0.99) and a scan in turns of 64, cold, the pool a quarter of the file", "zipf-scan", 25),
        WORKLOAD_POOL("pool-zipf-scan-50", "Zipf(0.99) and a scan in turns of 64, cold, the pool half of the file", "zipf-scan", 50),
};
