/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sorting by slices, against qsort. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blocksort.h"

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

/* Adds them in the order given, takes them out, and expects them sorted. */
static void check(uint64_t *blocks, size_t n) {
        struct blocksort sort;
        uint64_t block;

        blocksort_init(&sort);
        assert_false(blocksort_peek(&sort, &block));
        for (size_t i = 0; i < n; i++)
                assert_int_equal(blocksort_add(&sort, blocks[i]), 0);
        assert_int_equal(blocksort_merge(&sort), 0);
        qsort(blocks, n, sizeof(*blocks), compare);
        for (size_t i = 0; i < n; i++) {
                assert_true(blocksort_peek(&sort, &block));
                assert_int_equal(block, blocks[i]);
                blocksort_pop(&sort);
        }
        block = 77;
        assert_false(blocksort_peek(&sort, &block));
        assert_int_equal(block, 77);
        blocksort_fini(&sort);
}

enum order { ASCENDING, DESCENDING, SHUFFLED, EQUAL, N_ORDERS };

static void check_order(size_t n, enum order order) {
        uint64_t *blocks = calloc(n + 1, sizeof(*blocks)), random = 88172645463325252u;

        for (size_t i = 0; i < n; i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                blocks[i] = order == ASCENDING ? i : order == DESCENDING ? n - i : order == SHUFFLED ? random : 5;
        }
        check(blocks, n);
        free(blocks);
}

/* Sizes around one slice of 4096 and several. */
static void test_every_order_and_size(void **state) {
        static const size_t sizes[] = { 0, 1, 2, 3, 100, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 50000 };

        (void) state;
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
                for (enum order order = 0; order < N_ORDERS; order++)
                        check_order(sizes[i], order);
}

static void test_given_up_before_the_end(void **state) {
        struct blocksort sort;

        (void) state;
        blocksort_init(&sort);
        for (uint64_t i = 0; i < 10000; i++)
                assert_int_equal(blocksort_add(&sort, i), 0);
        blocksort_fini(&sort);
        for (uint64_t i = 0; i < 10000; i++)
                assert_int_equal(blocksort_add(&sort, i), 0);
        assert_int_equal(blocksort_merge(&sort), 0);
        blocksort_pop(&sort);
        blocksort_fini(&sort);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_order_and_size),
                cmocka_unit_test(test_given_up_before_the_end),
        };

        return cmocka_run_group_tests_name("blocksort", tests, NULL, NULL);
}
