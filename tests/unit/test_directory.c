/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "directory.h"

static const struct file_identity one = { 1, 100 }, other = { 1, 101 };

static int setup(void **state) {
        static struct directory directory;

        directory_init(&directory);
        *state = &directory;
        return 0;
}

static int teardown(void **state) {
        struct directory *directory = *state;

        for (unsigned i = 0; i < DIRECTORY_BUCKETS; i++) {
                assert_true(LIST_EMPTY(&directory->entries[i]));
                assert_true(LIST_EMPTY(&directory->routes[i]));
        }
        directory_fini(directory);
        return 0;
}

/* All who share a file meet at one pager, as long as one of them is there or on his way. */
static void test_routes(void **state) {
        struct directory *directory = *state;
        struct directory_route *route = directory_route(directory, &one, 3), *second = directory_route(directory, &one, 5);

        assert_ptr_equal(route, second);
        assert_int_equal(second->pager, 3);
        directory_hold(directory, route);
        directory_release(directory, route);
        directory_release(directory, route);
        second = directory_route(directory, &one, 7);
        assert_int_equal(second->pager, 3);
        directory_release(directory, second);
        second = directory_route(directory, &other, 6);
        assert_int_equal(second->pager, 6);
        directory_release(directory, second);
        directory_release(directory, route);
        route = directory_route(directory, &one, 5);
        assert_int_equal(route->pager, 5);
        directory_release(directory, route);
        directory_release(directory, NULL);
}

static void test_a_memory_is_taken_up_once(void **state) {
        struct directory *directory = *state;
        struct directory_entry a, b;

        assert_int_equal(directory_enter(directory, &a, &one, 1000), 0);
        assert_int_equal(directory_enter(directory, &b, &one, 1000), -EBUSY);
        assert_int_equal(directory_enter(directory, &b, &one, 1001), 0);
        directory_leave(directory, &b);
        directory_set_closed(directory, &a, false);
        assert_int_equal(directory_enter(directory, &b, &one, 1000), 0); /* it is told by its ledger that it is gone */
        directory_leave(directory, &a);
        directory_leave(directory, &b);
}

static unsigned n_told;

static void on_ended(struct directory_waiter *waiter) {
        (void) waiter;
        n_told++;
}

/* Who opens a file waits for one that is closed and storing; for no other. */
static void test_waiting_for_stores(void **state) {
        struct directory *directory = *state;
        struct directory_waiter waiters[2] = { { .ended = on_ended }, { .ended = on_ended } };
        struct directory_entry open, closed, storing, elsewhere;

        n_told = 0;
        assert_int_equal(directory_enter(directory, &open, &one, 1), 0);
        assert_int_equal(directory_enter(directory, &closed, &one, 2), 0);
        assert_int_equal(directory_enter(directory, &elsewhere, &other, 3), 0);
        directory_set_closed(directory, &closed, false);
        directory_set_closed(directory, &elsewhere, true);
        assert_false(directory_await_storing(directory, &one, &waiters[0]));
        assert_int_equal(directory_enter(directory, &storing, &one, 4), 0);
        directory_set_closed(directory, &storing, true);
        assert_true(directory_await_storing(directory, &one, &waiters[0]));
        assert_true(directory_await_storing(directory, &one, &waiters[1]));
        directory_leave(directory, &closed);
        directory_leave(directory, &open);
        assert_int_equal(n_told, 0);
        directory_leave(directory, &storing);
        assert_int_equal(n_told, 2);
        assert_false(directory_await_storing(directory, &one, &waiters[0]));
        directory_leave(directory, &elsewhere);
        assert_int_equal(n_told, 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_memory_is_taken_up_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_waiting_for_stores, setup, teardown),
        };

        return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
