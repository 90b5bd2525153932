/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The parent process: a loop over one pipe of orders from the test program, the end of that program, and the clock. It knows the processes it
 * was told of (by pidfd, so that a number used again harms nobody) and what is to be undone at the end. It does not know what is tested.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "autopsy.h"
#include "watchdog.h"

#define WARDS_MAX 256
#define CHORES_MAX 64

enum order_kind {
        ORDER_ARM,
        ORDER_ADD,
        ORDER_DROP,
        ORDER_REMOVE,
        ORDER_WRITE,
};

/* One write to the pipe, and so atomic. */
struct order {
        enum order_kind kind;
        pid_t pid;
        unsigned seconds;
        char name[256]; /* of the test, or a path */
        char text[64];
};

static_assert(sizeof(struct order) <= PIPE_BUF, "one order is written at once");

struct ward {
        pid_t pid;
        int pidfd;
};

struct watchdog {
        int orders; /* the pipe's reading end */
        struct ward test;
        struct ward wards[WARDS_MAX];
        size_t n_wards;
        struct order chores[CHORES_MAX];
        size_t n_chores;
        char name[256];
        struct timespec deadline;
};

static int orders_fd = -1;
static pid_t test_pid;

static void on_end_signal(int signo) {
        (void) signo;
        kill(test_pid, SIGKILL);
}

static unsigned usual_seconds(void) {
        const char *text = getenv("BF_TEST_TIMEOUT");
        unsigned long seconds = text ? strtoul(text, NULL, 10) : 0;

        return seconds > 0 && seconds < UINT_MAX ? (unsigned) seconds : WATCHDOG_SECONDS;
}

static void watchdog_set_deadline(struct watchdog *watchdog, unsigned seconds) {
        unsigned usual = usual_seconds();

        clock_gettime(CLOCK_MONOTONIC, &watchdog->deadline);
        watchdog->deadline.tv_sec += seconds > usual ? seconds : usual;
}

static int watchdog_milliseconds_left(const struct watchdog *watchdog) {
        struct timespec now;
        long long left;

        clock_gettime(CLOCK_MONOTONIC, &now);
        left = (watchdog->deadline.tv_sec - now.tv_sec) * 1000LL + (watchdog->deadline.tv_nsec - now.tv_nsec) / 1000000;
        return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int) left;
}

static void watchdog_add_ward(struct watchdog *watchdog, pid_t pid) {
        int pidfd = pidfd_open(pid, 0);

        if (pidfd < 0 && errno == ESRCH) /* it has ended meanwhile */
                return;
        if (pidfd < 0 || watchdog->n_wards == WARDS_MAX) {
                fprintf(stderr, "watchdog: cannot look after process %d\n", pid);
                return;
        }
        watchdog->wards[watchdog->n_wards++] = (struct ward) { .pid = pid, .pidfd = pidfd };
}

static void watchdog_drop_ward(struct watchdog *watchdog, pid_t pid) {
        for (size_t i = 0; i < watchdog->n_wards; i++) {
                if (watchdog->wards[i].pid != pid)
                        continue;
                close(watchdog->wards[i].pidfd);
                watchdog->wards[i] = watchdog->wards[--watchdog->n_wards];
                return;
        }
}

static void watchdog_obey(struct watchdog *watchdog, const struct order *order) {
        switch (order->kind) {
        case ORDER_ARM:
                memcpy(watchdog->name, order->name, sizeof(watchdog->name));
                watchdog_set_deadline(watchdog, order->seconds);
                break;
        case ORDER_ADD:
                watchdog_add_ward(watchdog, order->pid);
                break;
        case ORDER_DROP:
                watchdog_drop_ward(watchdog, order->pid);
                break;
        case ORDER_REMOVE:
        case ORDER_WRITE:
                if (watchdog->n_chores < CHORES_MAX)
                        watchdog->chores[watchdog->n_chores++] = *order;
                break;
        }
}

/* Carries out what is in the pipe. False: the test program has closed it. */
static bool watchdog_read_orders(struct watchdog *watchdog) {
        struct order order;
        ssize_t n;

        while ((n = read(watchdog->orders, &order, sizeof(order))) == sizeof(order))
                watchdog_obey(watchdog, &order);
        return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void watchdog_show(const struct watchdog *watchdog) {
        fprintf(stderr, "watchdog: the test %s took too long\n", watchdog->name);
        autopsy(watchdog->test.pid);
        for (size_t i = 0; i < watchdog->n_wards; i++)
                autopsy(watchdog->wards[i].pid);
}

static void watchdog_kill_wards(struct watchdog *watchdog) {
        for (size_t i = 0; i < watchdog->n_wards; i++)
                pidfd_send_signal(watchdog->wards[i].pidfd, SIGKILL, NULL, 0);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        (void) st;
        (void) flag;
        (void) ftw;
        remove(path);
        return 0;
}

static void watchdog_do_chores(const struct watchdog *watchdog) {
        for (size_t i = watchdog->n_chores; i-- > 0;) {
                const struct order *chore = &watchdog->chores[i];
                int fd;

                if (chore->kind == ORDER_REMOVE) {
                        nftw(chore->name, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
                        continue;
                }
                fd = open(chore->name, O_WRONLY | O_CLOEXEC);
                if (fd < 0 || write(fd, chore->text, strlen(chore->text)) < 0)
                        fprintf(stderr, "watchdog: cannot write %s to %s: %s\n", chore->text, chore->name, strerror(errno));
                if (fd >= 0)
                        close(fd);
        }
}

/* Until the test program has ended or its test's time is over. True: it is over. */
static bool watchdog_watch(struct watchdog *watchdog) {
        struct pollfd fds[] = { { .fd = watchdog->test.pidfd, .events = POLLIN }, { .fd = watchdog->orders, .events = POLLIN } };

        for (;;) {
                int r = poll(fds, 2, watchdog_milliseconds_left(watchdog));

                if (fds[1].fd >= 0 && r > 0 && fds[1].revents && !watchdog_read_orders(watchdog))
                        fds[1].fd = -1;
                if (r > 0 && fds[0].revents)
                        return false;
                if (watchdog_milliseconds_left(watchdog) == 0)
                        return true;
        }
}

static _Noreturn void watchdog_run(struct watchdog *watchdog) {
        bool late;
        int status;

        watchdog_set_deadline(watchdog, 0);
        late = watchdog_watch(watchdog);
        if (late) {
                watchdog_show(watchdog);
                pidfd_send_signal(watchdog->test.pidfd, SIGKILL, NULL, 0);
        }
        watchdog_kill_wards(watchdog);
        while (waitpid(watchdog->test.pid, &status, 0) < 0 && errno == EINTR)
                ;
        watchdog_read_orders(watchdog);
        watchdog_kill_wards(watchdog);
        watchdog_do_chores(watchdog);
        if (late)
                exit(WATCHDOG_EXIT);
        if (WIFSIGNALED(status))
                fprintf(stderr, "watchdog: the test program died of signal %d (%s) in %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)),
                        watchdog->name);
        exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void watchdog_start(void) {
        struct watchdog watchdog = { .name = "(before the first)" };
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 || (pid = fork()) < 0) {
                perror("watchdog");
                exit(WATCHDOG_EXIT);
        }
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(fds[0]);
                orders_fd = fds[1];
                return;
        }
        close(fds[1]);
        test_pid = pid;
        signal(SIGINT, SIG_IGN);
        signal(SIGPIPE, SIG_IGN); /* nobody reads what it shows: there is still what it has to do at the end */
        signal(SIGTERM, on_end_signal);
        signal(SIGHUP, on_end_signal);
        watchdog.orders = fds[0];
        watchdog.test = (struct ward) { .pid = pid, .pidfd = pidfd_open(pid, 0) };
        watchdog_run(&watchdog);
}

static void watchdog_order(struct order *order, const char *name) {
        assert(strlen(name) < sizeof(order->name));
        strcpy(order->name, name);
        if (orders_fd >= 0 && write(orders_fd, order, sizeof(*order)) != sizeof(*order))
                perror("watchdog: cannot give an order");
}

void watchdog_arm(const char *name, unsigned seconds) {
        struct order order = { .kind = ORDER_ARM, .seconds = seconds };

        watchdog_order(&order, name);
}

void watchdog_add(pid_t pid) {
        struct order order = { .kind = ORDER_ADD, .pid = pid };

        watchdog_order(&order, "");
}

void watchdog_drop(pid_t pid) {
        struct order order = { .kind = ORDER_DROP, .pid = pid };

        watchdog_order(&order, "");
}

void watchdog_at_end_remove(const char *path) {
        struct order order = { .kind = ORDER_REMOVE };

        watchdog_order(&order, path);
}

void watchdog_at_end_write(const char *path, const char *text) {
        struct order order = { .kind = ORDER_WRITE };

        assert(strlen(text) < sizeof(order.text));
        strcpy(order.text, text);
        watchdog_order(&order, path);
}
