/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* So many in a time, and what is over is counted once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ratelimit.h"

#define START UINT64_C(5000000)

static void pass(struct ratelimit *limit, uint64_t now, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                assert_true(ratelimit_passes(limit, now + i));
}

static void test_burst(void **state) {
        struct ratelimit limit = { 0 };

        (void) state;
        pass(&limit, START, RATELIMIT_BURST);
        for (unsigned i = 0; i < 7; i++)
                assert_false(ratelimit_passes(&limit, START + RATELIMIT_USEC - 1));
        assert_int_equal(ratelimit_take_suppressed(&limit, START + RATELIMIT_USEC - 1), 0); /* more may come */
        assert_int_equal(ratelimit_take_suppressed(&limit, START + RATELIMIT_USEC), 7);
        assert_int_equal(ratelimit_take_suppressed(&limit, START + RATELIMIT_USEC), 0);
        pass(&limit, START + RATELIMIT_USEC, RATELIMIT_BURST);
        assert_false(ratelimit_passes(&limit, START + RATELIMIT_USEC));
        assert_int_equal(ratelimit_take_suppressed(&limit, START + 2 * RATELIMIT_USEC), 1);
}

static void test_few(void **state) {
        struct ratelimit limit = { 0 };

        (void) state;
        for (unsigned i = 0; i < 1000; i++)
                assert_true(ratelimit_passes(&limit, START + i * (RATELIMIT_USEC / RATELIMIT_BURST + 1)));
        assert_int_equal(ratelimit_take_suppressed(&limit, UINT64_MAX), 0);
}

/* The first ones after a time begin another, however many were suppressed and not told. */
static void test_untold(void **state) {
        struct ratelimit limit = { 0 };

        (void) state;
        pass(&limit, START, RATELIMIT_BURST);
        assert_false(ratelimit_passes(&limit, START));
        pass(&limit, START + 3 * RATELIMIT_USEC, RATELIMIT_BURST);
        assert_false(ratelimit_passes(&limit, START + 3 * RATELIMIT_USEC));
        assert_int_equal(ratelimit_take_suppressed(&limit, START + 4 * RATELIMIT_USEC), 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_burst),
                cmocka_unit_test(test_few),
                cmocka_unit_test(test_untold),
        };

        return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
