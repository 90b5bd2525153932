/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "trace.h"

static void put(struct trace *trace, uint64_t n) {
        const struct report_event event = { .time_nsec = n, .offset = n };

        trace_put(trace, &event);
}

static void assert_next(struct trace *trace, uint64_t n) {
        struct report_event event;

        assert_true(trace_take(trace, &event));
        assert_int_equal(event.time_nsec, n);
        assert_int_equal(event.offset, n);
}

static void test_what_comes_first_is_taken_first(void **state) {
        struct trace *trace = trace_new();
        struct report_event event;

        (void) state;
        assert_non_null(trace);
        assert_false(trace_take(trace, &event));
        for (uint64_t n = 0; n < 3 * TRACE_EVENTS; n++) {
                put(trace, 2 * n);
                put(trace, 2 * n + 1);
                assert_next(trace, 2 * n);
                assert_next(trace, 2 * n + 1);
        }
        assert_false(trace_take(trace, &event));
        assert_int_equal(trace_take_lost(trace), 0);
        trace_free(trace);
}

static void test_what_has_no_room_is_counted(void **state) {
        struct trace *trace = trace_new();
        struct report_event event;

        (void) state;
        assert_non_null(trace);
        for (uint64_t n = 0; n < TRACE_EVENTS + 5; n++)
                put(trace, n);
        assert_int_equal(trace_take_lost(trace), 5);
        assert_int_equal(trace_take_lost(trace), 0);
        assert_next(trace, 0);
        put(trace, 4711);
        put(trace, 4712);
        assert_int_equal(trace_take_lost(trace), 1);
        for (uint64_t n = 1; n < TRACE_EVENTS; n++)
                assert_next(trace, n);
        assert_next(trace, 4711);
        assert_false(trace_take(trace, &event));
        trace_free(trace);
}

#define N_EVENTS 200000u

static void *put_many(void *arg) {
        for (uint64_t n = 1; n <= N_EVENTS; n++)
                put(arg, n);
        return NULL;
}

/* Each is whole, none comes twice or out of order, and what is missing was counted. */
static void test_two_threads(void **state) {
        struct trace *trace = trace_new();
        uint64_t last = 0, n_taken = 0, n_lost = 0;
        pthread_t thread;

        (void) state;
        assert_non_null(trace);
        assert_int_equal(pthread_create(&thread, NULL, put_many, trace), 0);
        while (n_taken + n_lost < N_EVENTS) {
                struct report_event event;

                n_lost += trace_take_lost(trace);
                if (!trace_take(trace, &event))
                        continue;
                assert_true(event.time_nsec > last);
                assert_int_equal(event.offset, event.time_nsec);
                last = event.time_nsec;
                n_taken++;
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(n_taken + n_lost, N_EVENTS);
        assert_true(n_taken >= TRACE_EVENTS);
        trace_free(trace);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_comes_first_is_taken_first),
                cmocka_unit_test(test_what_has_no_room_is_counted),
                cmocka_unit_test(test_two_threads),
        };

        return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
