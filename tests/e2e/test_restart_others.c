/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon that comes after another is not what it should be for all: it speaks another version, or cannot take up one of the handles. */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chan.h"
#include "ledger.h"
#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"
#include "wire.h"

#define N_PAGES 100
#define ANOTHER_VERSION (WIRE_VERSION + 97)

/* Page 3 is dirty, page 4 loaded. */
struct open_file {
        const char *path;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static struct open_file open_file(struct bf_client *client, const char *path) {
        struct open_file file = { .path = path, .fileh = rig_open(client, path, O_RDWR, 0) };

        file.map = rig_map(file.fileh, 0, N_PAGES);
        *rig_word(file.map, 3, 0) = 300;
        assert_int_equal(*rig_word(file.map, 4, 0), 4);
        return file;
}

static void *at(const struct open_file *file, uint64_t page) {
        return (void *) (uintptr_t) rig_word(file->map, page, 0);
}

static void check_all_is_well(const struct open_file *file) {
        assert_int_equal(rig_stat(file->fileh).dirty_bytes, RIG_PAGE);
        assert_states(file->fileh, 3, "DL");
        assert_int_equal(*rig_word(file->map, 3, 0), 300);
        assert_int_equal(*rig_word(file->map, 50, 0), 50);
        *rig_word(file->map, 4, 0) = 400;
        assert_int_equal(bf_writeout(file->fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(file->path, 3), 300);
        assert_int_equal(rig_file_word(file->path, 4), 400);
}

static void wait_for_a_daemon(struct bf_fileh *fileh) {
        while (bf_load(fileh, 0, RIG_PAGE) == -ENOTCONN)
                usleep(10000);
}

/* --- one handle of several ------------------------------------------------------------------------------------------------------------------------ */

/* Is this descriptor of the test a ledger of that file? */
static bool is_ledger_of(const char *link, const char *path, int *ret_fd) {
        struct ledger_header header = { .magic = 0 };
        char target[64] = "";
        struct stat st;
        int fd;

        if (readlink(link, target, sizeof(target) - 1) < 0 || strcmp(target, "/memfd:bigfiled-ledger (deleted)") != 0)
                return false;
        assert_int_equal(stat(path, &st), 0);
        fd = open(link, O_RDWR | O_CLOEXEC); /* the daemon is of the same user */
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
        if (header.file_inode == st.st_ino) {
                *ret_fd = fd;
                return true;
        }
        close(fd);
        return false;
}

/* The ledger that the library has of this file, for writing. */
static int ledger_of(const char *path) {
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;
        int fd = -1;

        assert_non_null(dir);
        while (fd < 0 && (entry = readdir(dir))) {
                char link[300];

                snprintf(link, sizeof(link), "/proc/self/fd/%s", entry->d_name);
                (void) is_ledger_of(link, path, &fd);
        }
        closedir(dir);
        assert_true(fd >= 0);
        return fd;
}

/* So that no daemon takes it up: it is of another file. Done twice, it is as it was. */
static void spoil(int ledger) {
        struct ledger_header header;

        assert_int_equal(pread(ledger, &header, sizeof(header), 0), sizeof(header));
        header.file_inode ^= 1;
        assert_int_equal(pwrite(ledger, &header, sizeof(header), 0), sizeof(header));
}

static void check_lost(const struct open_file *file) {
        struct probe_hit hit;
        struct bf_stat stat;
        void *map;

        assert_int_equal(bf_stat(file->fileh, &stat), -ENOTCONN);
        assert_int_equal(bf_writeout(file->fileh, RIG_STORE_MARK), -ENOTCONN);
        assert_int_equal(bf_mmap(file->fileh, 0, RIG_PAGE, PROT_READ, &map), -ENOTCONN);
        assert_int_equal(probe_read(at(file, 50), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ENOTCONN);
        assert_int_equal(probe_write(at(file, 4), 1, NULL), SIGBUS); /* it would have to become dirty */
        assert_int_equal(*rig_word(file->map, 3, 0), 300);
        assert_int_equal(rig_file_word(file->path, 3), 3);
}

/* it is lost alone: its waiting threads get SIGBUS, its calls errors, nothing of it becomes zeros, and others go on; a daemon that can takes it up again */
static void test_one_handle_is_refused(void **state) {
        struct rig *rig = rig_here(state);
        const char *paths[2] = { rig_identity(rig, "good", N_PAGES), rig_identity(rig, "bad", N_PAGES) };
        struct open_file good, bad;
        struct bf_client *client;
        struct worker *waiting;
        int ledger;

        rig_daemon(rig, "--pool", "64M", NULL);
        client = rig_client(rig);
        bad = open_file(client, paths[1]);
        good = open_file(client, paths[0]);
        ledger = ledger_of(bad.path);
        daemonproc_kill(&rig->daemon);
        spoil(ledger);
        waiting = rig_worker(rig, worker_read, at(&bad, 60), NULL, 0, 0);
        worker_wait_fault(waiting);
        rig_daemon(rig, "--pool", "64M", NULL);
        worker_join(waiting);
        assert_int_equal(waiting->hit.signo, SIGBUS);
        assert_int_equal(waiting->hit.error, ENOTCONN);
        check_lost(&bad);
        assert_int_equal(bf_discard(bad.fileh), -ENOTCONN);
        assert_non_null(strstr(bf_errmsg(), "another daemon has come, and did not take up this handle: Invalid argument"));
        check_all_is_well(&good);
        assert_int_equal(rig_pool_stat(client).filehs, 1);
        assert_int_equal(bf_discard(good.fileh), 0);

        daemonproc_kill(&rig->daemon);
        spoil(ledger);
        close(ledger);
        rig_daemon(rig, "--pool", "64M", NULL);
        wait_for_a_daemon(bad.fileh);
        assert_int_equal(*rig_word(bad.map, 60, 0), 60);
        check_all_is_well(&bad);
        assert_int_equal(*rig_word(good.map, 3, 0), 300);
}

/* and it can be taken down while others go on */
static void test_a_refused_handle_is_closed(void **state) {
        struct rig *rig = rig_here(state);
        const char *paths[2] = { rig_identity(rig, "good", N_PAGES), rig_identity(rig, "bad", N_PAGES) };
        struct open_file good, bad;
        struct bf_client *client;
        int ledger;

        rig_daemon(rig, "--pool", "64M", NULL);
        client = rig_client(rig);
        bad = open_file(client, paths[1]);
        good = open_file(client, paths[0]);
        ledger = ledger_of(bad.path);
        spoil(ledger);
        close(ledger);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--pool", "64M", NULL);
        check_all_is_well(&good);
        check_lost(&bad);
        assert_int_equal(bf_munmap(bad.map), 0);
        assert_int_equal(bf_close(bad.fileh), 0);
        bad = open_file(client, paths[1]);
        check_all_is_well(&bad);
}

/* --- another version ------------------------------------------------------------------------------------------------------------------------------ */

static void answer(int listener) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        struct chan_packet packet;
        union wire_msg reply;

        if (fd < 0)
                return;
        if (chan_receive(fd, &packet) == 1) {
                wire_init(&reply, WIRE_HELLO | WIRE_REPLY, packet.msg.header.serial);
                reply.hello_reply.error = -EPROTONOSUPPORT;
                reply.hello_reply.version = ANOTHER_VERSION;
                (void) chan_send(fd, &reply, NULL, 0);
                chan_packet_close(&packet);
        }
        close(fd);
}

/* A daemon of that version, from the first word on until it is killed; says when it is there. */
static int serve_another_version(int line, void *arg) {
        const char *socket = arg;
        int listener;

        if (child_hear(line) == CHILD_GONE)
                return 0;
        CHILD_CHECK(chan_listen(socket, 0600, &listener) == 0);
        CHILD_CHECK(fcntl(listener, F_SETFL, 0) == 0);
        child_say(line, 0);
        for (;;)
                answer(listener);
}

/* it refuses in words that name both versions; the client goes on looking, and goes on when the right one is back */
static void test_a_daemon_of_another_version(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct open_file file;
        struct child *other;
        char words[64];

        rig_daemon(rig, "--pool", "64M", NULL);
        other = rig_child(rig, serve_another_version, rig->daemon.socket);
        setenv("BIGFILED_RECONNECT_TIMEOUT", "0.3", 1);
        file = open_file(rig_client(rig), path);
        unsetenv("BIGFILED_RECONNECT_TIMEOUT");
        daemonproc_kill(&rig->daemon);
        child_say(other->line, 1);
        assert_int_equal(child_hear(other->line), 0);
        assert_int_equal(bf_load(file.fileh, 50 * RIG_PAGE, RIG_PAGE), -ENOTCONN);
        snprintf(words, sizeof(words), "version %d", ANOTHER_VERSION);
        while (!strstr(bf_errmsg(), words)) { /* it may have been told before the other one was reached */
                usleep(10000);
                assert_int_equal(bf_load(file.fileh, 50 * RIG_PAGE, RIG_PAGE), -ENOTCONN);
        }
        snprintf(words, sizeof(words), "%d", WIRE_VERSION);
        assert_non_null(strstr(bf_errmsg(), words));
        assert_int_equal(*rig_word(file.map, 3, 0), 300);
        child_kill(other);
        rig_daemon(rig, "--pool", "64M", NULL);
        wait_for_a_daemon(file.fileh);
        check_all_is_well(&file);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_one_handle_is_refused),
                RIG_TEST(test_a_refused_handle_is_closed),
                RIG_TEST(test_a_daemon_of_another_version),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("other daemons", tests, NULL, NULL);
}
