/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mapping and unmapping: rules 3, 4, 25, 26; cases V1, V2.9-V2.11, E2, E13, E19, R3. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define UNTOUCHED ((void *) (uintptr_t) 0x5a5a)

static struct bf_fileh *open_identity(struct rig *rig, uint64_t n_pages) {
        rig_daemon(rig, "--pool", "64M", NULL);
        return rig_open(rig_client(rig), rig_identity(rig, "data", n_pages), O_RDWR, 0);
}

struct bad_mmap {
        bool readonly;
        uint64_t offset;
        size_t length;
        int prot;
        int error;
};

static const struct bad_mmap bad_mmaps[] = {
        { false, 0, 0, PROT_READ, -EINVAL },
        { false, 1, RIG_PAGE, PROT_READ, -EINVAL },
        { false, RIG_PAGE / 2, RIG_PAGE, PROT_READ, -EINVAL },
        { false, 0, RIG_PAGE, PROT_NONE, -EINVAL },
        { false, 0, RIG_PAGE, PROT_WRITE, -EINVAL },
        { false, 0, RIG_PAGE, PROT_READ | PROT_EXEC, -EINVAL },
        { false, 0, RIG_PAGE, PROT_READ | PROT_WRITE | 0x100, -EINVAL },
        { false, 9 * RIG_PAGE, RIG_PAGE, PROT_READ, -ENXIO },
        { false, 8 * RIG_PAGE, RIG_PAGE + 1, PROT_READ, -ENXIO },
        { false, 0, 9 * RIG_PAGE + 1, PROT_READ, -ENXIO },
        { false, 0, SIZE_MAX, PROT_READ, -ENXIO },
        { false, RIG_PAGE, SIZE_MAX - RIG_PAGE + 1, PROT_READ, -ENXIO }, /* the sum is 0 */
        { false, UINT64_MAX - RIG_PAGE + 1, RIG_PAGE, PROT_READ, -ENXIO },
        { true, 0, RIG_PAGE, PROT_READ | PROT_WRITE, -EACCES },
};

/* rule 3, E2 */
static void test_mmap_fails_and_changes_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 9), *reader = rig_open(rig->clients[0], rig->paths[0], O_RDONLY, 0);

        for (size_t i = 0; i < sizeof(bad_mmaps) / sizeof(bad_mmaps[0]); i++) {
                const struct bad_mmap *bad = &bad_mmaps[i];
                void *map = UNTOUCHED;
                int r;

                errno = 4321;
                r = bf_mmap(bad->readonly ? reader : fileh, bad->offset, bad->length, bad->prot, &map);
                if (r != bad->error)
                        fail_msg("row %zu: %d and not %d (%s)", i, r, bad->error, bf_errmsg());
                assert_int_equal(errno, 4321);
                assert_ptr_equal(map, UNTOUCHED);
                assert_true(strlen(bf_errmsg()) > 0);
        }
        assert_int_equal(rig_pool_stat(rig->clients[0]).mappings, 0);
}

/* V1: neighbours in memory, made and unmapped in other orders; only the start of a mapping names it */
static void test_which_mapping_an_address_belongs_to(void **state) {
        static const size_t order[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 30);
        int local = 0;

        assert_int_equal(bf_munmap(&local), -EINVAL);
        assert_int_equal(bf_munmap(NULL), -EINVAL);
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
                uint64_t *maps[3];

                for (size_t k = 0; k < 3; k++)
                        maps[order[i][k]] = rig_map(fileh, 10 * order[i][k], 10);
                for (size_t k = 0; k < 3; k++) {
                        uint64_t *map = maps[order[2][k]];

                        assert_int_equal(bf_munmap(map + 1), -EINVAL);
                        assert_int_equal(bf_munmap((void *) (uintptr_t) rig_word(map, 1, 0)), -EINVAL);
                        assert_int_equal(*rig_word(map, 0, 0), 10 * order[2][k]);
                        assert_int_equal(*rig_word(map, 9, 511), 10 * order[2][k] + 9);
                        assert_int_equal(bf_munmap(map), 0);
                        assert_int_equal(bf_munmap(map), -EINVAL);
                        assert_int_equal(rig_pool_stat(rig->clients[0]).mappings, 2 - k);
                }
        }
}

static void test_after_munmap_there_is_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 4);
        uint64_t *map = rig_map(fileh, 0, 4);
        struct probe_hit hit;

        *rig_word(map, 0, 0) = 1;
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(probe_read(map, NULL, &hit), SIGSEGV);
        assert_ptr_equal(hit.address, map);
        assert_int_equal(hit.known, -ENOENT);
        assert_int_equal(probe_write(map + 512, 1, NULL), SIGSEGV);
}

/* rule 4, V2.9-V2.11: dirty pages stay, can be seen through another mapping, and be stored while mapped nowhere */
static void test_munmap_keeps_pages(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 200);
        uint64_t *map = rig_map(fileh, 100, 4), loads;

        *rig_word(map, 2, 0) = 12;
        *rig_word(map, 0, 0) = 10;
        assert_int_equal(*rig_word(map, 3, 0), 103);
        assert_int_equal(bf_munmap(map), 0);
        assert_states(fileh, 100, "DEDL");
        map = rig_map(fileh, 100, 4);
        assert_access(map, "----");
        loads = rig_stat(fileh).loads;
        assert_int_equal(*rig_word(map, 2, 0), 12);
        assert_access(map, "--W-");
        assert_int_equal(*rig_word(map, 3, 0), 103);
        assert_access(map, "--WR");
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(rig->paths[0], 100), 10);
        assert_int_equal(rig_file_word(rig->paths[0], 102), 12);
        assert_states(fileh, 100, "LELL");
        map = rig_map(fileh, 100, 4);
        assert_int_equal(*rig_word(map, 0, 0), 10);
        assert_access(map, "R---");
        assert_int_equal(rig_stat(fileh).loads, loads);
}

/* rule 3, R3, E13: many windows of the same pages are one memory */
static void test_mappings_alias(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 40);
        uint64_t *maps[20];

        for (size_t i = 0; i < 20; i++)
                maps[i] = rig_map(fileh, i, 20);
        for (size_t i = 0; i < 20; i++) {
                *rig_word(maps[i], 19 - i, i) = 1000 + i; /* page 19 through each */
                for (size_t k = 0; k < 20; k++)
                        assert_int_equal(*rig_word(maps[k], 19 - k, i), 1000 + i);
        }
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).resident_bytes, RIG_PAGE);
        for (size_t i = 0; i < 20; i += 2)
                assert_int_equal(bf_munmap(maps[i]), 0);
        assert_int_equal(*rig_word(maps[7], 12, 4), 1004);
}

/* E19: a write to a mapping that was asked for reading is the program's own mistake: SIGSEGV, and the page stays clean */
static void test_write_to_a_mapping_for_reading(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig, 4);
        struct probe_hit hit;
        uint64_t *map;

        assert_int_equal(bf_mmap(fileh, 0, 4 * RIG_PAGE, PROT_READ, (void **) &map), 0);
        assert_int_equal(*rig_word(map, 1, 0), 1);
        for (size_t page = 0; page < 2; page++) {
                assert_int_equal(probe_write(map + page * 512, 9, &hit), SIGSEGV);
                assert_ptr_equal(hit.address, map + page * 512);
                assert_int_equal(hit.known, -ENOENT); /* no load failed there */
        }
        assert_states(fileh, 0, "ELEE");
        *rig_word(rig_map(fileh, 0, 4), 1, 0) = 5; /* another mapping may write; this one sees it */
        assert_int_equal(*rig_word(map, 1, 0), 5);
        assert_int_equal(probe_write(map + 512, 9, &hit), SIGSEGV);
        assert_int_equal(*rig_word(map, 1, 0), 5);
}

static unsigned count_vmas(const void *map, size_t length) {
        uintptr_t start = (uintptr_t) map, end = start + length;
        unsigned n = 0;
        char line[512];
        FILE *file = fopen("/proc/self/maps", "re");

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                unsigned long low, high;

                n += sscanf(line, "%lx-%lx", &low, &high) == 2 && low < end && high > start;
        }
        fclose(file);
        return n;
}

/* rule 25: one VMA, though every second page differs from its neighbours, and more than vm.max_map_count of them do */
static void test_a_mapping_is_one_vma(void **state) {
        struct rig *rig = rig_here(state);
        size_t n = 70000;
        const char *path = rig_path(rig, "sparse");
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "512M", NULL);
        assert_int_equal(tempfile_make_sparse(path, n * RIG_PAGE), 0);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, n);
        assert_int_equal(bf_load(fileh, 0, n * RIG_PAGE), 0);
        for (size_t i = 0; i < n; i += 2)
                *rig_word(map, i, 0) = i;
        assert_int_equal(rig_stat(fileh).dirty_bytes, n / 2 * RIG_PAGE);
        assert_int_equal(count_vmas(map, n * RIG_PAGE), 1);
        assert_int_equal(bf_writeout(fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_int_equal(count_vmas(map, n * RIG_PAGE), 1);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(*rig_word(map, i, 0), i % 2 ? 0 : i);
}

static void make_bytes(const char *path, size_t size) {
        char *bytes = malloc(size);

        memset(bytes, 'x', size);
        assert_int_equal(tempfile_make_sparse(path, size), 0);
        assert_int_equal(tempfile_write(path, 0, bytes, size), 0);
        free(bytes);
}

/* rule 26: zeros after the end; only what is inside the size is stored */
static void check_short_last_block(struct rig *rig, struct bf_client *client, uint64_t block_size, size_t size) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = block_size };
        const char *path = rig_path(rig, "short");
        size_t end = (size + block_size - 1) / block_size * block_size;
        struct bf_fileh *fileh;
        struct stat st;
        char *map, last;

        make_bytes(path, size);
        assert_int_equal(bf_open(client, path, O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, size, PROT_READ | PROT_WRITE, (void **) &map), 0);
        for (size_t i = end - block_size; i < end; i++)
                assert_int_equal(map[i], i < size ? 'x' : 0);
        map[size - 1] = 'y';
        if (end > size)
                map[end - 1] = 'z';
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, size);
        assert_int_equal(tempfile_read(path, size - 1, &last, 1), 0);
        assert_int_equal(last, 'y');
        assert_int_equal(bf_invalidate(fileh, 0, end), 0);
        assert_int_equal(map[size - 1], 'y');
        assert_int_equal(map[end - 1], end == size ? 'y' : 0);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
}

static void test_short_last_block(void **state) {
        static const size_t sizes[] = { 1, 7, 4095, 4097, 5000, 12287, 12288, 65537, 100001 };
        struct rig *rig = rig_here(state);
        struct bf_client *client;

        rig_daemon(rig, "--pool", "64M", NULL);
        client = rig_client(rig);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                check_short_last_block(rig, client, 4096, sizes[i]);
                check_short_last_block(rig, client, 65536, sizes[i]);
        }
}

/* rule 26: a short last block and its neighbour before it stored together, and the block grown into */
static void test_short_last_block_grows(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "short");
        struct bf_fileh *fileh;
        struct stat st;
        char *map, byte;

        rig_daemon(rig, "--pool", "64M", NULL);
        make_bytes(path, 2 * RIG_PAGE + 100);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        assert_int_equal(bf_mmap(fileh, 0, 2 * RIG_PAGE + 100, PROT_READ | PROT_WRITE, (void **) &map), 0);
        map[RIG_PAGE] = 'a';
        map[2 * RIG_PAGE] = 'b';
        map[2 * RIG_PAGE + 200] = 'c';
        assert_int_equal(bf_writeout(fileh, BF_WRITEOUT_STORE), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 2 * RIG_PAGE + 100);
        assert_int_equal(bf_resize(fileh, 2 * RIG_PAGE + 300), 0);
        assert_int_equal(map[2 * RIG_PAGE + 200], 0); /* what was written behind the end is not part of the file that has grown */
        assert_int_equal(map[2 * RIG_PAGE], 'b');
        map[2 * RIG_PAGE + 250] = 'd';
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 2 * RIG_PAGE + 300);
        for (uint64_t at = 100; at < 300; at++) {
                assert_int_equal(tempfile_read(path, 2 * RIG_PAGE + at, &byte, 1), 0);
                assert_int_equal(byte, at == 250 ? 'd' : 0);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_mmap_fails_and_changes_nothing),
                RIG_TEST(test_which_mapping_an_address_belongs_to),
                RIG_TEST(test_after_munmap_there_is_nothing),
                RIG_TEST(test_munmap_keeps_pages),
                RIG_TEST(test_mappings_alias),
                RIG_TEST(test_write_to_a_mapping_for_reading),
                RIG_TEST(test_a_mapping_is_one_vma),
                RIG_TEST(test_short_last_block),
                RIG_TEST(test_short_last_block_grows),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("mappings", tests, NULL, NULL);
}
