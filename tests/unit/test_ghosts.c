/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ghosts.h"

#define N 4096

static uint64_t hash_of(uint64_t x) {
        x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
        return x ^ x >> 29;
}

static void test_remembered_once(void **state) {
        struct ghosts ghosts;
        uint16_t note = 0;

        (void) state;
        ghosts_init(&ghosts, N);
        assert_false(ghosts_take(&ghosts, hash_of(1), &note));
        ghosts_add(&ghosts, hash_of(1), 7);
        ghosts_add(&ghosts, hash_of(2), 8);
        assert_true(ghosts_take(&ghosts, hash_of(1), &note));
        assert_int_equal(note, 7);
        assert_false(ghosts_take(&ghosts, hash_of(1), &note));
        assert_true(ghosts_take(&ghosts, hash_of(2), &note));
        assert_int_equal(note, 8);
        ghosts_fini(&ghosts);
        ghosts_fini(&ghosts);
}

/* The latest are remembered, nearly as many as there is room for; those of long ago are not. */
static void test_the_old_are_forgotten(void **state) {
        struct ghosts ghosts;
        unsigned n_late = 0, n_old = 0;
        uint16_t note;

        (void) state;
        ghosts_init(&ghosts, N);
        for (uint64_t i = 0; i < 10 * N; i++)
                ghosts_add(&ghosts, hash_of(i), (uint16_t) i);
        for (uint64_t i = 10 * N; i-- > 9 * N + N / 2;)
                n_late += ghosts_take(&ghosts, hash_of(i), &note) && note == (uint16_t) i;
        for (uint64_t i = 0; i < 7 * N; i++)
                n_old += ghosts_take(&ghosts, hash_of(i), &note) && note == (uint16_t) i;
        assert_in_range(n_late, N / 2 * 9 / 10, N / 2);
        assert_in_range(n_old, 0, N / 100);
        ghosts_fini(&ghosts);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_remembered_once),
                cmocka_unit_test(test_the_old_are_forgotten),
        };

        return cmocka_run_group_tests_name("ghosts", tests, NULL, NULL);
}
