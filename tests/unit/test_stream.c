/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is foretold of blocks that are missing, by a reader that touches them in some order and finds what was read ahead. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream.h"

#define N_BLOCKS 20000

struct reader {
        struct streams streams;
        struct stream_bounds bounds;
        bool has[N_BLOCKS];
        unsigned n_misses;
        unsigned n_ahead;
        unsigned n_twice; /* read ahead though it was there */
};

static int setup(void **state) {
        static struct reader reader;

        memset(&reader, 0, sizeof(reader));
        streams_init(&reader.streams);
        reader.bounds = (struct stream_bounds) { .begin = 0, .end = N_BLOCKS, .window = 512, .n_traps = 2 };
        *state = &reader;
        return 0;
}

static void carry_out(struct reader *reader, const struct stream_plan *plan) {
        for (uint64_t i = 0; i < plan->n; i++) {
                uint64_t block = plan->first + i * (uint64_t) plan->stride;

                assert_true(block >= reader->bounds.begin && block < reader->bounds.end);
                if (stream_has_trap(&plan->traps, block, 1))
                        continue;
                reader->n_twice += reader->has[block];
                reader->n_ahead += !reader->has[block];
                reader->has[block] = true;
        }
}

/* True: it was missing. */
static bool touch(struct reader *reader, uint64_t block) {
        struct stream_plan plan;

        if (reader->has[block])
                return false;
        reader->has[block] = true;
        reader->n_misses++;
        streams_miss(&reader->streams, block, &reader->bounds, &plan);
        carry_out(reader, &plan);
        return true;
}

/* A thousand blocks miss a few times, then once a window, in the middle of it. */
static void test_forwards(void **state) {
        struct reader *reader = *state;

        for (uint64_t i = 100; i < 10100; i++)
                (void) touch(reader, i);
        assert_in_range(reader->n_misses, 10000 / 512, 60);
        assert_in_range(reader->n_ahead, 9900, 10000 + 512);
        assert_int_equal(reader->n_twice, 0);
        assert_false(reader->has[99]);
        assert_false(reader->has[10100 + 513]);
}

/* When a trap is touched, what was read ahead goes on for half a window. */
static void test_the_trap_comes_before_the_end(void **state) {
        struct reader *reader = *state;
        unsigned n_at_end = 0;

        for (uint64_t i = 0; i < 10000; i++) {
                bool goes_on = i + 64 < N_BLOCKS && reader->has[i + 64];

                if (touch(reader, i) && i > 2000)
                        n_at_end += !goes_on;
        }
        assert_int_equal(n_at_end, 0);
}

static void test_backwards(void **state) {
        struct reader *reader = *state;

        for (uint64_t i = 10000; i-- > 0;)
                (void) touch(reader, i);
        assert_in_range(reader->n_misses, 10000 / 512, 60);
        assert_int_equal(reader->n_twice, 0);
        assert_int_equal(reader->n_ahead + reader->n_misses, 10000);
}

static void test_strides(void **state) {
        struct reader *reader = *state;
        static const int64_t strides[] = { 2, 16, 64, -7 };

        for (unsigned s = 0; s < sizeof(strides) / sizeof(*strides); s++) {
                uint64_t block = strides[s] > 0 ? 1 : 19000;

                setup(state);
                for (unsigned i = 0; i < 300; i++, block += (uint64_t) strides[s])
                        (void) touch(reader, block);
                assert_in_range(reader->n_misses, 1, 20);
                assert_in_range(reader->n_ahead, 280, 300 + 512);
                assert_false(reader->has[strides[s] > 0 ? 2 + (strides[s] == 1) * 100 : 18999]);
        }
}

static void test_too_wide_a_stride(void **state) {
        struct reader *reader = *state;

        for (uint64_t i = 0; i < 200; i++)
                assert_true(touch(reader, i * 65));
        assert_int_equal(reader->n_ahead, 0);
}

/* As many as there are places for. */
static void test_mixed(void **state) {
        struct reader *reader = *state;

        for (uint64_t i = 0; i < 2000; i++)
                for (uint64_t s = 0; s < STREAMS_MAX; s++)
                        (void) touch(reader, s * 2400 + i);
        assert_in_range(reader->n_misses, 2000 / 512 * STREAMS_MAX, 40 * STREAMS_MAX);
        assert_int_equal(reader->n_twice, 0);
}

static uint64_t next_random(uint64_t *random) {
        *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return *random >> 33;
}

/* Next to nothing is read for who touches at random, and a stream beside him is not disturbed. */
static void test_at_random(void **state) {
        struct reader *reader = *state;
        uint64_t random = 1, n_missed = 0;

        for (unsigned i = 0; i < 3000; i++)
                (void) touch(reader, 10000 + next_random(&random) % 10000);
        assert_in_range(reader->n_ahead, 0, 200);
        for (uint64_t i = 0; i < 6000; i++) {
                n_missed += touch(reader, i);
                if (i % 4 == 0)
                        (void) touch(reader, 10000 + next_random(&random) % 10000);
        }
        assert_in_range(n_missed, 1, 600);
}

/* Short runs, each elsewhere: what is read in vain gets less. */
static void test_in_vain(void **state) {
        struct reader *reader = *state;
        uint64_t random = 7;
        unsigned n_early = 0;

        reader->bounds.is_eager = true;
        for (unsigned run = 0; run < 400; run++) {
                uint64_t block = next_random(&random) % (N_BLOCKS - 100);

                for (uint64_t i = 0; i < 4; i++)
                        (void) touch(reader, block + i);
                if (run == 20)
                        n_early = reader->n_ahead;
        }
        assert_true(reader->streams.n_wasted > 0);
        assert_true((reader->n_ahead - n_early) / 380 <= n_early / 20);
        assert_in_range(reader->streams.limit, 1, 32);
        reader->bounds.is_eager = false;
        memset(reader->has, 0, sizeof(reader->has));
        reader->n_misses = 0;
        for (uint64_t i = 0; i < 10000; i++) /* and who reads in order after that gets all again */
                (void) touch(reader, i);
        assert_in_range(reader->n_misses, 1, 80);
}

static void test_eager(void **state) {
        struct reader *reader = *state;

        reader->bounds.is_eager = true;
        assert_true(touch(reader, 500));
        assert_true(reader->has[501] && reader->has[515]);
        assert_false(reader->has[508] || reader->has[516]); /* the traps */
        assert_false(reader->has[499]);
}

/* Nothing is read outside of the bounds, and nothing is wrong at their ends. */
static void test_bounds(void **state) {
        struct reader *reader = *state;

        reader->bounds.begin = 1000;
        reader->bounds.end = 1100;
        for (uint64_t i = 1000; i < 1100; i++)
                (void) touch(reader, i);
        memset(reader->has, 0, sizeof(reader->has));
        for (uint64_t i = 1100; i-- > 1000;)
                (void) touch(reader, i);
        reader->bounds.window = 1; /* of large blocks */
        memset(reader->has, 0, sizeof(reader->has));
        for (uint64_t i = 1000; i < 1100; i++)
                (void) touch(reader, i);
        assert_true(reader->n_twice == 0);
}

/* Several threads in one region: out of order, but near. */
static void test_jumble(void **state) {
        struct reader *reader = *state;
        uint64_t random = 3;

        for (uint64_t i = 0; i < 8000; i += 8) {
                uint64_t offset = next_random(&random) % 8;

                for (uint64_t k = 0; k < 8; k++)
                        (void) touch(reader, i + (k * 5 + offset) % 8);
        }
        assert_in_range(reader->n_misses, 1, 4000);
}

static void forget(struct reader *reader, uint64_t first, uint64_t n) {
        memset(&reader->has[first], 0, n);
        reader->n_misses = 0;
        reader->n_ahead = 0;
}

/* What was read ahead is dropped before the thread is there. */
static void test_lost(void **state) {
        struct reader *reader = *state;

        for (uint64_t i = 0; i < 2000; i++)
                (void) touch(reader, i);
        forget(reader, 2000, N_BLOCKS - 2000);
        for (uint64_t i = 2000; i < 6000; i++)
                (void) touch(reader, i);
        assert_in_range(reader->n_misses, 4000 / 512, 30);
}

/* Two streams end, everything is dropped, and they begin again: the one where the other's last window was. */
static void test_from_the_beginning_again(void **state) {
        struct reader *reader = *state;

        for (unsigned pass = 0; pass < 3; pass++) {
                forget(reader, 0, N_BLOCKS);
                for (uint64_t i = 0; i < 8000; i++) {
                        (void) touch(reader, i);
                        (void) touch(reader, 8000 + i);
                }
                assert_in_range(reader->n_misses, 16000 / 512, 120);
        }
}

/* Who is known to read in order is believed at once, wherever he begins again. */
static void test_eager_begins_again(void **state) {
        struct reader *reader = *state;

        reader->bounds.is_eager = true;
        for (uint64_t i = 0; i < 2000; i++)
                (void) touch(reader, i);
        forget(reader, 0, N_BLOCKS);
        assert_true(touch(reader, 1990));
        assert_true(reader->has[1991]);
}

/* With four traps in each window, there are never less than three quarters of it ahead, and as many traps as quarters. */
static void test_four_traps(void **state) {
        struct reader *reader = *state;
        unsigned n_short = 0;

        reader->bounds.n_traps = 4;
        for (uint64_t i = 0; i < 10000; i++) {
                bool goes_on = reader->has[i + 512 / 4 * 3 - 1] || reader->has[i + 512 / 4 * 3 - 2]; /* one of them may be a trap */

                if (i == 4000)
                        forget(reader, N_BLOCKS - 1, 1);
                if (touch(reader, i) && i > 2000)
                        n_short += !goes_on;
        }
        assert_int_equal(n_short, 0);
        assert_in_range(reader->n_misses, 6000 / 128 - 2, 6000 / 128 + 2);
        assert_int_equal(reader->n_twice, 0);
}

/* One block that is gone from what was read ahead says nothing about the others. */
static void test_one_lost(void **state) {
        struct reader *reader = *state;
        uint64_t next;

        for (uint64_t i = 0; i < 2000; i++)
                (void) touch(reader, i);
        for (next = 2000; reader->has[next]; next++)
                ;
        forget(reader, next - 20, 1);
        for (uint64_t i = 2000; i < next; i++)
                (void) touch(reader, i);
        assert_int_equal(reader->n_misses, 1);
        assert_int_equal(reader->n_ahead, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_forwards, setup),
                cmocka_unit_test_setup(test_the_trap_comes_before_the_end, setup),
                cmocka_unit_test_setup(test_backwards, setup),
                cmocka_unit_test_setup(test_strides, setup),
                cmocka_unit_test_setup(test_too_wide_a_stride, setup),
                cmocka_unit_test_setup(test_mixed, setup),
                cmocka_unit_test_setup(test_at_random, setup),
                cmocka_unit_test_setup(test_in_vain, setup),
                cmocka_unit_test_setup(test_eager, setup),
                cmocka_unit_test_setup(test_bounds, setup),
                cmocka_unit_test_setup(test_jumble, setup),
                cmocka_unit_test_setup(test_lost, setup),
                cmocka_unit_test_setup(test_from_the_beginning_again, setup),
                cmocka_unit_test_setup(test_one_lost, setup),
                cmocka_unit_test_setup(test_four_traps, setup),
                cmocka_unit_test_setup(test_eager_begins_again, setup),
        };

        return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
