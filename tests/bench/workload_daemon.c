/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the daemon takes of the machine by itself: time to start, wake-ups while nothing happens, memory for what it knows of each page. */

#include <bfclient.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "content.h"
#include "server.h"
#include "subject_bigfile.h"
#include "workload.h"

#define WORKLOAD_DAEMON_MS 1e-6 /* in a nanosecond */

/* A private daemon, from the call that starts it to its first answer. The subject is there for its name only. */
static int workload_start_up_run(struct workload_run *run) {
        const char *daemon = run->setup->daemon;
        struct bf_client *client = NULL;
        struct bf_pool_stat stat;
        uint64_t begin;
        char *address;
        int r;

        if (asprintf(&address, "spawn:pool=%" PRIu64 "%s%s", run->setup->pool_bytes, daemon ? ",daemon=" : "", daemon ? daemon : "") < 0)
                return -ENOMEM;
        begin = clock_ns();
        r = bf_connect(&client, address);
        if (r == 0)
                r = bf_pool_stat(client, &stat);
        run->number = (double) (clock_ns() - begin) * WORKLOAD_DAEMON_MS;
        if (r < 0)
                fprintf(stderr, "bigfile: %s\n", bf_errmsg());
        bf_disconnect(client);
        free(address);
        return r;
}

static void workload_daemon_sleep(void) {
        struct timespec second = { .tv_sec = 1 };

        while (clock_nanosleep(CLOCK_MONOTONIC, 0, &second, &second) == EINTR)
                ;
}

/* Pages are in RAM, and nobody touches any. */
static int workload_idle_run(struct workload_run *run) {
        struct server_usage before, after;
        uint64_t resident;
        int r;

        r = subject_bigfile_fill(run->subject, run->setup->pool_bytes / 2, &resident);
        workload_daemon_sleep(); /* what it does after that is done by then */
        if (r == 0)
                r = subject_bigfile_usage(run->subject, &before);
        workload_daemon_sleep();
        if (r == 0)
                r = subject_bigfile_usage(run->subject, &after);
        if (r == 0)
                run->number = (double) (after.n_sleeps - before.n_sleeps);
        return r;
}

/* What it needs for the first pages, whatever comes then, is not for each page. */
static int workload_metadata_run(struct workload_run *run) {
        uint64_t bytes = run->setup->content->size, resident_before, resident;
        struct server_usage before, after;
        int r;

        r = subject_bigfile_fill(run->subject, bytes / 8, &resident_before);
        if (r == 0)
                r = subject_bigfile_usage(run->subject, &before);
        if (r == 0)
                r = subject_bigfile_fill(run->subject, bytes, &resident);
        if (r == 0)
                r = subject_bigfile_usage(run->subject, &after);
        if (r == 0)
                run->number = (double) (after.anon_bytes - before.anon_bytes) / (double) ((resident - resident_before) / CONTENT_BLOCK);
        return r;
}

static const struct subject_kind *const workload_daemon_subjects[] = { &subject_bigfile, NULL };

const struct workload workload_start_up = {
        .name = "start-up",
        .title = "start of a private daemon, to its first answer",
        .unit = WORKLOAD_NUMBER,
        .run = workload_start_up_run,
        .subjects = workload_daemon_subjects,
        .flags = WORKLOAD_ANY_CPU,
        .number_unit = "ms",
};

const struct workload workload_idle = {
        .name = "idle",
        .title = "wake-ups of a daemon with nothing to do",
        .unit = WORKLOAD_NUMBER,
        .run = workload_idle_run,
        .subjects = workload_daemon_subjects,
        .flags = WORKLOAD_ANY_CPU | WORKLOAD_NO_WARM_UP,
        .n_runs_max = 1,
        .number_unit = "in a second",
};

const struct workload workload_metadata = {
        .name = "metadata",
        .title = "memory of the daemon for each page in RAM, beside the page",
        .unit = WORKLOAD_NUMBER,
        .run = workload_metadata_run,
        .subjects = workload_daemon_subjects,
        .flags = WORKLOAD_ANY_CPU | WORKLOAD_NO_WARM_UP | WORKLOAD_FRESH,
        .pool_percent = 125,
        .n_runs_max = 3,
        .number_unit = "bytes",
};
