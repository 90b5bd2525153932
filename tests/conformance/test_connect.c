/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connecting: addresses, the private daemon of "spawn:" and its end, errors in words, what is left of errno. Case E1; the rest is bfclient.h. */

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define UNTOUCHED ((struct bf_client *) (uintptr_t) 0x5a5a)

struct bad_address {
        const char *address; /* with DIR for the test's directory */
        int error;
};

/* A socket that was bound and is served by nobody. */
static void make_dead_socket(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        close(fd);
}

static void expand(char *ret_text, size_t size, const char *text, const char *dir) {
        const char *mark = strstr(text, "DIR");

        if (mark)
                snprintf(ret_text, size, "%.*s%s%s", (int) (mark - text), text, dir, mark + 3);
        else
                snprintf(ret_text, size, "%s", text);
}

static void test_bad_addresses(void **state) {
        static const struct bad_address bad[] = {
                { "", -EINVAL },
                { "tcp:localhost", -EINVAL },
                { "unix", -EINVAL },
                { "unix:", -EINVAL },
                { "spawn:pool", -EINVAL },
                { "spawn:pool=", -EINVAL },
                { "spawn:pool=many", -EINVAL },
                { "spawn:pools=64M", -EINVAL },
                { "spawn:pool=64M,room-timeout=soon", -EINVAL },
                { "unix:DIR/absent", -ENOENT },
                { "unix:DIR/dead", -ECONNREFUSED },
                { "spawn:daemon=DIR/absent", -ENOENT },
        };
        struct rig *rig = rig_here(state);

        make_dead_socket(rig_path(rig, "dead"));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct bf_client *client = UNTOUCHED;
                char address[160];
                int r;

                expand(address, sizeof(address), bad[i].address, rig->dir);
                errno = 4321;
                r = bf_connect(&client, address);
                if (r != bad[i].error)
                        fail_msg("\"%s\": %d and not %d (%s)", address, r, bad[i].error, bf_errmsg());
                assert_int_equal(errno, 4321);
                assert_ptr_equal(client, UNTOUCHED);
                assert_true(strlen(bf_errmsg()) > 0);
        }
        bf_disconnect(NULL);
}

/* NULL: what BIGFILED_SOCKET names */
static void test_socket_from_the_environment(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = NULL;

        rig_daemon(rig, "--pool", "8M", NULL);
        assert_int_equal(setenv("BIGFILED_SOCKET", rig->daemon.socket, 1), 0);
        assert_int_equal(bf_connect(&client, NULL), 0);
        assert_int_equal(rig_pool_stat(client).pool_bytes, 8 << 20);
        assert_int_equal(rig_pool_stat(client).peers, 1);
        bf_disconnect(client);
        assert_int_equal(setenv("BIGFILED_SOCKET", rig_path(rig, "absent"), 1), 0);
        client = UNTOUCHED;
        assert_int_equal(bf_connect(&client, NULL), -ENOENT); /* and no private daemon instead */
        assert_ptr_equal(client, UNTOUCHED);
        assert_int_equal(unsetenv("BIGFILED_SOCKET"), 0);
}

/* Does the environment of this process have the mark in it? */
static bool has_mark(const char *pid, const char *mark) {
        static char text[1 << 16];
        char path[64];
        FILE *file;
        size_t n;

        snprintf(path, sizeof(path), "/proc/%.16s/environ", pid);
        file = fopen(path, "re");
        n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        if (file)
                fclose(file);
        return memmem(text, n, mark, strlen(mark)) != NULL;
}

/* The other processes on this host that were started with the mark in their environment. */
static unsigned count_marked(const char *mark, pid_t *ret_one) {
        DIR *dir = opendir("/proc");
        unsigned n = 0;

        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
                pid_t pid = atoi(entry->d_name);

                if (pid <= 0 || pid == getpid() || !has_mark(entry->d_name, mark))
                        continue;
                *ret_one = pid;
                n++;
        }
        closedir(dir);
        return n;
}

static void mark_environment(char *ret_mark, size_t size) {
        snprintf(ret_mark, size, "BF_TEST_MARK=%d", getpid());
        assert_int_equal(setenv("BF_TEST_MARK", strchr(ret_mark, '=') + 1, 1), 0);
}

static void wait_for_none(const char *mark) {
        pid_t pid;

        while (count_marked(mark, &pid) > 0)
                sched_yield();
}

static void use_client(struct rig *rig, struct bf_client *client, const char *name) {
        const char *path = rig_identity(rig, name, 200);
        struct bf_fileh *fileh = rig_open(client, path, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, 200);

        for (uint64_t page = 0; page < 200; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        *rig_word(map, 9, 0) = 99;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(path, 9), 99);
}

/* "spawn:": a private daemon with its settings; it ends with bf_disconnect(), and leaves no zombie */
static void test_private_daemon(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *one = NULL, *two = NULL;
        char mark[64], address[512];
        pid_t pid;

        mark_environment(mark, sizeof(mark));
        assert_int_equal(bf_connect(&one, "spawn:pool=1M,room-timeout=0.5"), 0);
        assert_int_equal(rig_pool_stat(one).pool_bytes, 1 << 20);
        assert_int_equal(rig_pool_stat(one).peers, 1);
        use_client(rig, one, "one");
        snprintf(address, sizeof(address), "spawn:daemon=%s", getenv("BIGFILED_PROGRAM"));
        assert_int_equal(bf_connect(&two, address), 0);
        assert_int_equal(rig_pool_stat(two).pool_bytes, 64 << 20);
        use_client(rig, two, "two");
        assert_int_equal(count_marked(mark, &pid), 2);
        bf_disconnect(one);
        while (count_marked(mark, &pid) != 1)
                sched_yield();
        use_client(rig, two, "three");
        assert_int_equal(kill(pid, SIGKILL), 0);
        wait_for_none(mark);
        bf_disconnect(two);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is there to be waited for */
        assert_int_equal(errno, ECHILD);
}

static int spawn_and_say(int line, void *arg) {
        struct bf_client *client;

        CHILD_CHECK(bf_connect(&client, "spawn:pool=1M") == 0);
        CHILD_CHECK(arg == NULL);
        child_say(line, 1);
        child_hear(line);
        return 0;
}

/* and with the process that started it, however that ends */
static void test_private_daemon_ends_with_its_process(void **state) {
        struct rig *rig = rig_here(state);
        struct child *killed, *exits;
        char mark[64];
        pid_t pid;

        mark_environment(mark, sizeof(mark));
        killed = rig_child(rig, spawn_and_say, NULL);
        exits = rig_child(rig, spawn_and_say, NULL);
        assert_int_equal(child_hear(killed->line), 1);
        assert_int_equal(child_hear(exits->line), 1);
        assert_int_equal(count_marked(mark, &pid), 2);
        child_kill(killed);
        child_say(exits->line, 2);
        assert_int_equal(child_wait(exits), 0);
        wait_for_none(mark);
}

/* several clients in one process, of several daemons and of one, do not know each other */
static void test_many_clients(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *clients[8], *private = NULL;

        rig_daemon(rig, "--pool", "64M", NULL);
        assert_int_equal(bf_connect(&private, "spawn:pool=1M"), 0);
        for (size_t i = 0; i < 8; i++) {
                char name[16];

                clients[i] = rig_client(rig);
                snprintf(name, sizeof(name), "file-%zu", i);
                use_client(rig, clients[i], name);
        }
        use_client(rig, private, "private");
        assert_int_equal(rig_pool_stat(clients[0]).peers, 8);
        assert_int_equal(rig_pool_stat(private).peers, 1);
        for (size_t i = 0; i < 8; i += 2)
                rig_disconnect(rig, clients[i]);
        while (rig_pool_stat(clients[1]).peers != 4)
                sched_yield();
        use_client(rig, clients[7], "last");
        bf_disconnect(private);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_bad_addresses),
                RIG_TEST(test_socket_from_the_environment),
                RIG_TEST(test_private_daemon),
                RIG_TEST(test_private_daemon_ends_with_its_process),
                RIG_TEST(test_many_clients),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
