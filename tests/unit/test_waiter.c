/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who waits for a page: each is told once, in order, and none is lost when lists are split. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "waiter.h"

/* To the waiters these are just pointers. */
static char mappings[3], jobs[3];

#define MAPPING(i) ((struct mapping *) &mappings[i])
#define JOB(i) ((struct job *) &jobs[i])

static char trace[128];

static void on_wake(struct mapping *mapping, uint64_t block, uint64_t since) {
        snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), since ? "m%d:%d@%d " : "m%d:%d ", (int) ((char *) mapping - mappings), (int) block,
                 (int) since);
}

static void on_ended(struct job *job, int error) {
        snprintf(trace + strlen(trace), sizeof(trace) - strlen(trace), "j%d:%d ", (int) ((char *) job - jobs), error);
}

static void add_job(struct waiters *waiters, unsigned i, uint64_t block) {
        struct job_waiter job_waiter = { .job = JOB(i), .ended = on_ended };

        assert_int_equal(waiters_add_job(waiters, block, job_waiter), 0);
}

static void assert_end(struct waiters *waiters, int error, const char *expected) {
        trace[0] = '\0';
        waiters_end(waiters, error, on_wake);
        assert_string_equal(trace, expected);
        assert_true(STAILQ_EMPTY(waiters));
}

static void test_all_are_told_in_order(void **state) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);

        (void) state;
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 5, false, 0), 0);
        add_job(&waiters, 0, 5);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(1), 6, false, 0), 0);
        add_job(&waiters, 1, 6);
        assert_end(&waiters, -EIO, "m0:5 j0:-5 m1:6 j1:-5 ");
        assert_end(&waiters, 0, "");
}

/* Threads of one process that touch one page are one waiter, a writer among them makes it a writer. */
static void test_one_waiter_for_each_mapping_and_block(void **state) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);

        (void) state;
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 5, false, 7), 0);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 6, false, 0), 0);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(1), 5, false, 0), 0);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 5, true, 8), 0);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 5, false, 9), 0);
        assert_true(STAILQ_FIRST(&waiters)->write);
        assert_false(STAILQ_NEXT(STAILQ_FIRST(&waiters), entry)->write);
        assert_end(&waiters, 0, "m0:5@7 m0:6 m1:5 "); /* it waits since the first touch */
}

static void test_a_mapping_that_goes_is_forgotten(void **state) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);

        (void) state;
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(waiters_add_fault(&waiters, MAPPING(i), 5, false, 0), 0);
                assert_int_equal(waiters_add_fault(&waiters, MAPPING(i), 6, false, 0), 0);
                add_job(&waiters, i, 5);
        }
        waiters_remove_mapping(&waiters, MAPPING(0));
        waiters_remove_mapping(&waiters, MAPPING(2));
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), 7, false, 0), 0);
        assert_end(&waiters, 0, "j0:0 m1:5 m1:6 j1:0 j2:0 m0:7 ");
}

static void test_the_first_that_faulted(void **state) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);

        (void) state;
        add_job(&waiters, 0, 5);
        assert_null(waiters_mapping(&waiters));
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(1), 6, false, 0), 0);
        assert_int_equal(waiters_add_fault(&waiters, MAPPING(2), 5, false, 0), 0);
        assert_ptr_equal(waiters_mapping(&waiters), MAPPING(1));
        assert_end(&waiters, 0, "j0:0 m1:6 m2:5 ");
}

static void test_taking_those_of_a_range(void **state) {
        struct waiters waiters = STAILQ_HEAD_INITIALIZER(waiters), taken = STAILQ_HEAD_INITIALIZER(taken);

        (void) state;
        for (uint64_t block = 4; block <= 8; block++) {
                assert_int_equal(waiters_add_fault(&waiters, MAPPING(0), block, false, 0), 0);
                add_job(&waiters, 0, block); /* jobs stay */
        }
        waiters_take_faults(&waiters, 5, 7, &taken);
        waiters_take_faults(&waiters, 100, 200, &taken);
        assert_end(&taken, 0, "m0:5 m0:6 m0:7 ");
        assert_end(&waiters, 0, "m0:4 j0:0 j0:0 j0:0 j0:0 m0:8 j0:0 ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_are_told_in_order),
                cmocka_unit_test(test_one_waiter_for_each_mapping_and_block),
                cmocka_unit_test(test_a_mapping_that_goes_is_forgotten),
                cmocka_unit_test(test_the_first_that_faulted),
                cmocka_unit_test(test_taking_those_of_a_range),
        };

        return cmocka_run_group_tests_name("waiter", tests, NULL, NULL);
}
