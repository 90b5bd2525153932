/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Jobs take turns, one step each, and are not stepped while they wait. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "job.h"

/* A job that leaves a letter in the trace at each step, and follows a script: m more, w wait, d done, and W: wakes itself, then waits. */
struct scripted {
        struct job job;
        struct jobs *jobs;
        char letter;
        const char *script;
        struct scripted *wakes; /* another, at each step */
        bool *ret_done;
};

static char trace[64];

static enum job_result scripted_step(struct job *job) {
        struct scripted *s = (struct scripted *) job;

        strncat(trace, &s->letter, 1);
        if (s->wakes)
                job_wake(s->jobs, &s->wakes->job);
        switch (*s->script++) {
        case 'm':
                return JOB_MORE;
        case 'W':
                job_wake(s->jobs, job);
                return JOB_WAIT;
        case 'w':
                return JOB_WAIT;
        default:
                *s->ret_done = true;
                free(s);
                return JOB_DONE;
        }
}

static struct scripted *start(struct jobs *jobs, char letter, const char *script, bool *ret_done) {
        struct scripted *s = calloc(1, sizeof(*s));

        *s = (struct scripted) { .job = { .step = scripted_step }, .jobs = jobs, .letter = letter, .script = script, .ret_done = ret_done };
        *ret_done = false;
        job_wake(jobs, &s->job);
        return s;
}

static void assert_round(struct jobs *jobs, const char *expected) {
        trace[0] = '\0';
        jobs_run(jobs);
        assert_string_equal(trace, expected);
}

static void test_nothing_to_do(void **state) {
        struct jobs jobs;

        (void) state;
        jobs_init(&jobs);
        assert_true(jobs_is_idle(&jobs));
        assert_round(&jobs, "");
}

static void test_one_step_each_in_turn(void **state) {
        bool a_done, b_done, c_done;
        struct jobs jobs;

        (void) state;
        jobs_init(&jobs);
        start(&jobs, 'a', "mmd", &a_done);
        start(&jobs, 'b', "d", &b_done);
        start(&jobs, 'c', "md", &c_done);
        assert_false(jobs_is_idle(&jobs));
        assert_round(&jobs, "abc");
        assert_true(b_done);
        assert_round(&jobs, "ac");
        assert_round(&jobs, "a");
        assert_true(a_done && c_done);
        assert_true(jobs_is_idle(&jobs));
}

static void test_waiting_until_woken(void **state) {
        struct scripted *a;
        struct jobs jobs;
        bool done;

        (void) state;
        jobs_init(&jobs);
        a = start(&jobs, 'a', "wwd", &done);
        assert_round(&jobs, "a");
        assert_true(jobs_is_idle(&jobs));
        assert_round(&jobs, "");
        job_wake(&jobs, &a->job);
        job_wake(&jobs, &a->job); /* twice is once */
        assert_round(&jobs, "a");
        assert_round(&jobs, "");
        job_wake(&jobs, &a->job);
        assert_round(&jobs, "a");
        assert_true(done);
}

/* What it waits for may end before its step has: that is not lost. */
static void test_woken_while_stepping(void **state) {
        struct jobs jobs;
        bool done;

        (void) state;
        jobs_init(&jobs);
        start(&jobs, 'a', "Wd", &done);
        assert_round(&jobs, "a");
        assert_false(jobs_is_idle(&jobs));
        assert_round(&jobs, "a");
        assert_true(done);
}

/* One woken in a round has its turn in the next: a round ends. */
static void test_woken_by_another(void **state) {
        bool a_done, b_done;
        struct scripted *a, *b;
        struct jobs jobs;

        (void) state;
        jobs_init(&jobs);
        b = start(&jobs, 'b', "wwd", &b_done);
        assert_round(&jobs, "b");
        a = start(&jobs, 'a', "md", &a_done);
        a->wakes = b;
        assert_round(&jobs, "a");
        assert_round(&jobs, "ba");
        assert_round(&jobs, "b");
        assert_true(a_done && b_done);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_to_do),
                cmocka_unit_test(test_one_step_each_in_turn),
                cmocka_unit_test(test_waiting_until_woken),
                cmocka_unit_test(test_woken_while_stepping),
                cmocka_unit_test(test_woken_by_another),
        };

        return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
