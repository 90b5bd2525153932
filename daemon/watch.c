/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "crew.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "status.h"
#include "watch.h"

/* So many looks within the time that the supervisor allows: a pager that is late for one of them is not taken for one that hangs. */
#define WATCH_LOOKS 4

struct watch {
        struct crew *crew;
        struct status *status;
        struct loop_event *timer;
        uint64_t usec;
        struct crew_look last;
};

/* Once when it begins, and when it gets worse. */
static void watch_tell(const struct watch *watch, const struct crew_look *look) {
        unsigned long long seconds = watch->usec / 1000000;

        if (look->n_late > watch->last.n_late)
                log_error("%u pager threads have not answered for %llu seconds: if it goes on so, the supervisor's watchdog ends this daemon", look->n_late, seconds);
        if (look->n_held > watch->last.n_held)
                log_warning("%u pager threads have waited in the kernel for %llu seconds: a client holds a lock of its memory, and its user is not served meanwhile",
                            look->n_held, seconds);
}

static void watch_on_timer(void *owner) {
        struct watch *watch = owner;
        struct crew_look look;

        crew_look(watch->crew, &look);
        watch_tell(watch, &look);
        watch->last = look;
        if (look.n_late == 0) {
                notify_alive();
                status_refresh(watch->status);
        }
        loop_event_arm_in(watch->timer, watch->usec);
}

int watch_new(struct loop *loop, struct crew *crew, struct status *status, struct watch **ret) {
        uint64_t usec = notify_watchdog_usec();
        struct watch *watch;

        if (usec == 0) {
                *ret = NULL;
                return 0;
        }
        watch = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        *watch = (struct watch) { .crew = crew, .status = status, .usec = usec / WATCH_LOOKS };
        watch->timer = loop_on_timer(loop, watch_on_timer, watch);
        if (!watch->timer) {
                free(watch);
                return -ENOMEM;
        }
        crew_look(crew, &watch->last);
        loop_event_arm_in(watch->timer, watch->usec);
        *ret = watch;
        return 0;
}

void watch_free(struct watch *watch) {
        if (!watch)
                return;
        loop_event_free(watch->timer);
        free(watch);
}
