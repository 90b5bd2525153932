/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a file, a mapping and a page in RAM cost the daemon, in memory and descriptors. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

/* One field of /proc/PID/smaps_rollup, in bytes. */
static uint64_t smaps(pid_t pid, const char *field) {
        unsigned long long kib = 0;
        char path[64], line[256];
        bool found = false;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int) pid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (!found && fgets(line, sizeof(line), f))
                found = strncmp(line, field, strlen(field)) == 0 && sscanf(line + strlen(field), ": %llu kB", &kib) == 1;
        fclose(f);
        assert_true(found);
        return kib * 1024;
}

/* All of it, also what it shares with its clients, the ledgers. */
static uint64_t daemon_bytes(const struct rig *rig) {
        return smaps(rig->daemon.pid, "Rss");
}

/* Once all that was asked for is done. */
static unsigned daemon_fds(const struct rig *rig) {
        struct daemonproc_usage usage;

        (void) rig_pool_stat(rig->clients[0]);

        assert_int_equal(daemonproc_usage(&rig->daemon, &usage), 0);
        return usage.n_fds;
}

static void test_a_sparse_file_of_10_tib(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "sparse");
        uint64_t size = 10 * TIB, before, grown;
        struct bf_fileh *fileh;
        void *memory;

        rig_daemon(rig, "--pool", "64M", NULL);
        before = daemon_bytes(rig);
        assert_int_equal(tempfile_make_sparse(path, size), 0);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        assert_int_equal(bf_mmap(fileh, 0, size, PROT_READ | PROT_WRITE, &memory), 0);
        for (uint64_t i = 0; i < 100; i++)
                assert_int_equal(*(volatile uint64_t *) ((uint8_t *) memory + i * (size / 100) / RIG_PAGE * RIG_PAGE), 0);
        assert_int_equal(rig_stat(fileh).resident_bytes, 100 * RIG_PAGE);
        grown = daemon_bytes(rig) - before;
        print_message("10 TiB mapped, 100 pages touched: the daemon grew by %llu KiB\n", (unsigned long long) grown / 1024);
        assert_true(grown < MIB);
        assert_int_equal(bf_munmap(memory), 0);
        assert_int_equal(bf_close(fileh), 0);
}

/* Whatever order pages are touched in. */
static void shuffle(uint32_t *numbers, uint32_t n) {
        uint64_t random = 88172645463325252u;

        for (uint32_t i = 0; i < n; i++)
                numbers[i] = i;
        for (uint32_t i = n; i-- > 1;) {
                uint32_t j, swap = numbers[i];

                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                j = (uint32_t) (random % (i + 1));
                numbers[i] = numbers[j];
                numbers[j] = swap;
        }
}

/*
 * The growth of the whole daemon, from before the first client on, for each page that is in RAM: looked at again and again while a pool of 256 MiB
 * fills, for it depends on how full the tables are at the moment.
 */
static void test_a_page(void **state) {
        const uint32_t n_pages = 256 * MIB / RIG_PAGE, n_first = 64 * MIB / RIG_PAGE;
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "data");
        uint32_t *order = calloc(n_pages, sizeof(*order));
        double here = 0, worst = 0;
        struct bf_fileh *fileh;
        uint64_t before;
        uint64_t *map;

        watchdog_arm("the cost of a page", 120);
        rig_daemon(rig, "--pool", "300M", NULL);
        before = daemon_bytes(rig);
        assert_int_equal(tempfile_make_sparse(path, 4 * n_pages * (uint64_t) RIG_PAGE), 0);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, 4 * n_pages);
        shuffle(order, n_pages);
        for (uint32_t i = 0; i < n_pages; i++) {
                assert_int_equal(*rig_word(map, 4 * order[i], 0), 0);
                if (i + 1 < n_first || (i + 1) % 128 != 0)
                        continue;
                here = (double) (daemon_bytes(rig) - before) / (i + 1);
                if (here > worst) {
                        print_message("%u pages in RAM: %.1f bytes for each\n", i + 1, here);
                        worst = here;
                }
        }
        print_message("%u pages in RAM: %.1f bytes for each\n", n_pages, here);
        assert_int_equal(rig_stat(fileh).resident_bytes, n_pages * (uint64_t) RIG_PAGE);
        assert_true(worst < 64);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        free(order);
}

static void test_a_mapping_costs_at_most_two_descriptors(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", 1000);
        struct bf_fileh *filehs[20];
        unsigned before, opened;
        uint64_t *maps[20][10];

        rig_daemon(rig, NULL);
        (void) rig_client(rig);
        before = rig_count_fds(rig, rig->clients[0]);
        for (unsigned i = 0; i < 20; i++)
                filehs[i] = rig_open(rig->clients[0], path, O_RDWR, 0);
        opened = rig_count_fds(rig, rig->clients[0]);
        print_message("a handle costs the daemon %.1f descriptors\n", (opened - before) / 20.0);
        for (unsigned i = 0; i < 20; i++)
                for (unsigned j = 0; j < 10; j++) {
                        maps[i][j] = rig_map(filehs[i], 100 * j, 100);
                        assert_int_equal(*rig_word(maps[i][j], 0, 0), 100 * j);
                }
        print_message("a mapping costs the daemon %.1f descriptors\n", (daemon_fds(rig) - opened) / 200.0);
        assert_true(daemon_fds(rig) - opened <= 2 * 200);
        for (unsigned i = 0; i < 20; i++) {
                for (unsigned j = 0; j < 10; j++)
                        assert_int_equal(bf_munmap(maps[i][j]), 0);
                assert_int_equal(bf_close(filehs[i]), 0);
        }
        rig_wait_fds(rig, rig->clients[0], before);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_sparse_file_of_10_tib),
                RIG_TEST(test_a_page),
                RIG_TEST(test_a_mapping_costs_at_most_two_descriptors),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("costs", tests, NULL, NULL);
}
