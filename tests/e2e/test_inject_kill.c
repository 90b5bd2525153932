/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The daemon is killed at each point at which it can be (daemon/inject_points.h), under a client on a tour; another one comes, and the client goes on
 * as if nothing had been, every value as it must be. One test for each point: it fails also if the tour does not come by there.
 *
 * BF_INJECT_POINT: only this one; BF_INJECT_TIMES: when it is passed for the first time, the second, ..., this one (without: the first and the fourth).
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "injectpoints.h"
#include "tour.h"
#include "watchdog.h"

/* What to kill the first daemon with, so that the second one meets what the point is about. */
static const struct {
        const char *point;
        const char *before;
} befores[] = {
        { "adopt.forgotten", "place.called=kill" },
        { "adopt.punched", "drop.called=kill" },
};

static const struct injectpoint *current; /* the test's */

struct stand {
        struct rig *rig;
        struct tour tour;
        struct child *child;
        char setting[96];
        unsigned long n;
        unsigned n_deaths; /* by themselves */
};

static const char *stand_before(void) {
        for (size_t i = 0; i < sizeof(befores) / sizeof(*befores); i++)
                if (strcmp(befores[i].point, current->name) == 0)
                        return befores[i].before;
        return NULL;
}

static bool stand_was_struck(const struct stand *stand) {
        return injectpoints_was_struck(stand->rig, current->name, stand->n);
}

/* To be struck, until it was. */
static void stand_start(struct stand *stand) {
        static const char *const options[] = { TOUR_POOL, NULL };
        const char *setting = stand->n_deaths == 0 && stand_before() ? stand_before() : stand->setting;

        assert_int_equal(injectpoints_start(stand->rig, stand_was_struck(stand) ? NULL : setting, options), 0);
}

static void stand_on_death(struct stand *stand) {
        int status = daemonproc_wait(&stand->rig->daemon);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGKILL);
        stand->n_deaths++;
        stand_start(stand);
}

/* Half way the daemon is killed in any case. */
static void stand_on_half(struct stand *stand) {
        daemonproc_kill(&stand->rig->daemon);
        child_say(stand->child->line, 0);
        stand_start(stand);
}

/* Until the client has ended. */
static void stand_run(struct stand *stand) {
        bool is_over = false;

        while (!is_over) {
                struct pollfd fds[2] = { { .fd = stand->child->line, .events = POLLIN }, { .events = POLLIN } };

                fds[1].fd = pidfd_open(stand->rig->daemon.pid, 0);
                assert_true(fds[1].fd >= 0);
                assert_true(poll(fds, 2, -1) > 0);
                close(fds[1].fd);
                if (fds[1].revents)
                        stand_on_death(stand);
                else if (child_hear(stand->child->line) == TOUR_HALF)
                        stand_on_half(stand);
                else
                        is_over = true;
        }
}

static void kill_there(struct rig *rig, unsigned long n) {
        struct stand stand = { .rig = rig, .n = n };

        snprintf(stand.setting, sizeof(stand.setting), "%s:%lu=kill", current->name, n);
        stand_start(&stand);
        tour_prepare(rig, &stand.tour);
        stand.child = rig_child(rig, tour_run, &stand.tour);
        stand_run(&stand);
        assert_int_equal(child_wait(stand.child), 0);
        if (daemonproc_stop(&rig->daemon) < 0) /* it may be struck by the end of its client */
                stand.n_deaths++;
        if (n == 1 && !stand_was_struck(&stand))
                fail_msg("the tour does not come by %s", current->name);
        assert_int_equal(stand.n_deaths, stand_was_struck(&stand) + (stand_before() != NULL));
}

static void test_killed_there(void **state) {
        struct rig *rig = rig_here(state);

        const char *text = getenv("BF_INJECT_TIMES");
        unsigned long last = text ? strtoul(text, NULL, 0) : 4, step = text ? 1 : 3;

        watchdog_arm(current->name, (unsigned) (60 + last * 10));
        for (unsigned long n = 1; n <= last; n += step)
                kill_there(rig, n);
}

static int setup(void **state) {
        current = *state;
        *state = (void *) (uintptr_t) current->name;
        return rig_setup(state);
}

int main(void) {
        static struct injectpoint points[INJECTPOINTS_MAX];
        static struct CMUnitTest tests[INJECTPOINTS_MAX];
        size_t n_points, n = 0;

        watchdog_start();
        n_points = injectpoints_list(points);
        for (size_t i = 0; i < n_points; i++)
                if (strcmp(points[i].action, "kill") == 0)
                        tests[n++] = (struct CMUnitTest) { points[i].name, test_killed_there, setup, rig_teardown, &points[i] };
        if (n == 0) {
                fprintf(stderr, "this bigfiled was not built with -Dinject=true\n");
                return EXIT_FAILURE;
        }
        return _cmocka_run_group_tests("killed at each point", tests, n, NULL, NULL);
}
