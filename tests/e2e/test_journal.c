/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages for the journal, with their fields. The test plays journald, in a mount namespace of its own. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 10

/* Where journald listens; what the daemon prints goes where the journal is said to be. */
static int play_journald(struct rig *rig) {
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), log;
        char path[100], stream[64];
        struct stat st;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
                print_message("skipped: no right to mount\n");
                skip();
        }
        assert_int_equal(mkdir("/run/systemd", 0755) + mkdir("/run/systemd/journal", 0755), 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        snprintf(path, sizeof(path), "%s/daemon.log", rig->dir);
        log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(fstat(log, &st), 0);
        close(log);
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev, (unsigned long long) st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        return fd;
}

/* A field of one line stands as NAME=VALUE on a line; text gets a line break in front of it, to be found by. */
static void hear(int fd, const char *message, char text[static 4096]) {
        do {
                ssize_t n = recv(fd, text + 1, 4094, 0); /* the watchdog sets the end */

                assert_true(n > 0);
                text[0] = '\n';
                text[1 + n] = '\0';
        } while (!strstr(text, message));
}

static void assert_field(const char *text, const char *name, const char *value) {
        char line[300];

        snprintf(line, sizeof(line), "\n%s=%s\n", name, value);
        if (!strstr(text, line))
                fail_msg("no %s=%s in:%s", name, value, text);
}

static void test_fields(void **state) {
        struct rig *rig = rig_here(state);
        int journal = play_journald(rig), fd;
        const char *path = rig_identity(rig, "data", N_PAGES);
        char text[4096], number[32];
        struct bf_client *client, *more = NULL;
        struct probe_hit hit;
        uint64_t *map;
        struct stat st;

        rig_daemon(rig, "--uid-peers", "1", NULL);
        unsetenv("JOURNAL_STREAM");
        hear(journal, "\nMESSAGE=serving, with a pool of ", text);
        assert_field(text, "PRIORITY", "6");
        assert_field(text, "SYSLOG_IDENTIFIER", "bigfiled");
        assert_null(strstr(text, "BIGFILED_"));
        client = rig_client(rig);
        assert_int_equal(bf_connect(&more, rig_address(rig)), -EUSERS);
        hear(journal, " has 1 clients and gets no more", text);
        assert_field(text, "PRIORITY", "4");
        snprintf(number, sizeof(number), "%d", (int) getpid());
        assert_field(text, "BIGFILED_PEER_PID", number);
        snprintf(number, sizeof(number), "%u", (unsigned) getuid());
        assert_field(text, "BIGFILED_PEER_UID", number);

        map = rig_map(rig_open(client, path, O_RDWR, 0), 0, N_PAGES);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, RIG_PAGE) + fstat(fd, &st), 0);
        close(fd);
        assert_int_equal(probe_read(&map[5 * RIG_PAGE / sizeof(*map)], NULL, &hit), SIGBUS);
        hear(journal, "it was truncated", text);
        assert_field(text, "BIGFILED_FILE", path);
        snprintf(number, sizeof(number), "%llu", (unsigned long long) st.st_ino);
        assert_field(text, "BIGFILED_INODE", number);
        snprintf(number, sizeof(number), "%d", ENXIO);
        assert_field(text, "ERRNO", number);
        snprintf(number, sizeof(number), "\nMESSAGE=%.20s", path);
        assert_non_null(strstr(text, number));
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        assert_int_equal(stat(rig->daemon.log, &st), 0);
        assert_int_equal(st.st_size, 0); /* each message once */
        close(journal);
}

/* Not where stderr is something else than the journal that was there for somebody before. */
static void test_another_stderr(void **state) {
        struct rig *rig = rig_here(state);

        setenv("JOURNAL_STREAM", "5:6", 1);
        rig_daemon(rig, NULL);
        unsetenv("JOURNAL_STREAM");
        assert_true(daemonproc_says(&rig->daemon, "bigfiled: serving, with a pool of "));
        assert_false(daemonproc_says(&rig->daemon, "<6>"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_another_stderr),
                RIG_TEST(test_fields),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
