/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Direct I/O: what goes through a big file leaves nothing in the page cache, and means the same as without it. Skipped where the folder of the tests has none. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 300
#define TAIL 1000 /* bytes of one more page */
#define ALL_BYTES (N_PAGES * RIG_PAGE + TAIL)

/* An identity file whose end is inside a page, on the disk and not in the page cache. */
static const char *cold_file(struct rig *rig, const char *name) {
        const char *path = rig_identity(rig, name, N_PAGES + 1);
        struct statx st;
        int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st), 0);
        if (!(st.stx_mask & STATX_DIOALIGN) || st.stx_dio_offset_align == 0 || st.stx_dio_offset_align > RIG_PAGE) {
                print_message("skipped: no direct I/O in %s\n", rig->dir);
                close(fd);
                skip();
        }
        assert_int_equal(ftruncate(fd, ALL_BYTES), 0);
        assert_int_equal(fsync(fd), 0);
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        close(fd);
        return path;
}

/* How many pages of the file the page cache has. */
static size_t n_cached(const char *path) {
        unsigned char there[N_PAGES + 1];
        size_t n = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        void *map = mmap(NULL, ALL_BYTES, PROT_READ, MAP_SHARED, fd, 0);

        assert_ptr_not_equal(map, MAP_FAILED);
        close(fd);
        assert_int_equal(mincore(map, ALL_BYTES, there), 0);
        munmap(map, ALL_BYTES);
        for (size_t i = 0; i < sizeof(there); i++)
                n += there[i] & 1;
        return n;
}

static void read_all(uint64_t *map) {
        for (uint64_t page = 0; page <= N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
}

/* Neighbours, single pages, and the one that the file ends in. */
static void change_some(uint64_t *map) {
        for (uint64_t page = 10; page < 50; page++)
                *rig_word(map, page, 511) = 5110 + page;
        *rig_word(map, 100, 0) = 1000;
        *rig_word(map, N_PAGES, 1) = 3000;
}

static void check_changes(const char *path) {
        uint64_t word;
        struct stat st;

        for (uint64_t page = 10; page < 50; page++) {
                assert_int_equal(rig_file_word(path, page), page);
                assert_int_equal(tempfile_read(path, page * RIG_PAGE + 4088, &word, sizeof(word)), 0);
                assert_int_equal(word, 5110 + page);
        }
        assert_int_equal(rig_file_word(path, 100), 1000);
        assert_int_equal(rig_file_word(path, 101), 101);
        assert_int_equal(tempfile_read(path, N_PAGES * RIG_PAGE + 8, &word, sizeof(word)), 0);
        assert_int_equal(word, 3000);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, ALL_BYTES);
}

/* Reads and stores all there is. *ret_n_cached is what the page cache has of the file then. */
static void go_through(struct rig *rig, const char *path, uint32_t flags, size_t *ret_n_cached) {
        struct bf_fileh *fileh = rig_open(rig_client(rig), path, O_RDWR, flags);
        uint64_t *map = rig_map(fileh, 0, N_PAGES + 1);

        read_all(map);
        change_some(map);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        *ret_n_cached = n_cached(path);
        check_changes(path);
        *rig_word(map, 100, 0) = 2000;
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(*rig_word(map, 100, 0), 1000);
}

static void test_handle_of_its_own(void **state) {
        struct rig *rig = rig_here(state);
        const char *direct = cold_file(rig, "direct"), *cached = cold_file(rig, "cached");
        size_t n;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        go_through(rig, direct, BF_DIRECT, &n);
        assert_in_range(n, 0, 1); /* the end of the file is no whole block */
        go_through(rig, cached, 0, &n);
        assert_int_equal(n, N_PAGES + 1);
}

static void test_whole_daemon(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = cold_file(rig, "backing");
        size_t n;

        rig_daemon(rig, RIG_SMALL_POOL, "--direct-io", "yes", NULL);
        go_through(rig, path, 0, &n);
        assert_in_range(n, 0, 1);
}

/* A file system without it: all goes on through the page cache. */
static void test_refused(void **state) {
        struct rig *rig = rig_here(state);
        char path[64];
        size_t n;
        int memory = memfd_create("test_direct", MFD_CLOEXEC);

        assert_true(memory >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
        assert_int_equal(tempfile_make_identity(path, N_PAGES + 1, RIG_PAGE), 0);
        assert_int_equal(ftruncate(memory, ALL_BYTES), 0);
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        go_through(rig, path, BF_DIRECT, &n);
        close(memory);
}

static struct bf_fileh *open_direct(struct rig *rig, const char *path) {
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        return rig_open(rig_client(rig), path, O_RDWR, BF_DIRECT);
}

/* The block that the file ended in is a whole one afterwards. */
static void test_grown(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = cold_file(rig, "backing");
        struct bf_fileh *fileh = open_direct(rig, path);
        uint64_t *map = rig_map(fileh, 0, N_PAGES + 1);

        *rig_word(map, N_PAGES, 0) = 1;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_resize(fileh, (N_PAGES + 2) * RIG_PAGE), 0);
        map = rig_map(fileh, 0, N_PAGES + 2);
        assert_int_equal(*rig_word(map, N_PAGES + 1, 511), 0);
        *rig_word(map, N_PAGES, 511) = 2;
        *rig_word(map, N_PAGES + 1, 511) = 3;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(path, N_PAGES), 1);
        assert_int_equal(bf_invalidate(fileh, 0, UINT64_MAX), 0);
        assert_int_equal(*rig_word(map, N_PAGES, 0), 1);
        assert_int_equal(*rig_word(map, N_PAGES, 511), 2);
        assert_int_equal(*rig_word(map, N_PAGES + 1, 511), 3);
}

/* A daemon that takes it up goes on so. */
static void test_restart(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = cold_file(rig, "backing");
        struct bf_fileh *fileh = open_direct(rig, path);
        uint64_t *map = rig_map(fileh, 0, N_PAGES + 1);

        change_some(map);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        for (uint64_t page = 110; page < N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_in_range(n_cached(path), 0, 1);
        check_changes(path);
}

/* Who came first reads only. */
static void test_shared(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = cold_file(rig, "backing");
        struct bf_fileh *reader, *writer;
        uint64_t *map;
        void *seen;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        reader = rig_open(rig_client(rig), path, O_RDONLY, BF_SHARED | BF_DIRECT);
        assert_int_equal(bf_mmap(reader, 0, N_PAGES * RIG_PAGE, PROT_READ, &seen), 0);
        assert_int_equal(*rig_word(seen, 10, 0), 10);
        writer = rig_open(rig_client(rig), path, O_RDWR, BF_SHARED | BF_DIRECT);
        map = rig_map(writer, 0, N_PAGES + 1);
        change_some(map);
        assert_int_equal(*rig_word(seen, 100, 0), 1000);
        assert_int_equal(bf_writeout(writer, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_in_range(n_cached(path), 0, 1);
        check_changes(path);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_handle_of_its_own),
                RIG_TEST(test_whole_daemon),
                RIG_TEST(test_refused),
                RIG_TEST(test_grown),
                RIG_TEST(test_restart),
                RIG_TEST(test_shared),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("direct I/O", tests, NULL, NULL);
}
