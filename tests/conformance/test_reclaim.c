/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who leaves RAM, and when: rules 9, 16, 17; cases V2.3-V2.8 and V2.18-V2.21 (order of use), E16, E17, R4. */

#include <errno.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 1000

struct scene {
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map; /* of all pages */
};

static struct scene start_with(struct rig *rig, const char *pool, const char *batch, const char *n_pagers) {
        struct scene scene;

        rig_daemon(rig, "--pool", pool, "--reclaim-batch", batch, "--pagers", n_pagers, "--replacement", "lru", NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static struct scene start(struct rig *rig, const char *pool, const char *batch) {
        return start_with(rig, pool, batch, "4");
}

static void read_page(const struct scene *scene, uint64_t page) {
        assert_int_equal(*rig_word(scene->map, page, 0), page);
}

/* Reclaims page by page, and expects these to go, in this order; then nothing is left that may go. */
static void assert_order_of_use(const struct scene *scene, const uint64_t *pages, size_t n) {
        uint64_t reclaimed = 1;

        for (size_t i = 0; i < n; i++) {
                for (size_t k = i; k < n; k++)
                        assert_states(scene->fileh, pages[k], "L");
                rig_reclaim(scene->client, 1);
                if (bf_page_state(scene->fileh, pages[i] * RIG_PAGE) != BF_PAGE_EMPTY)
                        fail_msg("page %llu is not the one that went", (unsigned long long) pages[i]);
        }
        assert_int_equal(bf_pool_reclaim(scene->client, RIG_PAGE, &reclaimed), 0);
        assert_int_equal(reclaimed, 0);
}

/* rules 9, 16, E17: the order is that of faults, not of accesses; a first write and a fault in another mapping count, a plain access does not */
static void test_order_of_use(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");
        uint64_t *other = rig_map(scene.fileh, 10, 10);

        for (uint64_t page = 10; page < 16; page++)
                read_page(&scene, page);
        *rig_word(scene.map, 11, 1) = 1; /* a fault: its first write */
        *rig_word(scene.map, 16, 1) = 1;
        assert_int_equal(*rig_word(other, 2, 0), 12); /* a fault: not in that mapping yet */
        read_page(&scene, 10);                        /* no fault */
        read_page(&scene, 17);
        *rig_word(scene.map, 11, 2) = 2; /* no fault */
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0); /* moves nothing (V2.16) */
        assert_order_of_use(&scene, (const uint64_t[]) { 10, 13, 14, 15, 11, 16, 12, 17 }, 8);
}

/* V2.18-V2.21: invalidate and discard take pages out of the order and leave the rest of it alone; so do mmap and munmap */
static void test_order_after_drops(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");

        for (uint64_t page = 10; page < 18; page++)
                read_page(&scene, page);
        *rig_word(scene.map, 12, 0) = 1;
        assert_int_equal(bf_invalidate(scene.fileh, 14 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_invalidate(scene.fileh, 500 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(bf_munmap(scene.map), 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        read_page(&scene, 14);
        read_page(&scene, 11); /* a fault: the mapping is new */
        assert_order_of_use(&scene, (const uint64_t[]) { 10, 13, 15, 16, 17, 14, 11 }, 7);
}

/* the classic two mappings over 100-103 and 101-105, and the order after it */
static void test_order_over_two_mappings(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");
        uint64_t *one = rig_map(scene.fileh, 100, 4), *two = rig_map(scene.fileh, 101, 5);

        assert_int_equal(*rig_word(one, 0, 0), 100);
        assert_int_equal(*rig_word(two, 4, 0), 105);
        assert_int_equal(*rig_word(two, 0, 0), 101);
        assert_int_equal(*rig_word(one, 2, 0), 102);
        assert_int_equal(*rig_word(one, 1, 0), 101);
        assert_int_equal(*rig_word(two, 3, 0), 104);
        assert_int_equal(*rig_word(two, 1, 0), 102);
        assert_order_of_use(&scene, (const uint64_t[]) { 100, 105, 101, 104, 102 }, 5);
}

/* rule 16, E16: how many go; dirty ones never; the number of bytes is rounded up to pages */
static void test_what_reclaim_returns(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");
        uint64_t reclaimed = 99;

        assert_int_equal(bf_pool_reclaim(scene.client, 0, &reclaimed), 0);
        assert_int_equal(reclaimed, 0);
        for (uint64_t page = 100; page < 300; page++)
                read_page(&scene, page);
        for (uint64_t page = 200; page < 300; page++)
                *rig_word(scene.map, page, 0) = page + 1;
        assert_int_equal(bf_pool_reclaim(scene.client, 1, &reclaimed), 0);
        assert_int_equal(reclaimed, RIG_PAGE);
        assert_int_equal(bf_pool_reclaim(scene.client, RIG_PAGE + 1, &reclaimed), 0);
        assert_int_equal(reclaimed, 2 * RIG_PAGE);
        assert_int_equal(bf_pool_reclaim(scene.client, 70 * RIG_PAGE, NULL), 0); /* more than a batch */
        assert_int_equal(rig_stat(scene.fileh).resident_bytes, 127 * RIG_PAGE);
        assert_int_equal(bf_pool_reclaim(scene.client, 1000 * RIG_PAGE, &reclaimed), 0);
        assert_int_equal(reclaimed, 27 * RIG_PAGE);
        assert_int_equal(bf_pool_reclaim(scene.client, 0, &reclaimed), 0);
        assert_int_equal(reclaimed, 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 100 * RIG_PAGE);
        assert_int_equal(rig_stat(scene.fileh).evictions, 100);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0); /* still dirty */
        assert_int_equal(bf_pool_reclaim(scene.client, 0, &reclaimed), 0);
        assert_int_equal(reclaimed, 0);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_int_equal(bf_pool_reclaim(scene.client, 0, &reclaimed), 0);
        assert_int_equal(reclaimed, 100 * RIG_PAGE);
        for (uint64_t page = 200; page < 300; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 1); /* rule 17 */
}

/* rule 16, R4: a page that goes is gone from every mapping, and comes back by a load */
static void test_reclaimed_pages_are_unmapped(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");
        uint64_t *other = rig_map(scene.fileh, 100, 4), loads;

        for (uint64_t page = 100; page < 104; page++) {
                read_page(&scene, page);
                assert_int_equal(*rig_word(other, page - 100, 0), page);
        }
        *rig_word(other, 2, 1) = 7;
        loads = rig_stat(scene.fileh).loads;
        rig_reclaim(scene.client, 3);
        assert_access(other, "--W-");
        assert_access(rig_word(scene.map, 100, 0), "--R-");
        assert_states(scene.fileh, 100, "EEDE");
        assert_int_equal(*rig_word(other, 3, 0), 103);
        read_page(&scene, 103);
        assert_int_equal(rig_stat(scene.fileh).loads, loads + 1);
        assert_int_equal(*rig_word(scene.map, 102, 1), 7);
}

/* rule 17: what was stored comes back; what was only marked as stored is the file's */
static void test_what_comes_back(void **state) {
        struct scene scene = start(rig_here(state), "64M", "64");

        *rig_word(scene.map, 100, 0) = 1;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        *rig_word(scene.map, 101, 0) = 1;
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        rig_reclaim(scene.client, 2);
        assert_int_equal(*rig_word(scene.map, 100, 0), 1);
        assert_int_equal(*rig_word(scene.map, 101, 0), 101);
}

/* rule 16: a page being loaded stays */
static void test_loading_pages_stay(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        struct worker *reader;
        uint64_t *map, reclaimed;

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, 100);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, 100);
        assert_int_equal(*rig_word(map, 3, 0), 3);
        heldfs_hold(heldfs, HELDFS_READ, 7, 1);
        reader = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, 7, 0), NULL, 0, 0);
        heldfs_wait(heldfs, HELDFS_READ, 7, 1);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(bf_pool_reclaim(rig->clients[0], 0, &reclaimed), 0);
                assert_int_equal(reclaimed, i == 0 ? RIG_PAGE : 0);
        }
        assert_states(fileh, 7, "G");
        heldfs_release(heldfs, HELDFS_READ, 7);
        worker_join(reader);
        assert_int_equal(reader->value, 7);
        assert_blocks(heldfs, HELDFS_READ, 3, 7);
}

/* Pages read in this order: those that went are the ones read first, those that stayed the last; the dirty ones among them all stayed. */
static void assert_oldest_went(const struct scene *scene, uint64_t first, uint64_t n, uint64_t step) {
        bool kept = false;

        for (uint64_t i = 0; i < n; i++) {
                int state = bf_page_state(scene->fileh, (first + i * step) % N_PAGES * RIG_PAGE);

                assert_true(state == BF_PAGE_LOADED || (state == BF_PAGE_EMPTY && !kept));
                kept |= state == BF_PAGE_LOADED;
        }
        assert_true(kept);
}

/* V2.7, rule 16: a pool of 64 pages under a file of 1000; it never passes its size, keeps what is dirty, and lets the oldest go */
static void check_automatic_reclaim(struct rig *rig, const char *batch) {
        struct scene scene = start(rig, "256K", batch);
        struct bf_pool_stat pool;
        struct bf_stat stat;

        for (uint64_t page = 0; page < 20; page++)
                *rig_word(scene.map, page * 50, 0) = page + 7000;
        for (uint64_t i = 0; i < 3000; i++) {
                uint64_t page = i * 387 % N_PAGES;

                assert_int_equal(*rig_word(scene.map, page, 511), page);
                pool = rig_pool_stat(scene.client);
                assert_true(pool.resident_bytes <= pool.pool_bytes);
                assert_true(pool.resident_bytes >= pool.pool_bytes / 4); /* room is not thrown away either */
        }
        stat = rig_stat(scene.fileh);
        assert_int_equal(stat.dirty_bytes, 20 * RIG_PAGE);
        assert_int_equal(stat.loads - stat.evictions, stat.resident_bytes / RIG_PAGE);
        assert_true(stat.evictions > 2000);
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(scene.map, page * 50, 0), page + 7000);
        assert_int_equal(bf_discard(scene.fileh), 0);
        for (uint64_t i = 0; i < 300; i++)
                read_page(&scene, (1 + i * 3) % N_PAGES);
        assert_oldest_went(&scene, 1, 300, 3);
}

static void test_automatic_reclaim(void **state) {
        check_automatic_reclaim(rig_here(state), "64");
}

static void test_automatic_reclaim_page_by_page(void **state) {
        check_automatic_reclaim(rig_here(state), "1");
}

/* one order of use over all handles and clients that one thread serves */
static void test_order_over_all_clients(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start_with(rig, "64M", "64", "1");
        struct bf_fileh *other = rig_open(rig_client(rig), scene.path, O_RDWR, 0);
        uint64_t *map = rig_map(other, 0, N_PAGES);

        for (uint64_t i = 0; i < 8; i++) {
                read_page(&scene, 100 + i);
                assert_int_equal(*rig_word(map, 200 + i, 0), 200 + i);
        }
        rig_reclaim(rig->clients[1], 7);
        assert_states(scene.fileh, 100, "EEEELLLL");
        assert_states(other, 200, "EEELLLLL");
        rig_reclaim(scene.client, 1);
        assert_states(scene.fileh, 100, "EEEELLLL");
        assert_states(other, 200, "EEEELLLL");
        assert_int_equal(rig_pool_stat(scene.client).evictions, 8);
        assert_int_equal(rig_stat(other).evictions, 4);
}

/* of those that several serve it is nearly so: what nobody has used for long goes first, whoever serves it, also who has nothing else to do */
static void test_order_over_all_pagers(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start_with(rig, "1M", "16", "4"); /* 256 pages */
        struct bf_fileh *others[3];
        uint64_t *maps[3];

        for (uint64_t page = 0; page < 64; page++)
                read_page(&scene, page);
        for (unsigned i = 0; i < 3; i++) {
                others[i] = rig_open(scene.client, scene.path, O_RDWR, 0);
                maps[i] = rig_map(others[i], 0, N_PAGES);
        }
        for (uint64_t page = 0; page < 3000; page++)
                assert_int_equal(*rig_word(maps[page % 2], page % N_PAGES, 0), page % N_PAGES);
        while (rig_stat(scene.fileh).resident_bytes > 0)
                assert_int_equal(*rig_word(maps[2], 1, 0), 1);
        assert_int_equal(rig_stat(scene.fileh).evictions, 64);
        for (unsigned i = 0; i < 2; i++) /* those in use share the rest */
                assert_in_range(rig_stat(others[i]).resident_bytes, 64 * RIG_PAGE, 192 * RIG_PAGE);
}

/* Goes round and round over somewhat more than the pool; how many loads that takes in the last ten rounds. */
static uint64_t loads_of_a_loop(struct rig *rig, const char *policy) {
        const uint64_t n_pages = 290; /* the pool has 256 */
        struct scene scene;
        uint64_t before = 0;

        rig_daemon(rig, "--pool", "1M", "--replacement", policy, NULL);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, rig_identity(rig, "data", n_pages), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, n_pages);
        for (unsigned round = 0; round < 40; round++) {
                if (round == 30)
                        before = rig_stat(scene.fileh).loads;
                for (uint64_t page = 0; page < n_pages; page++)
                        read_page(&scene, page);
        }
        return rig_stat(scene.fileh).loads - before;
}

/* of a loop larger than the pool the most stays, of which an order of use keeps nothing */
static void test_a_loop(void **state) {
        assert_in_range(loads_of_a_loop(rig_here(state), "proven"), 10 * (290 - 256), 10 * 290 * 6 / 10);
}

static void test_a_loop_in_order_of_use(void **state) {
        assert_int_equal(loads_of_a_loop(rig_here(state), "lru"), 10 * 290);
}

/* a working set that fits stays: no loads once it is in */
static void test_a_working_set_that_fits_stays(void **state) {
        struct scene scene = start(rig_here(state), "256K", "64");
        uint64_t loads = 0;

        for (int round = 0; round < 100; round++) {
                for (uint64_t page = 0; page < RIG_SMALL_PAGES - 8; page++)
                        read_page(&scene, page * 3);
                if (round == 0)
                        loads = rig_stat(scene.fileh).loads;
        }
        assert_int_equal(rig_stat(scene.fileh).loads, loads);
        assert_int_equal(rig_stat(scene.fileh).evictions, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_order_of_use),
                RIG_TEST(test_order_after_drops),
                RIG_TEST(test_order_over_two_mappings),
                RIG_TEST(test_what_reclaim_returns),
                RIG_TEST(test_reclaimed_pages_are_unmapped),
                RIG_TEST(test_what_comes_back),
                RIG_TEST(test_loading_pages_stay),
                RIG_TEST(test_automatic_reclaim),
                RIG_TEST(test_automatic_reclaim_page_by_page),
                RIG_TEST(test_order_over_all_clients),
                RIG_TEST(test_order_over_all_pagers),
                RIG_TEST(test_a_loop),
                RIG_TEST(test_a_loop_in_order_of_use),
                RIG_TEST(test_a_working_set_that_fits_stays),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
