/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening, closing and growing: rules 1, 2, 18; cases E1, E6, E13, V2.23, FF1. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define UNTOUCHED ((struct bf_fileh *) (uintptr_t) 0x5a5a)

static struct bf_client *start(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", "--pagers", "1", NULL); /* a thread takes descriptors when it is first needed */
        return rig_client(rig);
}

/* The options of a program built against a later version, with a setting this library does not know. */
struct newer_opts {
        struct bf_open_opts opts;
        uint64_t setting;
};

struct bad_open {
        const char *path; /* relative: in the test's directory */
        int oflag;
        struct bf_open_opts opts; /* size 0: as it should be */
        int error;
};

static const struct bad_open bad_opens[] = {
        { "absent", O_RDWR, {}, -ENOENT },
        { ".", O_RDONLY, {}, -EISDIR },
        { "fifo", O_RDWR, {}, -ENODEV },
        { "fifo", O_RDONLY, {}, -ENODEV }, /* and does not wait for a writer */
        { "/dev/zero", O_RDWR, {}, -ENODEV },
        { "data", O_WRONLY, {}, -EINVAL },
        { "data", O_RDWR | O_APPEND, {}, -EINVAL },
        { "data", O_RDWR | O_TRUNC, {}, -EINVAL },
        { "data", O_RDWR | O_EXCL | O_CLOEXEC, {}, -EINVAL },
        { "data", O_RDWR | O_DIRECT, {}, -EINVAL },
        { "data", O_RDWR, { .flags = 1u << 3 }, -EINVAL },
        { "data", O_RDWR, { .flags = 1u << 31 | BF_SHARED }, -EINVAL },
        { "data", O_RDWR, { .block_size = 1 }, -EINVAL },
        { "data", O_RDWR, { .block_size = 2048 }, -EINVAL },
        { "data", O_RDWR, { .block_size = 12288 }, -EINVAL },
        { "data", O_RDWR, { .block_size = 4 << 20 }, -EINVAL },
        { "data", O_RDWR, { .block_size = UINT64_C(1) << 63 }, -EINVAL },
        { "data", O_RDWR, { .size = 4 }, -EINVAL },
        { "data", O_RDWR, { .size = sizeof(struct newer_opts) }, -EINVAL },
};

static void make_things(struct rig *rig) {
        rig_identity(rig, "data", 8);
        assert_int_equal(mkfifo(rig_path(rig, "fifo"), 0600), 0);
}

/* rule 1, E1: each fails with its error, and nothing has changed */
static void test_open_fails_and_changes_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        unsigned n_fds;

        make_things(rig);
        n_fds = rig_count_fds(rig, client);
        for (size_t i = 0; i < sizeof(bad_opens) / sizeof(bad_opens[0]); i++) {
                const struct bad_open *bad = &bad_opens[i];
                struct newer_opts newer = { .opts = bad->opts, .setting = 1 };
                struct bf_fileh *fileh = UNTOUCHED;
                char path[128];
                int r;

                if (newer.opts.size == 0)
                        newer.opts.size = sizeof(newer.opts);
                snprintf(path, sizeof(path), "%s/%s", rig->dir, bad->path);
                errno = 4321;
                r = bf_open(client, bad->path[0] == '/' ? bad->path : path, bad->oflag, &newer.opts, &fileh);
                if (r != bad->error)
                        fail_msg("row %zu: %s, flags %#x: %d and not %d (%s)", i, bad->path, bad->oflag, r, bad->error, bf_errmsg());
                assert_int_equal(errno, 4321);
                assert_ptr_equal(fileh, UNTOUCHED);
                assert_true(strlen(bf_errmsg()) > 0);
        }
        assert_int_equal(rig_pool_stat(client).filehs, 0);
        rig_wait_fds(rig, client, n_fds);
}

/* rule 1: a new handle has nothing in it */
static void test_open_loads_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        struct bf_fileh *fileh;

        assert_int_equal(bf_open(client, rig_identity(rig, "data", 8), O_RDONLY | O_CLOEXEC, NULL, &fileh), 0);
        assert_states(fileh, 0, "EEEEEEEE");
        assert_int_equal(bf_page_state(fileh, 8 * RIG_PAGE), -ENXIO);
        assert_int_equal(rig_stat(fileh).block_size, 4096);
        assert_int_equal(rig_stat(fileh).loads, 0);
        assert_int_equal(rig_pool_stat(client).filehs, 1);
        assert_int_equal(rig_pool_stat(client).mappings, 0);
        assert_int_equal(rig_pool_stat(client).resident_bytes, 0);
        assert_int_equal(bf_close(fileh), 0);
        assert_int_equal(rig_pool_stat(client).filehs, 0);
}

struct bad_fd {
        int oflag;
        int error;
};

/* the access mode of a descriptor decides; the descriptor stays the caller's */
static void test_open_fd(void **state) {
        static const struct bad_fd bad[] = { { O_WRONLY, -EBADF }, { O_RDWR | O_APPEND, -EINVAL }, { O_RDONLY | O_PATH, -EBADF } };
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 8);
        struct bf_fileh *fileh = UNTOUCHED;
        uint64_t word;
        void *map;
        int fd;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                fd = open(path, bad[i].oflag | O_CLOEXEC);
                assert_int_equal(bf_open_fd(client, fd, NULL, &fileh), bad[i].error);
                close(fd);
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bf_open_fd(client, fd, NULL, &fileh), -ENODEV);
        close(fd);
        assert_int_equal(bf_open_fd(client, -1, NULL, &fileh), -EBADF);
        assert_int_equal(bf_open_fd(client, fd, NULL, &fileh), -EBADF);
        assert_ptr_equal(fileh, UNTOUCHED);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(bf_open_fd(client, fd, NULL, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, RIG_PAGE, PROT_READ | PROT_WRITE, &map), -EACCES);
        assert_int_equal(pread(fd, &word, sizeof(word), 3 * RIG_PAGE), sizeof(word));
        close(fd);
        assert_int_equal(bf_mmap(fileh, 3 * RIG_PAGE, RIG_PAGE, PROT_READ, &map), 0);
        assert_int_equal(*(uint64_t *) map, 3);
}

/* rule 2, E6, V2.23: refused while a mapping exists; then it drops what is dirty and stores nothing */
static void test_close(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 8);
        struct bf_fileh *fileh = rig_open(client, path, O_RDWR, 0);
        uint64_t *one = rig_map(fileh, 0, 4), *two = rig_map(fileh, 2, 4);

        *rig_word(one, 0, 0) = 1111;
        *rig_word(two, 1, 0) = 2222;
        assert_int_equal(*rig_word(two, 3, 0), 5);
        assert_int_equal(bf_close(fileh), -EBUSY);
        assert_int_equal(bf_munmap(one), 0);
        assert_int_equal(bf_close(fileh), -EBUSY);
        assert_states(fileh, 0, "DEEDELEE"); /* a close that was refused changed nothing */
        *rig_word(two, 1, 1) = 2223;
        assert_int_equal(bf_munmap(two), 0);
        assert_int_equal(bf_close(fileh), 0);
        assert_int_equal(rig_pool_stat(client).resident_bytes, 0);
        assert_int_equal(rig_pool_stat(client).dirty_bytes, 0);
        assert_int_equal(rig_pool_stat(client).stores, 0);
        for (uint64_t i = 0; i < 8; i++)
                assert_int_equal(rig_file_word(path, i), i);
}

/* rule 18, E13: two handles of one file, in one client and in two: each has its own pages until it asks anew */
static void test_handles_are_isolated(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 8);
        struct bf_fileh *one = rig_open(client, path, O_RDWR, 0), *same = rig_open(client, path, O_RDWR, 0);
        struct bf_fileh *other = rig_open(rig_client(rig), path, O_RDONLY, 0);
        uint64_t *map = rig_map(one, 0, 8), *map_same = rig_map(same, 0, 8), *map_other;

        assert_int_equal(bf_mmap(other, 0, 8 * RIG_PAGE, PROT_READ, (void **) &map_other), 0);
        assert_int_equal(*rig_word(map_same, 1, 0), 1);
        assert_int_equal(*rig_word(map_other, 1, 0), 1);
        *rig_word(map, 1, 0) = 71;
        *rig_word(map, 2, 0) = 72;
        assert_int_equal(*rig_word(map_same, 1, 0), 1);
        assert_states(same, 0, "ELEEEEEE");
        assert_int_equal(bf_writeout(one, RIG_STORE_MARK), 0);
        assert_int_equal(*rig_word(map_same, 1, 0), 1);
        assert_int_equal(*rig_word(map_other, 1, 0), 1);
        assert_int_equal(*rig_word(map_other, 2, 0), 72); /* it had not loaded that one */
        assert_int_equal(bf_invalidate(same, 0, 8 * RIG_PAGE), 0);
        assert_int_equal(bf_invalidate(other, RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(map_same, 1, 0), 71);
        assert_int_equal(*rig_word(map_other, 1, 0), 71);
}

/* a write through one handle, unstored, is lost to no one but itself */
static void test_handles_write_the_same_page(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 8);
        struct bf_fileh *one = rig_open(client, path, O_RDWR, 0), *two = rig_open(client, path, O_RDWR, 0);
        uint64_t *map_one = rig_map(one, 0, 8), *map_two = rig_map(two, 0, 8);

        *rig_word(map_one, 4, 0) = 100;
        *rig_word(map_two, 4, 1) = 200;
        assert_int_equal(*rig_word(map_one, 4, 1), 4);
        assert_int_equal(*rig_word(map_two, 4, 0), 4);
        assert_int_equal(bf_writeout(one, RIG_STORE_MARK), 0);
        assert_int_equal(bf_discard(two), 0);
        assert_int_equal(*rig_word(map_two, 4, 0), 100);
        assert_int_equal(*rig_word(map_two, 4, 1), 4);
}

static void test_resize(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 4);
        struct bf_fileh *fileh = rig_open(client, path, O_RDWR, 0), *reader = rig_open(client, path, O_RDONLY, 0);
        uint64_t *old = rig_map(fileh, 0, 4), *map;
        void *none = NULL;
        struct stat st;

        *rig_word(old, 3, 0) = 33;
        assert_int_equal(bf_mmap(fileh, 4 * RIG_PAGE, RIG_PAGE, PROT_READ, &none), -ENXIO);
        assert_int_equal(bf_resize(fileh, 3 * RIG_PAGE), -EINVAL);
        assert_int_equal(bf_resize(reader, 10 * RIG_PAGE), -EBADF);
        assert_int_equal(rig_stat(fileh).size, 4 * RIG_PAGE);
        assert_int_equal(bf_resize(fileh, 4 * RIG_PAGE), 0);
        assert_int_equal(bf_resize(fileh, 9 * RIG_PAGE), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 9 * RIG_PAGE);
        assert_int_equal(rig_stat(fileh).size, 9 * RIG_PAGE);
        assert_states(fileh, 0, "EEEDEEEEE");
        map = rig_map(fileh, 2, 7);
        assert_int_equal(*rig_word(map, 1, 0), 33);
        assert_int_equal(*rig_word(map, 6, 511), 0);
        *rig_word(map, 6, 511) = 8;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(path, 3), 33);
        assert_int_equal(rig_file_word(path, 8), 0);
        assert_int_equal(bf_mmap(fileh, 9 * RIG_PAGE, RIG_PAGE, PROT_READ, &none), -ENXIO);
        assert_null(none);
}

/* O_CREAT, then a size: a file made from nothing */
static void test_create_and_grow(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_path(rig, "new");
        struct bf_fileh *fileh = rig_open(client, path, O_RDWR | O_CREAT, 0);
        void *none = NULL;
        uint64_t *map;

        assert_int_equal(rig_stat(fileh).size, 0);
        assert_int_equal(bf_mmap(fileh, 0, RIG_PAGE, PROT_READ, &none), -ENXIO);
        assert_int_equal(bf_page_state(fileh, 0), -ENXIO);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_resize(fileh, 3 * RIG_PAGE), 0);
        map = rig_map(fileh, 0, 3);
        *rig_word(map, 2, 0) = 12345;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(path, 2), 12345);
        assert_int_equal(rig_file_word(path, 0), 0);
}

/* FF1: 32 blocks of 2 MiB: equal through the mapping; two changed and stored; opened anew */
static void test_file_of_large_blocks(void **state) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = 2 << 20 };
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "large");
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "32M", NULL); /* half the file */
        client = rig_client(rig);
        assert_int_equal(tempfile_make_identity(path, 32, 2 << 20), 0);
        for (int round = 0; round < 2; round++) {
                assert_int_equal(bf_open(client, path, O_RDWR, &opts, &fileh), 0);
                assert_int_equal(bf_mmap(fileh, 0, 64 << 20, PROT_READ | PROT_WRITE, (void **) &map), 0);
                for (size_t i = 0; i < (8 << 20); i += 511) {
                        uint64_t block = i >> 18, expected = round && (block == 5 || block == 30) && i % (1 << 18) < 1000 ? ~block : block;

                        if (map[i] != expected)
                                fail_msg("round %d, word %zu is %llu", round, i, (unsigned long long) map[i]);
                }
                if (round == 0) {
                        for (size_t i = 0; i < 1000; i++) {
                                map[(5u << 18) + i] = ~UINT64_C(5);
                                map[(30u << 18) + i] = ~UINT64_C(30);
                        }
                        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
                        assert_int_equal(rig_stat(fileh).stores, 2);
                }
                assert_int_equal(bf_munmap(map), 0);
                assert_int_equal(bf_close(fileh), 0);
        }
}

/* many handles at once, each its own; all of them gone again */
static void test_many_handles(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 4);
        unsigned n_fds;
        struct bf_fileh *filehs[150];
        uint64_t *maps[150];

        n_fds = rig_count_fds(rig, client);
        for (size_t i = 0; i < 150; i++) {
                filehs[i] = rig_open(client, path, O_RDWR, 0);
                maps[i] = rig_map(filehs[i], 0, 4);
                *rig_word(maps[i], 1, 0) = 1000 + i;
        }
        assert_int_equal(rig_pool_stat(client).filehs, 150);
        assert_int_equal(rig_pool_stat(client).dirty_bytes, 150 * RIG_PAGE);
        for (size_t i = 0; i < 150; i++) {
                assert_int_equal(*rig_word(maps[i], 1, 0), 1000 + i);
                assert_int_equal(bf_munmap(maps[i]), 0);
                assert_int_equal(bf_close(filehs[i]), 0);
        }
        assert_int_equal(rig_pool_stat(client).filehs, 0);
        assert_int_equal(rig_pool_stat(client).resident_bytes, 0);
        rig_wait_fds(rig, client, n_fds);
}

/* a client at its descriptor limit gets an error, and goes on when it has descriptors again */
static void test_out_of_descriptors(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_client *client = start(rig);
        const char *path = rig_identity(rig, "data", 4);
        struct bf_fileh *filehs[64], *fileh = UNTOUCHED;
        struct rlimit limit, low;
        size_t n = 0;
        int r;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = (struct rlimit) { .rlim_cur = 40, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        while (n < 64 && (r = bf_open(client, path, O_RDWR, NULL, &filehs[n])) == 0)
                n++;
        for (rlim_t i = 0; r < 0 && i < 8; i++) { /* wherever in opening it runs out */
                low.rlim_cur = 40 + i;
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
                r = bf_open(client, path, O_RDWR, NULL, &fileh);
                if (r == 0)
                        filehs[n++] = fileh;
                else
                        assert_int_equal(r, -EMFILE);
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(n > 0 && n < 64);
        assert_int_equal(rig_pool_stat(client).filehs, n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(bf_close(filehs[i]), 0);
        fileh = rig_open(client, path, O_RDWR, 0);
        assert_int_equal(*rig_word(rig_map(fileh, 0, 4), 2, 0), 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_open_fails_and_changes_nothing),
                RIG_TEST(test_open_loads_nothing),
                RIG_TEST(test_open_fd),
                RIG_TEST(test_close),
                RIG_TEST(test_handles_are_isolated),
                RIG_TEST(test_handles_write_the_same_page),
                RIG_TEST(test_resize),
                RIG_TEST(test_create_and_grow),
                RIG_TEST(test_file_of_large_blocks),
                RIG_TEST(test_many_handles),
                RIG_TEST(test_out_of_descriptors),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
