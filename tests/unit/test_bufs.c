/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Buffers: aligned, large enough, kept for the next use up to a limit. A sanitizer sees what is not freed at the end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bufs.h"

#define SIZE_MAX_HERE ((size_t) 1 << BUFS_MAX_SHIFT)

static void test_each_size(void **state) {
        static const size_t sizes[] = { 1, 4096, 4097, 8192, 65536, 65537, 100000, SIZE_MAX_HERE - 1, SIZE_MAX_HERE };
        struct bufs bufs;

        (void) state;
        bufs_init(&bufs);
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
                void *buf = bufs_get(&bufs, sizes[i]);

                assert_non_null(buf);
                assert_int_equal((uintptr_t) buf % 4096, 0);
                memset(buf, 0xee, sizes[i]);
                bufs_put(&bufs, buf, sizes[i]);
                assert_ptr_equal(bufs_get(&bufs, sizes[i]), buf); /* kept */
                bufs_put(&bufs, buf, sizes[i]);
        }
        bufs_fini(&bufs);
}

static void test_two_in_use_are_two(void **state) {
        struct bufs bufs;
        void *a, *b, *c;

        (void) state;
        bufs_init(&bufs);
        a = bufs_get(&bufs, 4096);
        b = bufs_get(&bufs, 4096);
        assert_ptr_not_equal(a, b);
        bufs_put(&bufs, a, 4096);
        bufs_put(&bufs, b, 4096);
        c = bufs_get(&bufs, 8192); /* of another class */
        assert_true(c != a && c != b);
        assert_ptr_equal(bufs_get(&bufs, 4096), b);
        assert_ptr_equal(bufs_get(&bufs, 4096), a);
        bufs_put(&bufs, a, 4096);
        bufs_put(&bufs, b, 4096);
        bufs_put(&bufs, c, 8192);
        bufs_fini(&bufs);
}

static void test_no_more_is_kept_than_the_limit(void **state) {
        void *many[2 * BUFS_SMALL_MAX / 65536], *large[BUFS_IDLE_MAX + 2];
        size_t n_many = sizeof(many) / sizeof(*many), n_large = sizeof(large) / sizeof(*large);
        struct bufs bufs;

        (void) state;
        bufs_init(&bufs);
        for (size_t i = 0; i < n_many; i++)
                many[i] = bufs_get(&bufs, 65536);
        for (size_t i = 0; i < n_large; i++)
                large[i] = bufs_get(&bufs, SIZE_MAX_HERE);
        for (size_t i = 0; i < n_many; i++) {
                bufs_put(&bufs, many[i], 65536);
                assert_true(bufs.n_small <= BUFS_SMALL_MAX);
        }
        assert_int_equal(bufs.n_small, BUFS_SMALL_MAX);
        for (size_t i = 0; i < n_large; i++) {
                bufs_put(&bufs, large[i], SIZE_MAX_HERE);
                assert_true(bufs.n_idle <= BUFS_IDLE_MAX);
        }
        assert_int_equal(bufs.n_idle, BUFS_IDLE_MAX);
        bufs_fini(&bufs);
}

/* Those of one size, all kept that may be, do not keep others from being kept. */
static void test_a_new_size_is_kept(void **state) {
        void *before[BUFS_IDLE_MAX + 1], *buf;
        struct bufs bufs;

        (void) state;
        bufs_init(&bufs);
        for (size_t i = 0; i < BUFS_IDLE_MAX + 1; i++)
                before[i] = bufs_get(&bufs, SIZE_MAX_HERE);
        for (size_t i = 0; i < BUFS_IDLE_MAX + 1; i++)
                bufs_put(&bufs, before[i], SIZE_MAX_HERE);
        buf = bufs_get(&bufs, 1 << 18);
        bufs_put(&bufs, buf, 1 << 18);
        assert_int_equal(bufs.n_idle, BUFS_IDLE_MAX);
        assert_ptr_equal(bufs_get(&bufs, 1 << 18), buf);
        bufs_put(&bufs, buf, 1 << 18);
        assert_ptr_equal(bufs_get(&bufs, SIZE_MAX_HERE), before[BUFS_IDLE_MAX]); /* the one of that size that was used last */
        bufs_put(&bufs, before[BUFS_IDLE_MAX], SIZE_MAX_HERE);
        bufs_fini(&bufs);
}

/* As many as there is room for in 2 MiB do not lie in each other, and are freed only when all of them are free. */
static void test_neighbours(void **state) {
        static const size_t sizes[] = { 1 << 18, 1 << 20 };
        void *all[SIZE_MAX_HERE / (1 << 18) + 1];
        struct bufs bufs;

        (void) state;
        bufs_init(&bufs);
        for (unsigned s = 0; s < 2; s++) {
                size_t n = SIZE_MAX_HERE / sizes[s] + 1;

                for (size_t i = 0; i < n; i++) {
                        all[i] = bufs_get(&bufs, sizes[s]);
                        assert_non_null(all[i]);
                        memset(all[i], (int) i, sizes[s]);
                }
                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(*(unsigned char *) all[i], i);
                        assert_int_equal(((unsigned char *) all[i])[sizes[s] - 1], i);
                        bufs_put(&bufs, all[i], sizes[s]);
                }
        }
        bufs_fini(&bufs);
}

static void test_nothing_is_taken_back(void **state) {
        struct bufs bufs;

        (void) state;
        bufs_init(&bufs);
        bufs_put(&bufs, NULL, 4096);
        assert_int_equal(bufs.n_small, 0);
        bufs_fini(&bufs);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_size),
                cmocka_unit_test(test_two_in_use_are_two),
                cmocka_unit_test(test_no_more_is_kept_than_the_limit),
                cmocka_unit_test(test_a_new_size_is_kept),
                cmocka_unit_test(test_neighbours),
                cmocka_unit_test(test_nothing_is_taken_back),
        };

        return cmocka_run_group_tests_name("bufs", tests, NULL, NULL);
}
