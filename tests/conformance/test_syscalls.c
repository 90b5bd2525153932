/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Big-file memory given to system calls: rule 27; cases E14. Each call meets pages in every condition: not loaded, loaded (and so protected),
 * dirty. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100

struct scene {
        struct rig *rig;
        const char *path; /* of an identity file */
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

/* Pages 10 to 12: not loaded, loaded, dirty (word 0 is 12 all the same). */
static void prepare(const struct scene *scene) {
        assert_int_equal(bf_invalidate(scene->fileh, 0, UINT64_MAX), 0);
        assert_int_equal(*rig_word(scene->map, 11, 0), 11);
        *rig_word(scene->map, 12, 0) = 12;
        assert_states(scene->fileh, 10, "ELD");
}

/* Each takes a file descriptor that fits it, and moves three pages from or to the memory. Bytes moved or -1. */
static ssize_t do_write(int fd, void *memory) {
        return write(fd, memory, 3 * RIG_PAGE);
}

static ssize_t do_pwrite(int fd, void *memory) {
        return pwrite(fd, memory, 3 * RIG_PAGE, 0);
}

static ssize_t do_writev(int fd, void *memory) {
        struct iovec parts[] = { { memory, 100 }, { (char *) memory + 100, RIG_PAGE }, { (char *) memory + RIG_PAGE + 100, 2 * RIG_PAGE - 100 } };

        return writev(fd, parts, 3);
}

static ssize_t do_send(int fd, void *memory) {
        return send(fd, memory, 3 * RIG_PAGE, 0);
}

static ssize_t do_read(int fd, void *memory) {
        return read(fd, memory, 3 * RIG_PAGE);
}

static ssize_t do_pread(int fd, void *memory) {
        return pread(fd, memory, 3 * RIG_PAGE, 0);
}

static ssize_t do_readv(int fd, void *memory) {
        struct iovec parts[] = { { memory, RIG_PAGE + 8 }, { (char *) memory + RIG_PAGE + 8, 2 * RIG_PAGE - 8 } };

        return readv(fd, parts, 2);
}

static ssize_t do_recv(int fd, void *memory) {
        return recv(fd, memory, 3 * RIG_PAGE, MSG_WAITALL);
}

enum medium {
        MEDIUM_PIPE,
        MEDIUM_SOCKET,
        MEDIUM_FILE,
};

struct mover {
        const char *name;
        ssize_t (*move)(int fd, void *memory);
        enum medium medium;
};

/* The two ends of it; for a file both are the file. */
static void open_medium(struct rig *rig, enum medium medium, int *ret_fds) {
        int r = 0;

        if (medium == MEDIUM_PIPE)
                r = pipe2(ret_fds, O_CLOEXEC);
        else if (medium == MEDIUM_SOCKET)
                r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds);
        else
                ret_fds[0] = ret_fds[1] = open(rig_path(rig, "medium"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(r, 0);
        assert_true(ret_fds[0] >= 0);
}

static void close_medium(enum medium medium, const int *fds) {
        close(fds[0]);
        if (medium != MEDIUM_FILE)
                close(fds[1]);
}

static void move_plain(enum medium medium, int fd, bool out, void *bytes) {
        size_t n = 3 * RIG_PAGE;

        for (size_t done = 0; done < n;) {
                char *rest = (char *) bytes + done;
                ssize_t k;

                if (medium == MEDIUM_FILE)
                        k = out ? pwrite(fd, rest, n - done, (off_t) done) : pread(fd, rest, n - done, (off_t) done);
                else
                        k = out ? write(fd, rest, n - done) : read(fd, rest, n - done);
                assert_true(k > 0);
                done += (size_t) k;
        }
}

/* rule 27: the memory is the source */
static void test_memory_as_source(void **state) {
        static const struct mover movers[] = {
                { "write to a pipe", do_write, MEDIUM_PIPE },     { "write to a file", do_write, MEDIUM_FILE },
                { "pwrite", do_pwrite, MEDIUM_FILE },             { "writev to a pipe", do_writev, MEDIUM_PIPE },
                { "writev to a socket", do_writev, MEDIUM_SOCKET }, { "send", do_send, MEDIUM_SOCKET },
        };
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t words[3 * 512];
        int fds[2];

        for (size_t i = 0; i < sizeof(movers) / sizeof(movers[0]); i++) {
                open_medium(rig, movers[i].medium, fds);
                prepare(&scene);
                assert_int_equal(movers[i].move(fds[1], at(&scene, 10)), 3 * RIG_PAGE);
                assert_states(scene.fileh, 10, "LLD");
                move_plain(movers[i].medium, fds[0], false, words);
                for (size_t k = 0; k < 3 * 512; k++)
                        if (words[k] != 10 + k / 512)
                                fail_msg("%s: word %zu is %llu", movers[i].name, k, (unsigned long long) words[k]);
                close_medium(movers[i].medium, fds);
        }
}

/* rule 27: the memory is the destination; what the kernel wrote is dirty, and is stored */
static void test_memory_as_destination(void **state) {
        static const struct mover movers[] = {
                { "read from a pipe", do_read, MEDIUM_PIPE }, { "read from a file", do_read, MEDIUM_FILE },     { "pread", do_pread, MEDIUM_FILE },
                { "readv from a file", do_readv, MEDIUM_FILE }, { "readv from a pipe", do_readv, MEDIUM_PIPE }, { "recv", do_recv, MEDIUM_SOCKET },
        };
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t words[3 * 512], stored[3 * 512];
        int fds[2];

        for (size_t i = 0; i < sizeof(movers) / sizeof(movers[0]); i++) {
                open_medium(rig, movers[i].medium, fds);
                for (size_t k = 0; k < 3 * 512; k++)
                        words[k] = i * 100000 + k;
                move_plain(movers[i].medium, fds[1], true, words);
                prepare(&scene);
                assert_int_equal(movers[i].move(fds[0], at(&scene, 10)), 3 * RIG_PAGE);
                assert_states(scene.fileh, 9, "EDDDE");
                assert_memory_equal(at(&scene, 10), words, sizeof(words));
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
                assert_int_equal(tempfile_read(scene.path, 10 * RIG_PAGE, stored, sizeof(stored)), 0);
                assert_memory_equal(stored, words, sizeof(words));
                close_medium(movers[i].medium, fds);
                for (size_t k = 0; k < 3 * 512; k++)
                        words[k] = 10 + k / 512;
                assert_int_equal(tempfile_write(scene.path, 10 * RIG_PAGE, words, sizeof(words)), 0);
        }
}

/* small structs that the kernel reads or fills, each in a page of its own that is not loaded */
static void test_structs(void **state) {
        struct scene scene = start(rig_here(state));
        struct stat *st = at(&scene, 20), plain;
        struct timespec *now = at(&scene, 21);
        struct pollfd *pollfd = at(&scene, 22);
        char *cwd = at(&scene, 23), *path = at(&scene, 24);
        int fds[2];

        assert_int_equal(stat(scene.path, st), 0);
        assert_int_equal(stat(scene.path, &plain), 0);
        assert_int_equal(st->st_ino, plain.st_ino);
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC_RAW, now), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        *pollfd = (struct pollfd) { .fd = fds[0], .events = POLLIN };
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_pool_reclaim(scene.client, 0, NULL), 0);
        assert_states(scene.fileh, 22, "E");
        assert_int_equal(poll(pollfd, 1, 0), 1);
        assert_int_equal(pollfd->revents, POLLIN);
        assert_states(scene.fileh, 22, "D");
        assert_non_null(getcwd(cwd, RIG_PAGE));
        strcpy(path, scene.path);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_pool_reclaim(scene.client, 0, NULL), 0);
        assert_int_equal(access(path, R_OK), 0); /* a string */
        assert_states(scene.fileh, 20, "EEEELE");
        close(fds[0]);
        close(fds[1]);
}

/* from one mapping to another, both missing: the kernel faults on both sides */
static void test_between_big_files(void **state) {
        struct scene scene = start(rig_here(state));
        const char *path = rig_identity(scene.rig, "other", N_PAGES);
        struct bf_fileh *other = rig_open(scene.client, path, O_RDWR, 0);
        uint64_t *map = rig_map(other, 0, N_PAGES);
        struct iovec from = { at(&scene, 30), 8 * RIG_PAGE }, to = { map, 8 * RIG_PAGE };

        assert_int_equal(process_vm_readv(getpid(), &to, 1, &from, 1, 0), 8 * RIG_PAGE);
        for (uint64_t page = 0; page < 8; page++) {
                assert_int_equal(*rig_word(map, page, 0), 30 + page);
                assert_int_equal(*rig_word(map, page, 511), 30 + page);
        }
        assert_states(other, 0, "DDDDDDDDE");
        assert_states(scene.fileh, 29, "ELLLLLLLLE");
}

/* the file under a mapping is read and written through a descriptor into that very mapping */
static void test_the_file_itself(void **state) {
        struct scene scene = start(rig_here(state));
        int fd = open(scene.path, O_RDWR | O_CLOEXEC);

        assert_int_equal(pread(fd, at(&scene, 50), RIG_PAGE, 60 * RIG_PAGE), RIG_PAGE);
        assert_int_equal(*rig_word(scene.map, 50, 511), 60);
        assert_int_equal(pwrite(fd, at(&scene, 70), RIG_PAGE, 71 * RIG_PAGE), RIG_PAGE);
        assert_int_equal(*rig_word(scene.map, 71, 0), 70); /* not loaded before */
        close(fd);
}

/* O_DIRECT pins pages: it works, or is refused with an errno; what arrives is right in any case */
static void test_o_direct(void **state) {
        struct scene scene = start(rig_here(state));
        const char *path = rig_path(scene.rig, "direct");
        uint64_t words[512];
        ssize_t n;
        int fd;

        fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
        if (fd < 0) {
                print_message("skipped: the file system of the temporary directory has no O_DIRECT\n");
                skip();
        }
        n = pwrite(fd, at(&scene, 10), RIG_PAGE, 0);
        if (n < 0) {
                assert_int_equal(errno, EFAULT);
        } else {
                assert_int_equal(n, RIG_PAGE);
                assert_int_equal(tempfile_read(path, 0, words, sizeof(words)), 0);
                assert_int_equal(words[511], 10);
        }
        assert_int_equal(tempfile_make_identity(path, 8, RIG_PAGE), 0);
        for (uint64_t page = 11; page < 13; page++) { /* into a page that is not there, and into one that is clean */
                if (page == 12)
                        assert_int_equal(*rig_word(scene.map, page, 0), page);
                n = pread(fd, at(&scene, page), RIG_PAGE, 5 * RIG_PAGE);
                assert_true(n == RIG_PAGE || (n < 0 && errno == EFAULT));
                assert_int_equal(*rig_word(scene.map, page, 511), n < 0 ? page : 5);
                if (n > 0)
                        assert_states(scene.fileh, page, "D"); /* or else it would not be stored */
        }
        close(fd);
}

/* a load that fails inside a system call is EFAULT (or what was moved before), not a signal, and the process goes on */
static void test_failing_load(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map;
        ssize_t n;
        int fds[2];

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        heldfs_fail(heldfs, HELDFS_READ, 11, 0, 1, EIO);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        errno = 0;
        assert_int_equal(write(fds[1], (const void *) (uintptr_t) rig_word(map, 11, 0), 8), -1);
        assert_int_equal(errno, EFAULT);
        n = write(fds[1], (const void *) (uintptr_t) rig_word(map, 10, 0), 3 * RIG_PAGE);
        assert_true(n == RIG_PAGE || (n < 0 && errno == EFAULT));
        assert_int_equal(bf_invalidate(fileh, 11 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(write(fds[1], (const void *) (uintptr_t) rig_word(map, 11, 0), 8), 8);
        close(fds[0]);
        close(fds[1]);
}

/* a held load: the thread sleeps inside the call, and a signal with a handler does not spoil it */
static void write_page(struct worker *worker) {
        worker->result = (int) write((int) worker->a, worker->at, RIG_PAGE);
}

static void on_usr1(int signo) {
        (void) signo;
}

static void test_signal_during_a_fault_in_a_call(void **state) {
        struct sigaction action = { .sa_handler = on_usr1 };
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct worker *writer, *reader;
        uint64_t *map, word = 0;
        int fds[2];

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        map = rig_map(rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0), 0, N_PAGES);
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, 2);
        writer = rig_worker(rig, write_page, (void *) (uintptr_t) rig_word(map, 20, 0), NULL, (uint64_t) fds[1], 0);
        reader = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, 21, 0), NULL, 0, 0);
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, 2);
        for (int i = 0; i < 20; i++) {
                assert_int_equal(pthread_kill(writer->thread, SIGUSR1), 0);
                assert_int_equal(pthread_kill(reader->thread, SIGUSR1), 0);
        }
        worker_wait_fault(reader);
        heldfs_release(heldfs, HELDFS_READ, HELDFS_ANY);
        worker_join(writer);
        worker_join(reader);
        assert_int_equal(writer->result, RIG_PAGE);
        assert_int_equal(reader->value, 21);
        assert_int_equal(read(fds[0], &word, sizeof(word)), sizeof(word));
        assert_int_equal(word, 20);
        assert_int_equal(heldfs_count(heldfs, HELDFS_READ), 2);
        close(fds[0]);
        close(fds[1]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_memory_as_source),
                RIG_TEST(test_memory_as_destination),
                RIG_TEST(test_structs),
                RIG_TEST(test_between_big_files),
                RIG_TEST(test_the_file_itself),
                RIG_TEST(test_o_direct),
                RIG_TEST(test_failing_load),
                RIG_TEST(test_signal_during_a_fault_in_a_call),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("system calls", tests, NULL, NULL);
}
