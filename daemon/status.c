/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commons.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "size.h"
#include "status.h"

#define STATUS_USEC 1000000u
#define STATUS_TEXT_MAX 200

struct status {
        const struct commons *commons;
        struct loop_event *timer;
        bool is_due; /* the timer runs */
        char told[STATUS_TEXT_MAX];
};

static void status_write(const struct commons *commons, char text[static STATUS_TEXT_MAX]) {
        char bytes[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX], spilled[SIZE_TEXT_MAX];
        uint64_t n_peers = commons_counter(commons, COUNTER_PEERS);

        snprintf(text, STATUS_TEXT_MAX, "Serving %" PRIu64 " client%s: %s of %s in use, %s dirty, %s spilled", n_peers, n_peers == 1 ? "" : "s",
                 size_format(pool_used(&commons->pool), used), size_format(commons->pool.bytes, bytes),
                 size_format(commons_counter(commons, COUNTER_DIRTY_BYTES), dirty),
                 size_format(commons_counter(commons, COUNTER_SPILLED_BYTES), spilled));
}

static void status_on_timer(void *owner) {
        struct status *status = owner;

        status->is_due = false;
        status_refresh(status);
}

int status_new(struct loop *loop, const struct commons *commons, struct status **ret) {
        struct status *status = calloc(1, sizeof(*status));

        if (!status)
                return -ENOMEM;
        status->commons = commons;
        if (notify_is_heard()) {
                status->timer = loop_on_timer(loop, status_on_timer, status);
                if (!status->timer) {
                        free(status);
                        return -ENOMEM;
                }
        }
        *ret = status;
        return 0;
}

void status_free(struct status *status) {
        if (!status)
                return;
        loop_event_free(status->timer);
        free(status);
}

void status_changed(struct status *status) {
        if (!status || !status->timer || status->is_due)
                return;
        status->is_due = true;
        loop_event_arm_in(status->timer, STATUS_USEC);
}

void status_refresh(struct status *status) {
        char text[STATUS_TEXT_MAX];

        if (!status->timer)
                return;
        log_flush();
        status_write(status->commons, text);
        if (strcmp(text, status->told) == 0)
                return;
        strcpy(status->told, text);
        notify_status(text);
}
