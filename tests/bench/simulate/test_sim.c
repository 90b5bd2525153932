/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ghosts.h"
#include "rng.h"
#include "sim.h"
#include "zipf.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define N_BLOCKS 2048
#define N_TOUCHES (N_BLOCKS * 20)

static void run(const struct sim_policy *policy, const struct trace *trace, uint32_t n_pool, struct sim_result *result) {
        assert_int_equal(sim_run(policy, trace, n_pool, result), 0);
}

static void make(struct trace *trace, const char *name, uint32_t n_pool) {
        struct trace_size size = { .n_blocks = N_BLOCKS, .n_pool = n_pool, .n_touches = N_TOUCHES, .seed = 1 };

        assert_int_equal(trace_init(trace, trace_find(name), &size), 0);
}

/* Touches of a pool of three that books work through by hand: 9, 12 and 15 loads of 20. */
static void test_by_hand(void **state) {
        uint32_t blocks[] = { 7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1 };
        struct trace trace = { .blocks = blocks, .n = N_ELEMENTS(blocks), .n_blocks = 8 };
        struct sim_result result;

        (void) state;
        run(&policy_belady, &trace, 3, &result);
        assert_int_equal((int) ((1 - result.hits) * 20 + 0.5), 9);
        run(&policy_lru, &trace, 3, &result);
        assert_int_equal((int) ((1 - result.hits) * 20 + 0.5), 12);
        run(&policy_fifo, &trace, 3, &result);
        assert_int_equal((int) ((1 - result.hits) * 20 + 0.5), 15);
        assert_true(result.refaults == 0);
}

/* Nor does any fail in a pool that is tiny, or as large as the data. */
static void test_nobody_beats_the_optimum(void **state) {
        static const uint32_t pools[] = { 1, 2, 5, 64, N_BLOCKS / 4, N_BLOCKS };
        struct sim_result best, result;
        struct trace trace;

        (void) state;
        for (const struct trace_kind *kind = trace_kinds; kind->name; kind++)
                for (size_t i = 0; i < N_ELEMENTS(pools); i++) {
                        make(&trace, kind->name, pools[i]);
                        run(&policy_belady, &trace, pools[i], &best);
                        for (size_t j = 1; pools[i] >= 64 && sim_policies[j]; j++) {
                                run(sim_policies[j], &trace, pools[i], &result);
                                assert_true(result.hits <= best.hits);
                        }
                        run(&policy_lru, &trace, pools[i], &result);
                        assert_true(result.hits <= best.hits);
                        run(&policy_proven, &trace, pools[i], &result);
                        assert_true(result.hits <= best.hits);
                        trace_fini(&trace);
                }
}

static double hits(const struct sim_policy *policy, const char *name, uint32_t n_pool) {
        struct sim_result result;
        struct trace trace;

        make(&trace, name, n_pool);
        run(policy, &trace, n_pool, &result);
        trace_fini(&trace);
        return result.hits;
}

/* What the policy is there for. */
static void test_proven(void **state) {
        (void) state;
        assert_true(hits(&policy_proven, "zipf", N_BLOCKS / 4) > hits(&policy_lru, "zipf", N_BLOCKS / 4));
        assert_true(hits(&policy_proven, "zipf-scan", N_BLOCKS / 4) > hits(&policy_lru, "zipf-scan", N_BLOCKS / 4) + 0.05);
        assert_true(hits(&policy_proven, "loop", N_BLOCKS / 4) > 0.7);
        assert_true(hits(&policy_proven, "loop-all", N_BLOCKS / 4) > 0.15);
        assert_true(hits(&policy_proven, "index", N_BLOCKS / 10) > 2 * hits(&policy_lru, "index", N_BLOCKS / 10));
}

static void test_proven_is_never_much_worse_than_fifo(void **state) {
        static const uint32_t divisors[] = { 10, 4, 2 };

        (void) state;
        for (const struct trace_kind *kind = trace_kinds; kind->name; kind++)
                for (size_t i = 0; i < N_ELEMENTS(divisors); i++)
                        assert_true(hits(&policy_proven, kind->name, N_BLOCKS / divisors[i]) > hits(&policy_fifo, kind->name, N_BLOCKS / divisors[i]) - 0.02);
}

static void test_kept_blocks_come_back_without_a_load(void **state) {
        struct sim_result result;
        struct trace trace;

        (void) state;
        make(&trace, "zipf", N_BLOCKS / 4);
        run(&policy_unmap, &trace, N_BLOCKS / 4, &result);
        assert_true(result.refaults > 0.01 && result.hits > hits(&policy_fifo, "zipf", N_BLOCKS / 4));
        run(&policy_proven_kept, &trace, N_BLOCKS / 4, &result);
        assert_true(result.refaults > 0.005);
        trace_fini(&trace);
}

static void test_traces(void **state) {
        struct trace trace, again;

        (void) state;
        for (const struct trace_kind *kind = trace_kinds; kind->name; kind++) {
                make(&trace, kind->name, N_BLOCKS / 4);
                make(&again, kind->name, N_BLOCKS / 4);
                assert_int_equal(trace.n, N_TOUCHES);
                for (size_t i = 0; i < trace.n; i++)
                        assert_true(trace.blocks[i] < trace.n_blocks);
                assert_memory_equal(trace.blocks, again.blocks, trace.n * sizeof(*trace.blocks));
                trace_fini(&trace);
                trace_fini(&again);
        }
        assert_null(trace_find("no such trace"));
}

/* Rank 1 is drawn twice as often as rank 2, and ten times as often as rank 10. */
static void test_zipf(void **state) {
        uint32_t counts[100] = { 0 };
        uint64_t rng = 1;
        struct zipf zipf;

        (void) state;
        assert_int_equal(zipf_init(&zipf, 100, 1, 1), 0);
        for (unsigned i = 0; i < 100000; i++)
                counts[zipf_draw(&zipf, &rng)]++;
        assert_in_range(counts[zipf.ranked[0]] * 10 / counts[zipf.ranked[1]], 18, 22);
        assert_in_range(counts[zipf.ranked[0]] * 10 / counts[zipf.ranked[9]], 85, 115);
        zipf_fini(&zipf);
}

static void test_ghosts(void **state) {
        struct ghosts ghosts;
        uint16_t when;

        (void) state;
        ghosts_init(&ghosts, 1000);
        for (uint16_t i = 0; i < 10000; i++)
                ghosts_add(&ghosts, rng_mix(i + 1u), i);
        assert_true(ghosts_take(&ghosts, rng_mix(10000), &when));
        assert_int_equal(when, 9999);
        assert_false(ghosts_take(&ghosts, rng_mix(10000), &when));
        for (uint16_t i = 9600; i < 9999; i++)
                assert_true(ghosts_take(&ghosts, rng_mix(i + 1u), &when) && when == i);
        for (uint16_t i = 0; i < 5000; i++)
                assert_false(ghosts_take(&ghosts, rng_mix(i + 1u), &when) && when == i);
        ghosts_fini(&ghosts);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_hand),
                cmocka_unit_test(test_nobody_beats_the_optimum),
                cmocka_unit_test(test_proven),
                cmocka_unit_test(test_proven_is_never_much_worse_than_fifo),
                cmocka_unit_test(test_kept_blocks_come_back_without_a_load),
                cmocka_unit_test(test_traces),
                cmocka_unit_test(test_zipf),
                cmocka_unit_test(test_ghosts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
