/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BF_HUGE: pages of 2 MiB from the host's reserve. The test reserves some and gives them back, however it ends; where it cannot, it skips. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "opsfile.h"
#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define RESERVE_PATH "/proc/sys/vm/nr_hugepages"
#define HUGE (UINT64_C(2) << 20)
#define HUGE_WORDS (HUGE / sizeof(uint64_t))
#define N_RESERVED 16

static long read_reserve(void) {
        FILE *file = fopen(RESERVE_PATH, "re");
        long n = -1;

        if (file && fscanf(file, "%ld", &n) != 1)
                n = -1;
        if (file)
                fclose(file);
        return n;
}

static bool write_reserve(long n) {
        FILE *file = fopen(RESERVE_PATH, "we");
        bool well = file && fprintf(file, "%ld", n) > 0;

        return (!file || fclose(file) == 0) && well;
}

/* Sets the reserve, once; what it was is restored at the end of the test program. */
static void reserve(long n) {
        static bool noted;
        long before = read_reserve();
        char text[32];

        if (before >= 0 && !noted) {
                snprintf(text, sizeof(text), "%ld", before);
                watchdog_at_end_write(RESERVE_PATH, text);
                noted = true;
        }
        if (before < 0 || !write_reserve(n) || read_reserve() != n) {
                print_message("skipped: cannot reserve huge pages (" RESERVE_PATH ")\n");
                skip();
        }
}

static struct bf_fileh *open_huge(struct bf_client *client, const char *path, int oflag, uint32_t flags) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE | flags };
        struct bf_fileh *fileh = NULL;

        assert_int_equal(bf_open(client, path, oflag, &opts, &fileh), 0);
        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        return fileh;
}

static uint64_t *map_huge(struct bf_fileh *fileh, uint64_t first, uint64_t n, int prot) {
        void *map = NULL;

        assert_int_equal(bf_mmap(fileh, first * HUGE, n * HUGE, prot, &map), 0);
        return map;
}

static int state_of(struct bf_fileh *fileh, uint64_t page) {
        return bf_page_state(fileh, page * HUGE);
}

static const char *make_file(struct rig *rig, uint64_t n) {
        const char *path = rig_path(rig, "huge");

        assert_int_equal(tempfile_make_identity(path, n, HUGE), 0);
        return path;
}

/* the rules of small pages, on huge ones: load, first write, discard, store, invalidate, another mapping */
static void test_a_transaction(void **state) {
        struct rig *rig = rig_here(state);
        volatile uint64_t *map, *other;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t word;

        reserve(N_RESERVED);
        path = make_file(rig, 8);
        rig_daemon(rig, "--pool", "24M", NULL);
        fileh = open_huge(rig_client(rig), path, O_RDWR, 0);
        assert_int_equal(rig_stat(fileh).block_size, HUGE);
        map = map_huge(fileh, 0, 8, PROT_READ | PROT_WRITE);
        other = map_huge(fileh, 2, 3, PROT_READ);
        for (uint64_t i = 0; i < HUGE_WORDS; i += 97)
                assert_int_equal(map[3 * HUGE_WORDS + i], 3);
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).faults, 1);
        assert_int_equal(state_of(fileh, 3), BF_PAGE_LOADED);
        assert_int_equal(state_of(fileh, 2), BF_PAGE_EMPTY);
        map[3 * HUGE_WORDS + 5] = 55;
        map[4 * HUGE_WORDS - 1] = 56;
        assert_int_equal(state_of(fileh, 3), BF_PAGE_DIRTY);
        assert_int_equal(other[HUGE_WORDS + 5], 55);
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(other[HUGE_WORDS + 5], 3);
        map[3 * HUGE_WORDS + 5] = 57;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(state_of(fileh, 3), BF_PAGE_LOADED);
        assert_int_equal(tempfile_read(path, 3 * HUGE + 40, &word, sizeof(word)), 0);
        assert_int_equal(word, 57);
        map[3 * HUGE_WORDS + 6] = 58; /* protected again: seen as dirty */
        assert_int_equal(state_of(fileh, 3), BF_PAGE_DIRTY);
        assert_int_equal(bf_invalidate(fileh, 3 * HUGE, 1), 0);
        assert_int_equal(map[3 * HUGE_WORDS + 6], 3);
        assert_int_equal(other[HUGE_WORDS + 5], 57);
}

/* a file larger than the pool, larger than the reserve too */
static void test_reclaim(void **state) {
        struct rig *rig = rig_here(state);
        volatile uint64_t *map;
        struct bf_fileh *fileh;

        reserve(N_RESERVED);
        rig_daemon(rig, "--pool", "16M", NULL);
        fileh = open_huge(rig_client(rig), make_file(rig, 40), O_RDWR, 0);
        map = map_huge(fileh, 0, 40, PROT_READ | PROT_WRITE);
        map[7] = 77;
        for (uint64_t i = 0; i < 120; i++) {
                uint64_t page = i * 7 % 40;

                assert_int_equal(map[page * HUGE_WORDS + 1000 + i], page);
                assert_true(rig_stat(fileh).resident_bytes <= 16 << 20);
        }
        assert_true(rig_stat(fileh).evictions > 20);
        assert_int_equal(map[7], 77);
        assert_int_equal(rig_stat(fileh).dirty_bytes, HUGE);
}

/* a read-only handle, and a shared one */
static void test_read_only_and_shared(void **state) {
        struct rig *rig = rig_here(state);
        volatile uint64_t *map, *reader_map;
        struct bf_fileh *fileh, *reader;
        const char *path;

        reserve(N_RESERVED);
        path = make_file(rig, 6);
        rig_daemon(rig, "--pool", "16M", NULL);
        fileh = open_huge(rig_client(rig), path, O_RDWR, BF_SHARED);
        reader = open_huge(rig_client(rig), path, O_RDONLY, BF_SHARED);
        map = map_huge(fileh, 0, 6, PROT_READ | PROT_WRITE);
        reader_map = map_huge(reader, 0, 6, PROT_READ);
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 1);
        assert_int_equal(reader_map[2 * HUGE_WORDS + 9], 2);
        map[2 * HUGE_WORDS + 9] = 29;
        assert_int_equal(reader_map[2 * HUGE_WORDS + 9], 29);
        map[4 * HUGE_WORDS] = 44;
        assert_int_equal(reader_map[4 * HUGE_WORDS], 44);
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(reader_map[2 * HUGE_WORDS + 9], 2);
        assert_int_equal(rig_stat(fileh).loads, 3);
}

/* the host has none: -ENOMEM at open, in words, and nothing has changed */
static void test_none_reserved(void **state) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = NULL;
        const char *path;
        int r;

        reserve(0);
        path = make_file(rig, 2);
        rig_daemon(rig, "--pool", "16M", NULL);
        r = bf_open(rig_client(rig), path, O_RDWR, &opts, &fileh);
        assert_int_equal(r, -ENOMEM);
        assert_null(fileh);
        assert_non_null(bf_errmsg());
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 0);
        fileh = rig_open(rig->clients[0], path, O_RDWR, 0); /* small pages are there */
        assert_int_equal(*rig_word(rig_map(fileh, 0, 4), 3, 0), 0);
}

/* The host has some, but fewer than the pool could hold: it says how many. */
static void test_some_missing(void **state) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh;
        char line[512] = "";
        unsigned n = 0;
        FILE *log;

        reserve(3);
        rig_daemon(rig, "--pool", "16M", NULL);
        assert_int_equal(bf_open(rig_client(rig), make_file(rig, 20), O_RDWR, &opts, &fileh), 0);
        log = fopen(rig->daemon.log, "re");
        assert_non_null(log);
        while (n == 0 && fgets(line, sizeof(line), log))
                (void) sscanf(line, "bigfiled: %*s %u huge pages are missing", &n);
        fclose(log);
        assert_int_equal(n, 5);
}

/* block sizes that do not go with huge pages */
static void test_block_size(void **state) {
        static const uint64_t sizes[] = { 4096, 65536, 1 << 20 };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = NULL;
        const char *path;

        reserve(N_RESERVED);
        path = make_file(rig, 2);
        rig_daemon(rig, "--pool", "16M", NULL);
        rig_client(rig);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE, .block_size = sizes[i] };

                assert_int_equal(bf_open(rig->clients[0], path, O_RDWR, &opts, &fileh), -EINVAL);
                assert_null(fileh);
        }
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 0);
}

/* rule 30: another daemon takes up huge pages; a first write is there or is not, a clean page is as in the file */
static void test_another_daemon(void **state) {
        struct rig *rig = rig_here(state);
        volatile uint64_t *map;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t word;

        reserve(N_RESERVED);
        path = make_file(rig, 6);
        rig_daemon(rig, "--pool", "24M", NULL);
        fileh = open_huge(rig_client(rig), path, O_RDWR, 0);
        map = map_huge(fileh, 0, 6, PROT_READ | PROT_WRITE);
        assert_int_equal(map[1 * HUGE_WORDS], 1);
        map[2 * HUGE_WORDS + 5] = 55;
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--pool", "24M", NULL);
        assert_int_equal(map[1 * HUGE_WORDS + 7], 1);
        assert_int_equal(map[2 * HUGE_WORDS + 5], 55);
        assert_int_equal(map[2 * HUGE_WORDS + 6], 2);
        assert_int_equal(map[3 * HUGE_WORDS], 3);
        assert_int_equal(rig_stat(fileh).dirty_bytes, HUGE);
        assert_int_equal(state_of(fileh, 5), BF_PAGE_EMPTY);
        map[1 * HUGE_WORDS] = 11;
        assert_int_equal(state_of(fileh, 1), BF_PAGE_DIRTY);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(tempfile_read(path, 2 * HUGE + 40, &word, sizeof(word)), 0);
        assert_int_equal(word, 55);
        assert_int_equal(tempfile_read(path, 1 * HUGE, &word, sizeof(word)), 0);
        assert_int_equal(word, 11);
}

static void check_served(volatile const uint64_t *map, uint64_t n) {
        for (uint64_t page = 0; page < n * (HUGE / 4096); page++) {
                assert_int_equal(map[page * 512], page);
                assert_int_equal(map[page * 512 + 511], page);
        }
}

/* A page of many blocks comes piece by piece, side by side with others: each piece to its place. One block that fails is all of the page. */
static void test_served_in_small_blocks(void **state) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE, .block_size = 4096 };
        struct rig *rig = rig_here(state);
        struct opsfile *file = opsfile_new(4 * HUGE, 4096);
        volatile uint64_t *map;
        struct bf_fileh *fileh;

        reserve(N_RESERVED);
        rig_daemon(rig, "--pool", "24M", NULL);
        assert_int_equal(bf_open_ops(rig_client(rig), &opsfile_ops, file, 4 * HUGE, &opts, &fileh), 0);
        map = map_huge(fileh, 0, 4, PROT_READ | PROT_WRITE);
        opsfile_fail(file, OPSFILE_LOAD, 512 + 300, 1, -ENODATA); /* in the second half */
        assert_int_equal(bf_load(fileh, 0, 4 * HUGE), -ENODATA);
        assert_int_equal(state_of(fileh, 0), BF_PAGE_LOADED);
        assert_int_equal(state_of(fileh, 1), BF_PAGE_EMPTY);
        assert_int_equal(state_of(fileh, 2), BF_PAGE_LOADED);
        assert_int_equal(bf_load(fileh, 0, 4 * HUGE), 0);
        check_served(map, 4);
        assert_int_equal(bf_munmap((void *) (uintptr_t) map), 0);
        assert_int_equal(bf_close(fileh), 0);
        opsfile_free(file);
}

/* What this process serves, in blocks smaller than a page, as large, and larger. */
static void test_served(void **state) {
        static const uint64_t block_sizes[] = { 4096, HUGE, 2 * HUGE };
        struct rig *rig = rig_here(state);
        struct bf_client *client;

        reserve(N_RESERVED);
        rig_daemon(rig, "--pool", "24M", NULL);
        client = rig_client(rig);
        for (unsigned i = 0; i < 3; i++) {
                struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_HUGE, .block_size = block_sizes[i] };
                struct opsfile *file = opsfile_new(4 * HUGE, block_sizes[i]);
                volatile uint64_t *map;
                struct bf_fileh *fileh;

                assert_int_equal(bf_open_ops(client, &opsfile_ops, file, 4 * HUGE, &opts, &fileh), 0);
                map = map_huge(fileh, 0, 4, PROT_READ | PROT_WRITE);
                assert_int_equal(map[HUGE_WORDS + 1024], 514);
                assert_int_equal(state_of(fileh, 1), BF_PAGE_LOADED);
                assert_int_equal(file->n_log, block_sizes[i] == 4096 ? 512 : 1);
                check_served(map, 4);
                map[2 * HUGE_WORDS + 512] = 77;
                assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
                assert_int_equal(*opsfile_word(file, 2 * HUGE + 4096), 77);
                assert_int_equal(*opsfile_word(file, 2 * HUGE + 8192), 1026);
                assert_int_equal(bf_munmap((void *) (uintptr_t) map), 0);
                assert_int_equal(bf_close(fileh), 0);
                opsfile_free(file);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_transaction),
                RIG_TEST(test_reclaim),
                RIG_TEST(test_read_only_and_shared),
                RIG_TEST(test_none_reserved),
                RIG_TEST(test_some_missing),
                RIG_TEST(test_block_size),
                RIG_TEST(test_another_daemon),
                RIG_TEST(test_served_in_small_blocks),
                RIG_TEST(test_served),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("huge pages", tests, NULL, NULL);
}
