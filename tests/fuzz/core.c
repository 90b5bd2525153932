/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "chan.h"
#include "cmdline.h"
#include "commons.h"
#include "core.h"
#include "crew.h"
#include "log.h"
#include "loop.h"
#include "server.h"
#include "uffd.h"

#define CORE_SETTLE_SECONDS 30
#define CORE_DESCRIPTORS 4096 /* for the limits of one user */
#define CORE_PAGERS 2
#define CORE_GRACE_USEC 20000
#define CORE_SPILL_BYTES (UINT64_C(1) << 20)

static struct {
        char directory[64];
        char socket[80];
        struct options options;
        struct commons commons;
        struct loop *loop;
        struct crew *crew;
        struct server *server;
        int device;
        unsigned n_fds; /* in the beginning */
} core;

_Noreturn void core_fail(const char *file, int line, const char *condition) {
        fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
        abort();
}

void core_pause(void) {
        const struct timespec pause = { .tv_nsec = 50000 };

        nanosleep(&pause, NULL);
}

static unsigned core_count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        CORE_CHECK(dir);
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

/* A process of its own, which outlives this one by a moment, however that ends. */
static void core_remove_at_end(void) {
        int fds[2];
        char byte;

        CORE_CHECK(pipe2(fds, O_CLOEXEC) == 0);
        if (fork() == 0) {
                close(fds[1]);
                (void) setsid();
                (void) !read(fds[0], &byte, 1);
                execlp("rm", "rm", "-rf", core.directory, NULL);
                _exit(1);
        }
        close(fds[0]);
}

static void core_make_directory(void) {
        snprintf(core.directory, sizeof(core.directory), "/tmp/bffuzz-XXXXXX");
        CORE_CHECK(mkdtemp(core.directory));
        core_remove_at_end();
        snprintf(core.socket, sizeof(core.socket), "%s/socket", core.directory);
}

/* BF_FUZZ_LOG=debug in the environment shows what an input does. */
static void core_set_options(void) {
        const char *level = getenv("BF_FUZZ_LOG");
        static char *argv[] = { (char *) "fuzz", (char *) "--pool", (char *) "512K", (char *) "--room-timeout", (char *) "0.02",
                                (char *) "--log-level", (char *) "error", (char *) "--config", (char *) "none", NULL };

        CORE_CHECK(cmdline_read(sizeof(argv) / sizeof(*argv) - 1, argv, &core.options) == CMDLINE_RUN);
        account_limits_default(&core.options.limits, CORE_DESCRIPTORS);
        core.options.pager.spill_dir = core.directory;
        core.options.pager.spill_dir_fd = open(core.directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        core.options.pager.spill_bytes = CORE_SPILL_BYTES;
        if (level)
                CORE_CHECK(log_level_parse(level, &core.options.log_level) == 0);
        log_set_level(core.options.log_level);
}

static void *core_main(void *arg) {
        (void) arg;
        CORE_CHECK(loop_run(core.loop) == 0);
        return NULL;
}

void core_start(void) {
        struct server_params params = { .listen_fd = -1, .private_fd = -1, .lend_fd = -1 };
        pthread_t thread;

        signal(SIGPIPE, SIG_IGN);
        core_make_directory();
        core_set_options();
        commons_init(&core.commons, core.options.pool_bytes, &core.options.limits);
        core.commons.served.grace_usec = CORE_GRACE_USEC;
        counters_add(&core.commons.counters, COUNTER_SPILL_LIMIT_BYTES, CORE_SPILL_BYTES);
        CORE_CHECK(loop_new(&core.loop) == 0);
        CORE_CHECK(crew_new(&core.commons, &core.options.pager, CORE_PAGERS, &core.crew) == 0);
        CORE_CHECK(chan_listen(core.socket, 0600, &params.listen_fd) == 0);
        if (uffd_open_device(&core.device) < 0)
                core.device = -1;
        else
                params.lend_fd = dup(core.device);
        params.loop = core.loop;
        params.commons = &core.commons;
        params.crew = core.crew;
        CORE_CHECK(server_new(&params, &core.server) == 0);
        CORE_CHECK(pthread_create(&thread, NULL, core_main, NULL) == 0);
}

void core_started(void) {
        core.n_fds = core_count_fds();
}

const char *core_directory(void) {
        return core.directory;
}

int core_connect(void) {
        int line;

        CORE_CHECK(chan_connect(core.socket, &line) == 0);
        return line;
}

int core_device(void) {
        return core.device;
}

static bool core_is_empty(void) {
        static const enum counter counters[] = { COUNTER_PEERS, COUNTER_FILEHS, COUNTER_MAPPINGS, COUNTER_DIRTY_BYTES, COUNTER_LINGERING, COUNTER_SPILL_FILE_BYTES,
                                                     COUNTER_SPILLED_BYTES };

        for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
                if (commons_counter(&core.commons, counters[i]) != 0)
                        return false;
        return pool_used(&core.commons.pool) == 0;
}

bool core_is_settled(unsigned n_fds) {
        return core_is_empty() && core_count_fds() == core.n_fds + n_fds;
}

static uint64_t core_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec;
}

static _Noreturn void core_show_what_is_left(void) {
        fprintf(stderr, "left in the core: %" PRIu64 " peers, %" PRIu64 " filehs, %" PRIu64 " lingering, %" PRIu64 " mappings, %" PRIu64 " bytes, %" PRIu64
                " of them dirty; %u descriptors where %u were\n",
                commons_counter(&core.commons, COUNTER_PEERS), commons_counter(&core.commons, COUNTER_FILEHS), commons_counter(&core.commons, COUNTER_LINGERING),
                commons_counter(&core.commons, COUNTER_MAPPINGS), pool_used(&core.commons.pool), commons_counter(&core.commons, COUNTER_DIRTY_BYTES), core_count_fds(), core.n_fds);
        (void) system("ls -l /proc/$PPID/fd >&2");
        abort();
}

void core_settle(void) {
        uint64_t end = core_now() + CORE_SETTLE_SECONDS;

        while (!core_is_settled(0)) {
                if (core_now() > end)
                        core_show_what_is_left();
                core_pause();
        }
}
