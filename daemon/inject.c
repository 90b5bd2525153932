/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "inject.h"

#define INJECT_KILLS INT32_MIN /* beside negative errnos */
#define INJECT_ERRNO_MAX 200

static const struct {
        const char *name;
        const char *actions;
} points[N_INJECT_POINTS] = {
#define INJECT_KILL_POINT(id, name) { name, "kill" },
#define INJECT_FAIL_POINT(id, name, errnos) { name, errnos },
        INJECT_POINTS(INJECT_KILL_POINT, INJECT_FAIL_POINT)
};

static struct {
        unsigned long at; /* 0: never */
        int action;       /* INJECT_KILLS or a negative errno */
        atomic_ulong n_passed;
} armed[N_INJECT_POINTS];

/* Nothing here allocates: that may be what is to fail. */
static void inject_say(enum inject_point point) {
        char line[128];
        int n = snprintf(line, sizeof(line), "bigfiled: injected: %s:%lu\n", points[point].name, armed[point].at);

        (void) !write(STDERR_FILENO, line, (size_t) n);
}

static bool inject_is_due(enum inject_point point) {
        if (armed[point].at == 0 || atomic_fetch_add(&armed[point].n_passed, 1) + 1 != armed[point].at)
                return false;
        inject_say(point);
        return true;
}

void inject_kill(enum inject_point point) {
        if (!inject_is_due(point))
                return;
        (void) raise(SIGKILL);
        _exit(EX_SOFTWARE); /* not reached */
}

int inject_error(enum inject_point point) {
        return inject_is_due(point) ? armed[point].action : 0;
}

static _Noreturn void inject_refuse(const char *text) {
        fprintf(stderr, "bigfiled: $BIGFILED_INJECT: \"%s\" is not POINT[:N]=kill|ERRNO (see --inject-points)\n", text);
        exit(EX_USAGE);
}

/* 0: there is none of that name. */
static int inject_errno_named(const char *name) {
        for (int e = 1; e < INJECT_ERRNO_MAX; e++) {
                const char *known = strerrorname_np(e);

                if (known && strcmp(known, name) == 0)
                        return e;
        }
        return 0;
}

static enum inject_point inject_point_named(const char *name) {
        unsigned i = 0;

        while (i < N_INJECT_POINTS && strcmp(points[i].name, name) != 0)
                i++;
        return i;
}

static void inject_arm(const char *text) {
        char name[64], action[32];
        unsigned long at = 1;
        enum inject_point point;
        bool kills;

        if (sscanf(text, "%63[^:=]:%lu=%31s", name, &at, action) != 3 && sscanf(text, "%63[^:=]=%31s", name, action) != 2)
                inject_refuse(text);
        point = inject_point_named(name);
        kills = strcmp(action, "kill") == 0;
        if (point == N_INJECT_POINTS || at == 0 || kills != (strcmp(points[point].actions, "kill") == 0))
                inject_refuse(text);
        armed[point].at = at;
        armed[point].action = kills ? INJECT_KILLS : -inject_errno_named(action);
        if (armed[point].action == 0)
                inject_refuse(text);
}

bool inject_begin(int argc, char **argv) {
        const char *settings = getenv("BIGFILED_INJECT");
        char *copy = settings ? strdup(settings) : NULL, *rest = copy;

        if (argc == 2 && strcmp(argv[1], "--inject-points") == 0) {
                for (unsigned i = 0; i < N_INJECT_POINTS; i++)
                        printf("%s %s\n", points[i].name, points[i].actions);
                free(copy);
                return true;
        }
        for (char *text; (text = strsep(&rest, ","));)
                inject_arm(text);
        free(copy);
        return false;
}
