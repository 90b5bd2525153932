/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bf_load() and bf_advise(): what they bring in, what they let go, and that they never change what is read. Case E20. */

#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

static struct bf_fileh *start(struct rig *rig, const char *pool, uint64_t n_pages) {
        rig_daemon(rig, "--pool", pool, NULL);
        return rig_open(rig_client(rig), rig_identity(rig, "data", n_pages), O_RDWR, 0);
}

struct span {
        uint64_t offset, length;
        int result;
        const char *states; /* of pages 0 to 9 */
};

/* each page with a byte in the range, once, clean, and mapped nowhere yet */
static void test_load(void **state) {
        static const struct span spans[] = {
                { 0, 0, 0, "EEEEEEEEEE" },
                { 2 * RIG_PAGE, RIG_PAGE, 0, "EELEEEEEEE" },
                { 3 * RIG_PAGE - 1, 2, 0, "EELLEEEEEE" },
                { 9 * RIG_PAGE, RIG_PAGE, 0, "EELLEEEEEL" },
                { 10 * RIG_PAGE, 1, -ENXIO, "EELLEEEEEL" },
                { 8 * RIG_PAGE, 2 * RIG_PAGE + 1, -ENXIO, "EELLEEEEEL" },
                { 8 * RIG_PAGE, UINT64_MAX, -ENXIO, "EELLEEEEEL" },
                { UINT64_MAX, 1, -ENXIO, "EELLEEEEEL" },
                { 0, 10 * RIG_PAGE, 0, "LLLLLLLLLL" },
        };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "64M", 10);
        uint64_t *map = rig_map(fileh, 0, 10);

        for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
                assert_int_equal(bf_load(fileh, spans[i].offset, spans[i].length), spans[i].result);
                assert_states(fileh, 0, spans[i].states);
        }
        assert_int_equal(rig_stat(fileh).loads, 10);
        *rig_word(map, 4, 0) = 44;
        assert_int_equal(bf_load(fileh, 0, 10 * RIG_PAGE), 0);
        assert_int_equal(rig_stat(fileh).loads, 10);
        assert_states(fileh, 3, "LDL");
        for (uint64_t page = 0; page < 10; page++)
                assert_int_equal(*rig_word(map, page, 0), page == 4 ? 44 : page);
        assert_int_equal(rig_stat(fileh).loads, 10);
}

/* a range larger than the pool is read through it; its end remains */
static void test_load_more_than_the_pool(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "256K", 1000);

        assert_int_equal(bf_load(fileh, 0, 1000 * RIG_PAGE), 0);
        assert_int_equal(rig_stat(fileh).loads, 1000);
        assert_true(rig_stat(fileh).resident_bytes <= RIG_SMALL_PAGES * RIG_PAGE);
        assert_states(fileh, 992, "LLLLLLLL");
        assert_states(fileh, 0, "EEEEEEEE");
}

/* E20: what was loaded, but never mapped, can be reclaimed */
static void test_loaded_but_never_mapped(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "64M", 100);
        uint64_t reclaimed;

        assert_int_equal(bf_load(fileh, 0, 100 * RIG_PAGE), 0);
        assert_int_equal(bf_pool_reclaim(rig->clients[0], 0, &reclaimed), 0);
        assert_int_equal(reclaimed, 100 * RIG_PAGE);
        assert_int_equal(rig_stat(fileh).resident_bytes, 0);
        assert_int_equal(bf_load(fileh, 50 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(rig_map(fileh, 50, 1), 0, 0), 50);
}

/* WILLNEED comes in the background: nobody waits for it; errors are nobody's */
static void test_willneed(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, 100);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, 100);
        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        assert_int_equal(bf_advise(fileh, 10 * RIG_PAGE, 8 * RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, 1);
        assert_int_equal(rig_stat(fileh).faults, 0);
        heldfs_clear(heldfs);
        for (uint64_t page = 10; page < 18; page++)
                while (bf_page_state(fileh, page * RIG_PAGE) != BF_PAGE_LOADED)
                        sched_yield();
        for (uint64_t page = 10; page < 18; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        assert_int_equal(rig_stat(fileh).loads, 8);
        heldfs_fail(heldfs, HELDFS_READ, 50, 0, 1, EIO);
        assert_int_equal(bf_advise(fileh, 50 * RIG_PAGE, RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        while (heldfs_count_failed(heldfs, HELDFS_READ) == 0 || bf_page_state(fileh, 50 * RIG_PAGE) == BF_PAGE_LOADING)
                sched_yield();
        assert_int_equal(*rig_word(map, 50, 0), 50);
}

/* WILLNEED of more than the pool brings at most half of it, and hurts nothing that is dirty */
static void test_willneed_more_than_the_pool(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "256K", 1000);
        uint64_t *map = rig_map(fileh, 0, 1000);

        for (uint64_t page = 900; page < 910; page++)
                *rig_word(map, page, 0) = page + 5000;
        assert_int_equal(bf_advise(fileh, 0, 1000 * RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        assert_int_equal(bf_advise(fileh, 0, UINT64_MAX, BF_ADVICE_WILLNEED), 0);
        assert_int_equal(bf_load(fileh, 500 * RIG_PAGE, RIG_PAGE), 0);
        assert_true(rig_stat(fileh).loads <= 10 + 1 + RIG_SMALL_PAGES);
        for (uint64_t page = 900; page < 910; page++)
                assert_int_equal(*rig_word(map, page, 0), page + 5000);
}

/* DONTNEED: clean pages of the range may go, dirty ones and those outside stay; what is read is the same in any case */
static void test_dontneed(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "64M", 20);
        uint64_t *map = rig_map(fileh, 0, 20);

        assert_int_equal(bf_load(fileh, 0, 20 * RIG_PAGE), 0);
        *rig_word(map, 7, 0) = 77;
        assert_int_equal(bf_advise(fileh, 5 * RIG_PAGE, 5 * RIG_PAGE, BF_ADVICE_DONTNEED), 0);
        assert_states(fileh, 3, "LL");
        assert_states(fileh, 7, "D");
        assert_states(fileh, 10, "LL");
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(map, page, 0), page == 7 ? 77 : page);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(fileh).stores, 1);
}

/* DONTNEED over a page being loaded, and over one whose load failed: neither is clean, and nothing changes */
static void test_dontneed_is_no_invalidate(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct worker *reader;
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, 100);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, 100);
        heldfs_fail(heldfs, HELDFS_READ, 11, 0, 1, EIO);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(map, 11, 0), NULL, NULL), SIGBUS);
        heldfs_hold(heldfs, HELDFS_READ, 10, 1);
        reader = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, 10, 0), NULL, 0, 0);
        heldfs_wait(heldfs, HELDFS_READ, 10, 1);
        assert_int_equal(bf_advise(fileh, 0, 100 * RIG_PAGE, BF_ADVICE_DONTNEED), 0);
        assert_states(fileh, 10, "G");
        heldfs_release(heldfs, HELDFS_READ, 10);
        worker_join(reader);
        assert_int_equal(reader->value, 10);
        assert_blocks(heldfs, HELDFS_READ, 10);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(map, 11, 0), NULL, NULL), SIGBUS);
}

/* whatever is advised for access: the same content, page by page and in any order, in a pool far smaller than the file */
static void test_advice_changes_no_content(void **state) {
        static const enum bf_advice advices[] = { BF_ADVICE_NORMAL, BF_ADVICE_SEQUENTIAL, BF_ADVICE_RANDOM };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "256K", 1000);
        uint64_t *map = rig_map(fileh, 0, 1000);

        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(bf_advise(fileh, 0, 0, advices[i]), 0);
                for (uint64_t k = 0; k < 2000; k++) {
                        uint64_t page = k < 1000 ? k : k * 389 % 1000;

                        assert_int_equal(*rig_word(map, page, k % 512), page);
                        assert_true(rig_stat(fileh).resident_bytes <= RIG_SMALL_PAGES * RIG_PAGE);
                }
        }
        assert_int_equal(rig_stat(fileh).dirty_bytes, 0);
}

static void test_bad_advice(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = start(rig, "64M", 20);

        assert_int_equal(bf_advise(fileh, 0, RIG_PAGE, (enum bf_advice) (BF_ADVICE_DONTNEED + 1)), -EINVAL);
        assert_int_equal(bf_advise(fileh, 0, RIG_PAGE, (enum bf_advice) -1), -EINVAL);
        assert_states(fileh, 0, "EE");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_load),
                RIG_TEST(test_load_more_than_the_pool),
                RIG_TEST(test_loaded_but_never_mapped),
                RIG_TEST(test_willneed),
                RIG_TEST(test_willneed_more_than_the_pool),
                RIG_TEST(test_dontneed),
                RIG_TEST(test_dontneed_is_no_invalidate),
                RIG_TEST(test_advice_changes_no_content),
                RIG_TEST(test_bad_advice),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("loads and advice", tests, NULL, NULL);
}
