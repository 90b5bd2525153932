/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "injectpoints.h"

static bool injectpoints_is_wanted(const char *name) {
        const char *wanted = getenv("BF_INJECT_POINT");

        return !wanted || strcmp(wanted, name) == 0;
}

size_t injectpoints_list(struct injectpoint points[static INJECTPOINTS_MAX]) {
        char command[256], line[256];
        size_t n = 0;
        FILE *list;

        snprintf(command, sizeof(command), "%s --inject-points", getenv("BIGFILED_PROGRAM"));
        list = popen(command, "re");
        while (list && fgets(line, sizeof(line), list)) {
                char *rest = line, *name = strsep(&rest, " \n"), *action;

                while ((action = strsep(&rest, " \n")))
                        if (action[0] != '\0' && injectpoints_is_wanted(name) && n < INJECTPOINTS_MAX) {
                                snprintf(points[n].name, sizeof(points[n].name), "%s", name);
                                snprintf(points[n++].action, sizeof(points[n].action), "%s", action);
                        }
        }
        if (list)
                pclose(list);
        return n;
}

int injectpoints_start(struct rig *rig, const char *setting, const char *const *options) {
        int r;

        if (setting)
                setenv("BIGFILED_INJECT", setting, 1);
        r = daemonproc_start(&rig->daemon, rig->dir, options);
        unsetenv("BIGFILED_INJECT");
        return r;
}

bool injectpoints_was_struck(const struct rig *rig, const char *name, unsigned long n) {
        char expected[128];

        snprintf(expected, sizeof(expected), "bigfiled: injected: %s:%lu\n", name, n);
        return daemonproc_says(&rig->daemon, expected);
}
