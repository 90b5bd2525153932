/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each call that can be made to fail (daemon/inject_points.h) fails once, with each of its errors, under a client on a tour: the first time it is
 * made, and some later times; of allocations, which are in many places, the N-th for N = 1, 2, ... until there are no more. The daemon lives, the
 * client may see errors, but no wrong value, and another client finds all in order. A daemon that cannot start says so and ends.
 *
 * BF_INJECT_POINT: only this point; BF_INJECT_STEP: every so many allocations (41; 1 is all of them).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "injectpoints.h"
#include "tour.h"
#include "watchdog.h"

static const unsigned long times[] = { 1, 2, 5, 13 };

static const struct injectpoint *current; /* the test's */

static void take_tour(struct rig *rig, bool is_tolerant) {
        struct tour tour = { .is_tolerant = is_tolerant };
        struct child *child;
        int status;

        tour_prepare(rig, &tour);
        child = rig_child(rig, tour_run, &tour);
        if (child_hear(child->line) == TOUR_HALF)
                child_say(child->line, 0);
        status = child_wait(child);
        rig->n_children--;
        if (status != 0 && !(is_tolerant && status == TOUR_LOST))
                fail_msg("%s: the client ended with %d", is_tolerant ? "with the failure" : "after it", status);
}

/* False: the call is not made so often. */
static bool fail_there(struct rig *rig, unsigned long n) {
        static const char *const options[] = { TOUR_POOL, "--log-level", "error", NULL };
        char setting[96];
        bool was_struck;

        snprintf(setting, sizeof(setting), "%s:%lu=%s", current->name, n, current->action);
        if (injectpoints_start(rig, setting, options) < 0) {
                assert_true(injectpoints_was_struck(rig, current->name, n));
                return true;
        }
        take_tour(rig, true);
        was_struck = injectpoints_was_struck(rig, current->name, n);
        if (was_struck)
                take_tour(rig, false);
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        return was_struck;
}

static void test_fails_there(void **state) {
        struct rig *rig = rig_here(state);

        watchdog_arm(current->name, 120);
        for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
                if (!fail_there(rig, times[i])) {
                        assert_true(i > 0); /* else the tour does not come by there */
                        break;
                }
}

static void test_each_allocation(void **state) {
        const char *text = getenv("BF_INJECT_STEP");
        unsigned long step = text ? strtoul(text, NULL, 0) : 41, n = 1;
        struct rig *rig = rig_here(state);

        watchdog_arm("each allocation", 1200);
        while (fail_there(rig, n))
                n += step;
        print_message("no more than %lu allocations\n", n);
        assert_true(n > 200);
}

static int setup(void **state) {
        current = *state;
        *state = (void *) (uintptr_t) current->name;
        return rig_setup(state);
}

int main(void) {
        static struct injectpoint points[INJECTPOINTS_MAX];
        static struct CMUnitTest tests[INJECTPOINTS_MAX];
        static char names[INJECTPOINTS_MAX][80];
        size_t n_points, n = 0;

        watchdog_start();
        n_points = injectpoints_list(points);
        for (size_t i = 0; i < n_points; i++) {
                if (strcmp(points[i].action, "kill") == 0)
                        continue;
                snprintf(names[n], sizeof(names[n]), "%s %s", points[i].name, points[i].action);
                tests[n] = (struct CMUnitTest) { names[n], test_fails_there, setup, rig_teardown, &points[i] };
                if (strcmp(points[i].name, "malloc") == 0)
                        tests[n].test_func = test_each_allocation;
                n++;
        }
        if (n == 0) {
                fprintf(stderr, "this bigfiled was not built with -Dinject=true\n");
                return EXIT_FAILURE;
        }
        return _cmocka_run_group_tests("each call fails", tests, n, NULL, NULL);
}
