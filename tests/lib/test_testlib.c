/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The harness itself: a test is worth what its instruments are. No daemon is needed here. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

static int open_held(struct heldfs *heldfs) {
        int fd = open(heldfs_path(heldfs), O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void pread_words(struct worker *worker) {
        uint64_t words[RIG_PAGE / sizeof(uint64_t)];
        ssize_t n = pread((int) worker->b, words, sizeof(words), (off_t) (worker->a * RIG_PAGE));

        worker->result = n < 0 ? -errno : (int) n;
        worker->value = words[0];
}

static void test_heldfs_passes_everything_through(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs = rig_heldfs(rig, 10);
        uint64_t words[3 * 512];
        struct stat st;
        int fd = open_held(heldfs);

        assert_int_equal(fstat(fd, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_size, 10 * RIG_PAGE);
        assert_int_equal(pread(fd, words, sizeof(words), 4 * RIG_PAGE), sizeof(words));
        assert_int_equal(words[0], 4);
        assert_int_equal(words[3 * 512 - 1], 6);
        assert_int_equal(pwrite(fd, words, RIG_PAGE, 9 * RIG_PAGE), RIG_PAGE);
        assert_int_equal(*(uint64_t *) heldfs_content(heldfs, 9 * RIG_PAGE), 4);
        assert_int_equal(fdatasync(fd), 0);
        assert_int_equal(ftruncate(fd, 11 * RIG_PAGE), 0);
        assert_int_equal(pread(fd, words, sizeof(words), 10 * RIG_PAGE), RIG_PAGE);
        assert_int_equal(heldfs_count(heldfs, HELDFS_FSYNC), 1);
        assert_blocks(heldfs, HELDFS_READ, 4, 5, 6, 10);
        close(fd);
}

static void test_heldfs_sees_each_read_again(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs = rig_heldfs(rig, 4);
        uint64_t word;
        int fd = open_held(heldfs);

        assert_int_equal(pread(fd, &word, sizeof(word), RIG_PAGE), sizeof(word));
        *(uint64_t *) heldfs_content(heldfs, RIG_PAGE) = 77;
        assert_int_equal(pread(fd, &word, sizeof(word), RIG_PAGE), sizeof(word));
        assert_int_equal(word, 77);
        assert_blocks(heldfs, HELDFS_READ, 1, 1);
        close(fd);
}

static void test_heldfs_holds(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs = rig_heldfs(rig, 40);
        struct worker *held, *next;
        int fd = open_held(heldfs);

        heldfs_hold(heldfs, HELDFS_READ, 3, 1);
        held = rig_worker(rig, pread_words, NULL, NULL, 3, (uint64_t) fd);
        heldfs_wait(heldfs, HELDFS_READ, 3, 1);
        *(uint64_t *) heldfs_content(heldfs, 3 * RIG_PAGE) = 33;
        next = rig_worker(rig, pread_words, NULL, NULL, 3, (uint64_t) fd);
        worker_join(next);
        assert_int_equal(next->value, 33); /* only one was to be held */
        assert_false(worker_is_done(held));
        heldfs_release(heldfs, HELDFS_READ, 3);
        worker_join(held);
        assert_int_equal(held->value, 3); /* what was there when it arrived */
        assert_int_equal(heldfs_n_held(heldfs, HELDFS_READ, HELDFS_ANY), 0);
        close(fd);
}

static void test_heldfs_holds_many_at_once(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs = rig_heldfs(rig, 40);
        struct worker *held[32];
        int fd = open_held(heldfs);

        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (uint64_t i = 0; i < 32; i++)
                held[i] = rig_worker(rig, pread_words, NULL, NULL, i, (uint64_t) fd);
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, 32);
        heldfs_clear(heldfs);
        for (uint64_t i = 0; i < 32; i++) {
                worker_join(held[i]);
                assert_int_equal(held[i]->value, i);
        }
        close(fd);
}

static void test_heldfs_fails_and_shortens(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs = rig_heldfs(rig, 10);
        char bytes[4 * RIG_PAGE];
        int fd = open_held(heldfs);

        heldfs_fail(heldfs, HELDFS_READ, 5, 1, 2, ENOSPC);
        assert_int_equal(pread(fd, bytes, RIG_PAGE, 5 * RIG_PAGE), RIG_PAGE);
        assert_int_equal(pread(fd, bytes, sizeof(bytes), 3 * RIG_PAGE), 2 * RIG_PAGE);
        for (int i = 0; i < 2; i++) {
                errno = 0;
                assert_int_equal(pread(fd, bytes, RIG_PAGE, 5 * RIG_PAGE), -1);
                assert_int_equal(errno, ENOSPC);
        }
        assert_int_equal(pread(fd, bytes, RIG_PAGE, 5 * RIG_PAGE), RIG_PAGE);
        heldfs_shorten(heldfs, HELDFS_WRITE, 2, 1, 100);
        assert_int_equal(pwrite(fd, bytes, RIG_PAGE, 2 * RIG_PAGE), 100);
        heldfs_fail(heldfs, HELDFS_FSYNC, HELDFS_ANY, 0, 1, EIO);
        assert_int_equal(fsync(fd), -1);
        assert_int_equal(errno, EIO);
        assert_int_equal(fsync(fd), 0);
        assert_int_equal(heldfs_count(heldfs, HELDFS_READ), 3);
        assert_int_equal(heldfs_count_failed(heldfs, HELDFS_READ), 2);
        close(fd);
}

static void test_probe(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", 2);
        struct probe_hit hit;
        uint64_t value = 5;
        char *map;
        int fd;

        fd = open(path, O_RDWR | O_CLOEXEC);
        map = mmap(NULL, 3 * RIG_PAGE, PROT_READ, MAP_SHARED, fd, 0);
        assert_false(probe_is_readable(map));
        assert_int_equal(probe_read(map + RIG_PAGE, &value, &hit), 0);
        assert_int_equal(value, 1);
        assert_true(probe_is_readable(map + RIG_PAGE));
        assert_int_equal(probe_read(map + 2 * RIG_PAGE, &value, &hit), SIGBUS); /* beyond the end of the file */
        assert_ptr_equal(hit.address, map + 2 * RIG_PAGE);
        assert_int_equal(hit.known, -ENOENT);
        assert_int_equal(probe_write(map, 1, &hit), SIGSEGV);
        assert_int_equal(value, 1);
        munmap(map, 3 * RIG_PAGE);
        close(fd);
}

static int child_echo(int line, void *arg) {
        uint64_t number;

        while ((number = child_hear(line)) != CHILD_GONE)
                child_say(line, number + *(uint64_t *) arg);
        return 7;
}

static void test_child(void **state) {
        struct rig *rig = rig_here(state);
        uint64_t plus = 2;
        struct child *child = rig_child(rig, child_echo, &plus);

        child_say(child->line, 40);
        assert_int_equal(child_hear(child->line), 42);
        shutdown(child->line, SHUT_WR);
        assert_int_equal(child_wait(child), 7);
}

/* The watchdog ends a program that hangs, and what that has started, and removes what it was told of. */
static int hang(int line, void *arg) {
        setenv("BF_TEST_TIMEOUT", "1", 1);
        if (freopen("/dev/null", "w", stderr)) /* what it shows of the dead is not for the log of a test that passes */
                watchdog_start();
        child_say(line, (uint64_t) getpid());
        watchdog_at_end_remove((const char *) arg);
        watchdog_arm("hang", 0);
        pause();
        return 0;
}

static void test_watchdog(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "to-remove");
        struct child *child;
        uint64_t pid;

        assert_int_equal(mkdir(path, 0700), 0);
        child = rig_child(rig, hang, (void *) (uintptr_t) path);
        pid = child_hear(child->line);
        assert_int_equal(child_wait(child), WATCHDOG_EXIT);
        assert_int_equal(kill((pid_t) pid, 0), -1);
        assert_int_equal(access(path, F_OK), -1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_heldfs_passes_everything_through),
                RIG_TEST(test_heldfs_sees_each_read_again),
                RIG_TEST(test_heldfs_holds),
                RIG_TEST(test_heldfs_holds_many_at_once),
                RIG_TEST(test_heldfs_fails_and_shortens),
                RIG_TEST(test_probe),
                RIG_TEST(test_child),
                RIG_TEST(test_watchdog),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("testlib", tests, NULL, NULL);
}
