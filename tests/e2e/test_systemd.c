/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the daemon and systemd say to each other: readiness, the end, and a socket that was there first. Here the test plays systemd. */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chan.h"
#include "rig.h"
#include "watchdog.h"

#define LISTEN_FD 3 /* where systemd puts the first socket */

static int notify_socket(struct rig *rig) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", rig->dir);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
        return fd;
}

static bool has_line(const char *text, const char *line) {
        size_t n = strlen(line);

        for (const char *at = text; (at = strstr(at, line)); at += n)
                if ((at == text || at[-1] == '\n') && (at[n] == '\0' || at[n] == '\n'))
                        return true;
        return false;
}

/* Hears what the daemon says until there is this line, or one that begins so if it ends with *. The notification it came in is left in text. The watchdog
 * sets the end. */
static void hear_in(int fd, const char *expected, char text[static 512]) {
        for (;;) {
                ssize_t n = recv(fd, text, 511, 0);

                assert_true(n > 0);
                text[n] = '\0';
                if (expected[strlen(expected) - 1] == '*' ? strncmp(text, expected, strlen(expected) - 1) == 0 : has_line(text, expected))
                        return;
        }
}

static void assert_notified(int fd, const char *expected) {
        char text[512];

        hear_in(fd, expected, text);
}

static void test_it_says_when_it_serves_and_when_it_ends(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig);

        rig_daemon(rig, NULL);
        unsetenv("NOTIFY_SOCKET");
        assert_notified(notify, "READY=1");
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        assert_notified(notify, "STOPPING=1");
        close(notify);
}

/* systemd compares the time with that of its own request. */
static void test_it_says_when_it_reads_its_configuration_again(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig);
        unsigned long long usec = 0;
        struct timespec before;
        char text[512];

        rig_daemon(rig, NULL);
        unsetenv("NOTIFY_SOCKET");
        assert_notified(notify, "READY=1");
        clock_gettime(CLOCK_MONOTONIC, &before);
        assert_int_equal(kill(rig->daemon.pid, SIGHUP), 0);
        hear_in(notify, "RELOADING=1", text);
        assert_int_equal(sscanf(strstr(text, "MONOTONIC_USEC="), "MONOTONIC_USEC=%llu", &usec), 1);
        assert_true(usec >= (unsigned long long) before.tv_sec * 1000000 + (unsigned long long) before.tv_nsec / 1000);
        assert_notified(notify, "READY=1");
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        close(notify);
}

/* In words, when something has happened; what was said is not said again. */
static void test_it_says_how_it_is(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig);
        struct bf_client *client;
        uint64_t *map;

        rig_daemon(rig, "--pool", "1M", NULL);
        unsetenv("NOTIFY_SOCKET");
        assert_notified(notify, "STATUS=Serving 0 clients: 0 B of 1.0 MiB in use, 0 B dirty, 0 B spilled");
        client = rig_client(rig);
        assert_notified(notify, "STATUS=Serving 1 client: 0 B of 1.0 MiB in use, 0 B dirty, 0 B spilled");
        map = rig_map(rig_open(client, rig_identity(rig, "data", 10), O_RDWR, 0), 0, 10);
        *rig_word(map, 3, 0) = *rig_word(map, 4, 0);
        (void) rig_client(rig);
        assert_notified(notify, "STATUS=Serving 2 clients: 8.0 KiB of 1.0 MiB in use, 4.0 KiB dirty, 0 B spilled");
        close(notify);
}

/* --- the watchdog --------------------------------------------------------------------------------------------------------------------------------- */

/* The thread of the daemon with that name; skips the test if it cannot be stopped. */
static pid_t stop_thread(pid_t pid, const char *name) {
        char path[300], comm[32] = "";
        pid_t tid = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        assert_non_null(dir);
        for (struct dirent *entry; !tid && (entry = readdir(dir));) {
                FILE *file;

                snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, entry->d_name);
                file = fopen(path, "re");
                if (file && fgets(comm, sizeof(comm), file) && strncmp(comm, name, strlen(name)) == 0)
                        tid = atoi(entry->d_name);
                if (file)
                        fclose(file);
        }
        closedir(dir);
        assert_int_not_equal(tid, 0);
        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
                print_message("skipped: no right to stop a thread of the daemon\n");
                skip();
        }
        assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
        assert_int_equal(waitpid(tid, NULL, __WALL), tid);
        return tid;
}

static void forget_notifications(int fd) {
        char text[512];

        while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
                ;
}

/* Waits until its main thread has been woken that often. */
static void let_it_wake(struct rig *rig, unsigned times) {
        struct daemonproc_usage before, now;

        assert_int_equal(daemonproc_usage(&rig->daemon, &before), 0);
        do
                assert_int_equal(daemonproc_usage(&rig->daemon, &now), 0);
        while (now.n_wakeups < before.n_wakeups + times);
}

/* A daemon whose pager hangs is not heard, though its main loop goes on; one whose pager goes on again is. */
static void test_the_watchdog(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig);
        char text[512];
        pid_t tid;

        setenv("WATCHDOG_USEC", "200000", 1);
        rig_daemon(rig, NULL);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        for (unsigned i = 0; i < 3; i++)
                assert_notified(notify, "WATCHDOG=1");
        tid = stop_thread(rig->daemon.pid, "pager 0");
        while (!daemonproc_says(&rig->daemon, "1 pager threads have not answered"))
                sched_yield();
        forget_notifications(notify);
        let_it_wake(rig, 5);
        assert_true(recv(notify, text, sizeof(text), MSG_DONTWAIT) < 0);
        assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
        assert_notified(notify, "WATCHDOG=1");
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        close(notify);
}

/* Nobody asks for it: no timer runs. */
static void test_without_a_watchdog_nothing_wakes_it(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig);
        struct daemonproc_usage before, after;
        char text[512];

        rig_daemon(rig, NULL);
        unsetenv("NOTIFY_SOCKET");
        assert_notified(notify, "STATUS=*");
        assert_int_equal(daemonproc_usage(&rig->daemon, &before), 0);
        poll(NULL, 0, 1500);
        assert_int_equal(daemonproc_usage(&rig->daemon, &after), 0);
        assert_in_range(after.n_wakeups - before.n_wakeups, 0, 4); /* its threads may have been on their way to sleep */
        assert_true(recv(notify, text, sizeof(text), MSG_DONTWAIT) < 0);
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        close(notify);
}

/* As systemd starts a service that has a socket. */
static pid_t start_with_socket_and(int listener, const char *socket_option) {
        pid_t pid = fork();
        char text[16];

        if (pid != 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(text, sizeof(text), "%d", (int) getpid());
        setenv("LISTEN_PID", text, 1);
        setenv("LISTEN_FDS", "1", 1);
        if (listener == LISTEN_FD)
                fcntl(listener, F_SETFD, 0);
        else
                dup2(listener, LISTEN_FD);
        execl(getenv("BIGFILED_PROGRAM"), "bigfiled", "--config", "none", "--pool", "1M", socket_option ? "--socket" : NULL, socket_option, (char *) NULL);
        _exit(127);
}

static pid_t start_with_socket(int listener) {
        return start_with_socket_and(listener, NULL);
}

static void test_it_serves_the_socket_that_systemd_made(void **state) {
        struct rig *rig = rig_here(state);
        int notify = notify_socket(rig), listener, status;
        char path[sizeof(rig->dir) + 8], address[sizeof(path) + 8];
        struct bf_client *client;
        pid_t pid;

        snprintf(path, sizeof(path), "%s/socket", rig->dir);
        snprintf(address, sizeof(address), "unix:%s", path);
        assert_int_equal(chan_listen(path, 0600, &listener), 0);
        for (unsigned times = 0; times < 2; times++) { /* a service may be restarted: the socket stays */
                pid = start_with_socket_and(listener, times == 0 ? NULL : path); /* the configuration may name the same one */
                watchdog_add(pid);
                assert_int_equal(bf_connect(&client, address), 0); /* waits until it is served, as clients of such a socket do */
                assert_notified(notify, "READY=1");
                assert_int_equal(rig_pool_stat(client).pool_bytes, 1 << 20);
                assert_int_equal(kill(pid, SIGTERM), 0);
                watchdog_drop(pid);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
                assert_notified(notify, "STOPPING=1");
                assert_int_equal(access(path, F_OK), 0); /* it is systemd's */
                bf_disconnect(client);
        }
        unsetenv("NOTIFY_SOCKET");
        close(listener);
        close(notify);
}

/* --- restarts under load -------------------------------------------------------------------------------------------------------------------------- */

#define N_PAGES 1000 /* four times the pool */
#define N_DIRTY 100
#define WRITES 500 /* between two restarts */

struct writing {
        struct bf_fileh *fileh;
        uint64_t *map;
        uint64_t values[N_PAGES];
        atomic_ulong n_writes;
        atomic_bool is_over;
        uint64_t n_wrong;
};

static void *write_on(void *arg) {
        struct writing *writing = arg;

        for (uint64_t i = 1; !atomic_load(&writing->is_over); i++) {
                uint64_t page = i * 7 % N_PAGES, other = i * 31 % N_PAGES;

                *rig_word(writing->map, page, 0) = writing->values[page] = i;
                writing->n_wrong += *rig_word(writing->map, other, 0) != writing->values[other];
                if (i % N_DIRTY == 0)
                        writing->n_wrong += bf_writeout(writing->fileh, RIG_STORE_MARK) < 0;
                atomic_fetch_add(&writing->n_writes, 1);
        }
        return NULL;
}

static void let_it_write(struct writing *writing) {
        unsigned long goal = atomic_load(&writing->n_writes) + WRITES;

        while (atomic_load(&writing->n_writes) < goal)
                usleep(500);
}

static void end_service(pid_t pid, int signal) {
        assert_int_equal(kill(pid, signal), 0);
        watchdog_drop(pid);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* what "systemctl restart", "systemctl kill -s KILL" and a stop with a later start are to the daemon: to a client they are the same, dirty pages included */
static void test_restarts_under_load(void **state) {
        static const int signals[] = { SIGKILL, SIGTERM, SIGTERM, SIGKILL, SIGKILL, SIGTERM };
        static struct writing writing;
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        char address[sizeof(rig->dir) + 16];
        struct bf_client *client;
        pthread_t thread;
        int listener;
        pid_t pid;

        writing = (struct writing) { .n_writes = 0 };
        for (uint64_t page = 0; page < N_PAGES; page++)
                writing.values[page] = page;
        assert_int_equal(chan_listen(rig_path(rig, "socket"), 0600, &listener), 0);
        snprintf(address, sizeof(address), "unix:%s/socket", rig->dir);
        pid = start_with_socket(listener);
        watchdog_add(pid);
        assert_int_equal(bf_connect(&client, address), 0);
        writing.fileh = rig_open(client, path, O_RDWR, 0);
        writing.map = rig_map(writing.fileh, 0, N_PAGES);
        assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
        for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                let_it_write(&writing);
                end_service(pid, signals[i]);
                pid = start_with_socket(listener);
                watchdog_add(pid);
        }
        let_it_write(&writing);
        atomic_store(&writing.is_over, true);
        pthread_join(thread, NULL);
        assert_int_equal(writing.n_wrong, 0);
        assert_int_equal(bf_writeout(writing.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_DIRTY; page++)
                *rig_word(writing.map, page, 0) = writing.values[page] = 1000000 + page;
        end_service(pid, SIGTERM);
        pid = start_with_socket(listener);
        watchdog_add(pid);
        assert_int_equal(rig_stat(writing.fileh).dirty_bytes, N_DIRTY * RIG_PAGE);
        assert_int_not_equal(rig_file_word(path, 7), writing.values[7]);
        assert_int_equal(bf_writeout(writing.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(path, page), writing.values[page]);
        bf_disconnect(client);
        end_service(pid, SIGTERM);
        close(listener);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_it_says_when_it_serves_and_when_it_ends),
                RIG_TEST(test_it_says_when_it_reads_its_configuration_again),
                RIG_TEST(test_it_says_how_it_is),
                RIG_TEST(test_the_watchdog),
                RIG_TEST(test_without_a_watchdog_nothing_wakes_it),
                RIG_TEST(test_it_serves_the_socket_that_systemd_made),
                RIG_TEST(test_restarts_under_load),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("systemd", tests, NULL, NULL);
}
