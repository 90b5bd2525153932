/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <time.h>

#include "bfclient.h"
#include "errmsg.h"
#include "look.h"

static uint64_t look_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static void *look_thread(void *arg) {
        struct look *look = arg;

        look->r = snapshot_take(look->client, &look->found);
        if (look->r < 0)
                snprintf(look->text, sizeof(look->text), "%s", bf_errmsg());
        return NULL;
}

int look_begin(struct look *look, struct bf_client *client) {
        int r;

        *look = (struct look) { .client = client, .began_nsec = look_now() };
        r = pthread_create(&look->thread, NULL, look_thread, look);
        if (r != 0)
                return errmsg_fail(-r, NULL, "cannot start a thread");
        look->is_pending = true;
        return 0;
}

int look_wait(struct look *look, uint64_t usec, struct snapshot *ret) {
        struct timespec end;
        uint64_t nsec;

        clock_gettime(CLOCK_REALTIME, &end); /* the one clock that this join knows */
        nsec = (uint64_t) end.tv_nsec + usec * 1000;
        end.tv_sec += (time_t) (nsec / 1000000000);
        end.tv_nsec = (long) (nsec % 1000000000);
        if (pthread_timedjoin_np(look->thread, NULL, &end) != 0)
                return 1;
        look->is_pending = false;
        if (look->r < 0)
                return errmsg_set(look->r, "%s", look->text);
        *ret = look->found;
        return 0;
}

uint64_t look_silent_nsec(const struct look *look) {
        return look->is_pending ? look_now() - look->began_nsec : 0;
}

void look_fini(struct look *look) {
        if (!look->is_pending)
                return;
        client_stop(look->client);
        (void) pthread_join(look->thread, NULL);
        if (look->r == 0)
                snapshot_fini(&look->found);
        look->is_pending = false;
}
