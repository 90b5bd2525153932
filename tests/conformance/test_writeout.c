/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Writeout when nothing else goes on: rules 10, 11, 12, 13, 23; cases V2.14-V2.17, E3, E4, B1, B7. What goes on beside one: test_writeout_busy.c. */

#include <errno.h>
#include <stdlib.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

struct scene {
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start_on(struct rig *rig, struct heldfs *(*make_heldfs)(struct rig *rig, uint64_t n_pages), uint64_t n_pages) {
        struct scene scene;

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = make_heldfs(rig, n_pages);
        scene.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, n_pages);
        return scene;
}

static struct scene start(struct rig *rig, uint64_t n_pages) {
        return start_on(rig, rig_heldfs, n_pages);
}

static uint64_t stored_word(const struct scene *scene, uint64_t page) {
        return *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE);
}

/* V2.14, "D2": 102 and 100 written, unmapped, mapped again at 100, 102 read: dirty both, 102 mapped, 100 not */
static uint64_t *make_d2(struct scene *scene) {
        uint64_t *map;

        *rig_word(scene->map, 102, 0) = 12;
        *rig_word(scene->map, 100, 0) = 10;
        assert_int_equal(bf_munmap(scene->map), 0);
        map = rig_map(scene->fileh, 100, 4);
        assert_int_equal(*rig_word(map, 2, 0), 12);
        assert_states(scene->fileh, 100, "DEDE");
        assert_access(map, "--W-");
        return map;
}

/* rule 10, V2.15, B1: each dirty page once, in order, mapped or not; all stays as it is; and again the same */
static void test_store(void **state) {
        struct scene scene = start(rig_here(state), 200);
        uint64_t *map = make_d2(&scene), faults = rig_stat(scene.fileh).faults;

        for (int i = 0; i < 2; i++) {
                assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
                assert_blocks(scene.heldfs, HELDFS_WRITE, 100, 102);
                assert_states(scene.fileh, 100, "DEDE");
                assert_access(map, "--W-");
        }
        assert_int_equal(stored_word(&scene, 100), 10);
        assert_int_equal(stored_word(&scene, 102), 12);
        *rig_word(map, 2, 1) = 13;
        assert_int_equal(rig_stat(scene.fileh).faults, faults);
        assert_int_equal(rig_stat(scene.fileh).stores, 4);
}

/* rule 11, V2.16: nothing is stored, and all is clean */
static void test_mark(void **state) {
        struct scene scene = start(rig_here(state), 200);
        uint64_t *map = make_d2(&scene);

        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE);
        assert_states(scene.fileh, 100, "LELE");
        assert_access(map, "--R-");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        *rig_word(map, 2, 1) = 13;
        assert_states(scene.fileh, 100, "LEDE");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 102);
        assert_int_equal(stored_word(&scene, 100), 100);
}

/* rule 12, V2.17, and two-phase commit beside it */
static void test_store_and_mark(void **state) {
        struct scene scene = start(rig_here(state), 200);
        uint64_t *map = make_d2(&scene), *other = rig_map(scene.fileh, 0, 200);

        *rig_word(other, 102, 1) = 120;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 100, 102);
        assert_states(scene.fileh, 100, "LELE");
        assert_access(map, "--R-");
        assert_access(rig_word(other, 100, 0), "--R-");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        *rig_word(map, 3, 0) = 13;
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        assert_states(scene.fileh, 100, "LELD");
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 103);
        assert_states(scene.fileh, 100, "LELL");
        assert_int_equal(rig_stat(scene.fileh).stores, 3);
}

/* rule 12, E1: nothing is done */
static void test_bad_flags(void **state) {
        static const unsigned bad[] = { 0, BF_WRITEOUT_SYNC, BF_WRITEOUT_SYNC | BF_WRITEOUT_MARKSTORED, 1u << 3, BF_WRITEOUT_STORE | 1u << 3, ~0u };
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig, 200);
        struct bf_fileh *reader = rig_open(rig->clients[0], heldfs_path(scene.heldfs), O_RDONLY, 0);

        *rig_word(scene.map, 100, 0) = 1;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(bf_writeout(scene.fileh, bad[i]), -EINVAL);
        assert_int_equal(bf_writeout(reader, BF_WRITEOUT_STORE), -EBADF);
        assert_blocks(scene.heldfs, HELDFS_WRITE);
        assert_int_equal(heldfs_count(scene.heldfs, HELDFS_FSYNC), 0);
        assert_states(scene.fileh, 100, "D");
}

static void dirty_range(const struct scene *scene, uint64_t first, uint64_t n, uint64_t step, uint64_t plus) {
        for (uint64_t i = 0; i < n; i++)
                *rig_word(scene->map, first + i * step, 0) = first + i * step + plus;
}

struct failing {
        uint64_t step; /* between dirty pages */
        uint64_t at;   /* which of the eight fails */
        unsigned flags;
        int error; /* but EIO where the kernel says no more of a request that went half way */
        const char *states; /* of the eight, after it */
};

static const struct failing failings[] = {
        { 1, 0, RIG_STORE_MARK, ENOSPC, "DDDDDDDD" }, { 1, 4, RIG_STORE_MARK, EIO, "LLLLDDDD" },
        { 1, 7, RIG_STORE_MARK, EDQUOT, "LLLLLLLD" }, { 1, 4, BF_WRITEOUT_STORE, EIO, "DDDDDDDD" },
        { 3, 0, RIG_STORE_MARK, EIO, "DDDDDDDD" },    { 3, 5, RIG_STORE_MARK, ENOSPC, "LLLLLDDD" },
        { 3, 7, BF_WRITEOUT_STORE, EIO, "DDDDDDDD" }, { 1, 3, RIG_STORE_MARK | BF_WRITEOUT_SYNC, EIO, "LLLDDDDD" },
};

static void check_failing(const struct scene *scene, const struct failing *failing) {
        uint64_t bad = 50 + failing->at * failing->step;
        int r;

        dirty_range(scene, 50, 8, failing->step, 1000);
        heldfs_fail(scene->heldfs, HELDFS_WRITE, bad, 0, HELDFS_ALWAYS, failing->error);
        r = bf_writeout(scene->fileh, failing->flags);
        assert_true(r == -failing->error || r == -EIO);
        for (uint64_t i = 0; i < 8; i++) {
                uint64_t page = 50 + i * failing->step;

                assert_states(scene->fileh, page, ((char[]) { failing->states[i], '\0' }));
                if (page < bad)
                        assert_int_equal(stored_word(scene, page), page + 1000);
                assert_int_equal(*rig_word(scene->map, page, 0), page + 1000); /* what was written is not lost */
        }
        assert_int_equal(stored_word(scene, bad), bad);
        r = bf_writeout(scene->fileh, failing->flags); /* B7: raised again */
        assert_true(r == -failing->error || r == -EIO);
        heldfs_clear(scene->heldfs);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 0);
        for (uint64_t i = 0; i < 8; i++)
                assert_int_equal(stored_word(scene, 50 + i * failing->step), 50 + i * failing->step + 1000);
}

static void check_failings(const struct scene *scene) {
        for (size_t i = 0; i < sizeof(failings) / sizeof(failings[0]); i++) {
                for (uint64_t page = 0; page < 200; page++)
                        *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE) = page;
                assert_int_equal(bf_invalidate(scene->fileh, 0, UINT64_MAX), 0);
                check_failing(scene, &failings[i]);
        }
}

/* rule 13, E3, B7: also where the file says no more of a failing write than that it failed */
static void test_store_fails(void **state) {
        struct scene scene = start(rig_here(state), 200);

        check_failings(&scene);
}

/* the same where it stores what lies before the failing page, as a disk does */
static void test_store_fails_half_way(void **state) {
        struct scene scene = start_on(rig_here(state), rig_heldfs_synchronous, 200);

        check_failings(&scene);
}

/* rule 13: a store that failed once, and would not fail again, is told all the same, and its page is dirty */
static void test_store_fails_once(void **state) {
        struct scene scene = start(rig_here(state), 200);

        for (uint64_t step = 1; step <= 2; step++) {
                dirty_range(&scene, 50, 8, step, step * 1000);
                heldfs_fail(scene.heldfs, HELDFS_WRITE, 50 + 4 * step, 0, 1, EIO);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EIO);
                for (uint64_t i = 4; i < 8; i++)
                        assert_states(scene.fileh, 50 + i * step, "D");
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
                assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
                for (uint64_t i = 0; i < 8; i++)
                        assert_int_equal(stored_word(&scene, 50 + i * step), 50 + i * step + step * 1000);
        }
}

/* rule 13: EIO on the N-th of the dirty pages, N = 1, 2, ... until none is left */
static void test_each_page_fails_once(void **state) {
        struct scene scene = start(rig_here(state), 200);

        for (uint64_t n = 0; n <= 20; n++) {
                dirty_range(&scene, 10, 20, 7, 100 * (n + 1));
                heldfs_fail(scene.heldfs, HELDFS_WRITE, 10 + n * 7, 0, 1, EIO);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), n < 20 ? -EIO : 0);
                for (uint64_t i = 0; i < 20; i++)
                        assert_states(scene.fileh, 10 + i * 7, i < n ? "L" : "D");
                assert_int_equal(rig_stat(scene.fileh).dirty_bytes, (20 - n) * RIG_PAGE);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
                for (uint64_t i = 0; i < 20; i++)
                        assert_int_equal(stored_word(&scene, 10 + i * 7), 10 + i * 7 + 100 * (n + 1));
        }
}

/* E4: MARKSTORED after a STORE that failed does what it says: the caller takes responsibility */
static void test_mark_after_failed_store(void **state) {
        struct scene scene = start(rig_here(state), 200);

        dirty_range(&scene, 50, 3, 1, 1000);
        heldfs_fail(scene.heldfs, HELDFS_WRITE, 51, 0, 1, EIO);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), -EIO);
        assert_states(scene.fileh, 50, "DDD");
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_states(scene.fileh, 50, "LLL");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(*rig_word(scene.map, 51, 0), 1051);
}

/* a write cut short is continued */
static void test_short_writes(void **state) {
        static const size_t lengths[] = { 1, 100, 4095 };
        struct scene scene = start_on(rig_here(state), rig_heldfs_synchronous, 200);

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                for (uint64_t page = 50; page < 58; page++)
                        for (size_t word = 0; word < 512; word++)
                                *rig_word(scene.map, page, word) = page * 1000 + word + i;
                heldfs_shorten(scene.heldfs, HELDFS_WRITE, 50, 1, lengths[i]);
                heldfs_shorten(scene.heldfs, HELDFS_WRITE, HELDFS_ANY, 3, lengths[i]);
                heldfs_shorten(scene.heldfs, HELDFS_WRITE, 55, 1, RIG_PAGE + lengths[i]);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
                for (uint64_t page = 50; page < 58; page++)
                        for (size_t word = 0; word < 512; word++)
                                assert_int_equal(*(uint64_t *) heldfs_content(scene.heldfs, page * RIG_PAGE + word * 8), page * 1000 + word + i);
                assert_states(scene.fileh, 50, "LLLLLLLL");
                heldfs_clear(scene.heldfs);
        }
}

/* a write that takes nothing, and says nothing, is an error, and no reason to try for ever */
static void test_writes_nothing(void **state) {
        struct scene scene = start_on(rig_here(state), rig_heldfs_synchronous, 200);
        int r;

        dirty_range(&scene, 50, 8, 1, 1000);
        heldfs_shorten(scene.heldfs, HELDFS_WRITE, 53, HELDFS_ALWAYS, 0);
        r = bf_writeout(scene.fileh, RIG_STORE_MARK);
        assert_true(r == -EIO || r == -EAGAIN); /* io_uring (6.18) makes EAGAIN of it */
        assert_states(scene.fileh, 50, "LLLDDDDD");
        heldfs_clear(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 50; page < 58; page++)
                assert_int_equal(stored_word(&scene, page), page + 1000);
}

/* rule 10: each page that was written, once, whatever the order in which pages were written */
static void test_many_pages(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig, 1000);
        unsigned n_stores[1000] = {};
        uint64_t blocks[1000];
        bool written[1000] = {};
        unsigned seed = 12345;
        size_t n;

        for (int i = 0; i < 400; i++) {
                size_t page = (size_t) rand_r(&seed) % 1000;

                *rig_word(scene.map, page, 0) = page + 1000;
                written[page] = true;
        }
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        n = heldfs_blocks(scene.heldfs, HELDFS_WRITE, blocks, 1000);
        assert_int_equal(n * RIG_PAGE, rig_stat(scene.fileh).dirty_bytes);
        for (size_t i = 0; i < n; i++)
                n_stores[blocks[i]]++;
        for (size_t page = 0; page < 1000; page++) {
                assert_int_equal(n_stores[page], written[page]);
                assert_int_equal(stored_word(&scene, page), written[page] ? page + 1000 : page);
        }
}

/* SYNC: a flush, after the last write, also for what was stored before; and none without it */
static void test_sync(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig, 200);
        struct worker *worker;

        dirty_range(&scene, 50, 4, 2, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(heldfs_count(scene.heldfs, HELDFS_FSYNC), 0);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(heldfs_count(scene.heldfs, HELDFS_FSYNC), 1);
        dirty_range(&scene, 50, 4, 2, 2000);
        heldfs_hold(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        heldfs_forget(scene.heldfs);
        worker = rig_worker(rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC, 0);
        heldfs_wait(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 50, 52, 54, 56);
        assert_false(worker_is_done(worker));
        heldfs_release(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY);
        worker_join(worker);
        assert_int_equal(worker->result, 0);
        assert_states(scene.fileh, 50, "LELELEL");
}

/* the flush fails: its error, and every page of this writeout is dirty again; later success is real */
static void test_sync_fails(void **state) {
        struct scene scene = start(rig_here(state), 200);
        uint64_t plus = 1000;

        for (unsigned flags = BF_WRITEOUT_STORE; flags <= RIG_STORE_MARK; flags += BF_WRITEOUT_MARKSTORED, plus += 1000) {
                dirty_range(&scene, 50, 4, 2, plus);
                assert_int_equal(*rig_word(scene.map, 51, 0), 51);
                heldfs_fail(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 0, 2, EIO);
                for (int i = 0; i < 2; i++) {
                        assert_int_equal(bf_writeout(scene.fileh, flags | BF_WRITEOUT_SYNC), -EIO);
                        assert_states(scene.fileh, 50, "DLDEDED");
                }
                heldfs_forget(scene.heldfs);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
                assert_blocks(scene.heldfs, HELDFS_WRITE, 50, 52, 54, 56);
                assert_states(scene.fileh, 50, "LLLELEL");
                assert_int_equal(stored_word(&scene, 56), 56 + plus);
                assert_int_equal(bf_invalidate(scene.fileh, 0, 200 * RIG_PAGE), 0);
        }
}

/* rule 23: nothing here looks at every page of a file of 8 TiB, which would take days */
static void test_cost_follows_dirty_pages(void **state) {
        struct rig *rig = rig_here(state);
        const uint64_t n_pages = UINT64_C(1) << 31, spread[] = { 0, 1, n_pages / 3, n_pages / 2, n_pages - 2, n_pages - 1 };
        const char *path = rig_path(rig, "sparse");
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        assert_int_equal(tempfile_make_sparse(path, n_pages * RIG_PAGE), 0);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, n_pages);
        for (int round = 0; round < 50; round++) {
                for (size_t i = 0; i < 6; i++)
                        *rig_word(map, spread[i], 0) += 1 + i;
                assert_int_equal(bf_writeout(fileh, round % 2 ? RIG_STORE_MARK : BF_WRITEOUT_STORE), 0);
                assert_int_equal(bf_discard(fileh), 0);
                assert_int_equal(bf_invalidate(fileh, 0, UINT64_MAX), 0);
                for (size_t i = 0; i < 6; i++)
                        assert_int_equal(*rig_word(map, spread[i], 0), ((uint64_t) round + 1) * (1 + i));
        }
        assert_int_equal(rig_stat(fileh).stores, 300);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_store),
                RIG_TEST(test_mark),
                RIG_TEST(test_store_and_mark),
                RIG_TEST(test_bad_flags),
                RIG_TEST(test_store_fails),
                RIG_TEST(test_store_fails_half_way),
                RIG_TEST(test_store_fails_once),
                RIG_TEST(test_each_page_fails_once),
                RIG_TEST(test_mark_after_failed_store),
                RIG_TEST(test_short_writes),
                RIG_TEST(test_writes_nothing),
                RIG_TEST(test_many_pages),
                RIG_TEST(test_sync),
                RIG_TEST(test_sync_fails),
                RIG_TEST(test_cost_follows_dirty_pages),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("writeout", tests, NULL, NULL);
}
