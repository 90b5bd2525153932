/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which slots of the area are free. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "provider_line.h"

static struct provider_line make_line(uint32_t n) {
        struct provider_line line = { .free = 0 };

        provider_line_give_slots(&line, 0, n);
        return line;
}

static void test_the_lowest_comes_first(void **state) {
        struct provider_line line = make_line(4);

        (void) state;
        for (uint32_t slot = 0; slot < 4; slot++)
                assert_int_equal(provider_line_take_slots(&line, 1), slot);
        assert_int_equal(line.free, 0);
        assert_int_equal(provider_line_take_slots(&line, 1), PROVIDER_LINE_NONE);
        provider_line_give_slots(&line, 2, 1);
        provider_line_give_slots(&line, 1, 1);
        assert_int_equal(provider_line_take_slots(&line, 1), 1);
        assert_int_equal(provider_line_take_slots(&line, 1), 2);
        assert_int_equal(provider_line_take_slots(&line, 1), PROVIDER_LINE_NONE);
}

static void test_neighbours(void **state) {
        struct provider_line line = make_line(8);

        (void) state;
        assert_int_equal(provider_line_take_slots(&line, 2), 0);
        assert_int_equal(provider_line_take_slots(&line, 1), 2);
        provider_line_give_slots(&line, 0, 2);
        assert_int_equal(provider_line_take_slots(&line, 3), 3); /* before it there are two */
        assert_int_equal(provider_line_take_slots(&line, 3), PROVIDER_LINE_NONE);
        assert_int_equal(provider_line_take_slots(&line, 2), 0);
        assert_int_equal(provider_line_take_slots(&line, 2), 6);
        assert_int_equal(line.free, 0);
}

static void test_all(void **state) {
        struct provider_line line = make_line(PROVIDE_SLOTS_MAX);

        (void) state;
        assert_int_equal(provider_line_take_slots(&line, PROVIDE_SLOTS_MAX + 1), PROVIDER_LINE_NONE);
        assert_int_equal(provider_line_take_slots(&line, PROVIDE_SLOTS_MAX), 0);
        assert_int_equal(line.free, 0);
        provider_line_give_slots(&line, 0, PROVIDE_SLOTS_MAX);
        assert_int_equal(provider_line_take_slots(&line, 1), 0);
        assert_int_equal(provider_line_take_slots(&line, PROVIDE_SLOTS_MAX), PROVIDER_LINE_NONE);
        assert_int_equal(provider_line_take_slots(&line, PROVIDE_SLOTS_MAX - 1), 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_lowest_comes_first),
                cmocka_unit_test(test_neighbours),
                cmocka_unit_test(test_all),
        };

        return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
