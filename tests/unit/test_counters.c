/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "counters.h"

static void test_each_is_its_own(void **state) {
        struct counters counters;

        (void) state;
        counters_init(&counters);
        for (enum counter i = 0; i < N_COUNTERS; i++) {
                assert_int_equal(counters_get(&counters, i), 0);
                counters_add(&counters, i, 10 + i);
                counters_add(&counters, i, -3);
        }
        for (enum counter i = 0; i < N_COUNTERS; i++)
                assert_int_equal(counters_get(&counters, i), 7 + i);
}

/* What one thread counts up and another one down. */
static void test_sums(void **state) {
        struct counters one, other;

        (void) state;
        counters_init(&one);
        counters_init(&other);
        counters_add(&one, COUNTER_DIRTY_BYTES, 5);
        counters_add(&other, COUNTER_DIRTY_BYTES, -3);
        assert_int_equal(counters_get(&one, COUNTER_DIRTY_BYTES) + counters_get(&other, COUNTER_DIRTY_BYTES), 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_is_its_own),
                cmocka_unit_test(test_sums),
        };

        return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
