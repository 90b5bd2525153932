/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The daemon is killed in the middle of a writeout, some pages stored and others not: the library asks the next one again, and it ends as if nothing had been;
 * or, if the file fails then, with an error and every page that is not stored still dirty.
 */

#include <errno.h>
#include <signal.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 200
#define FIRST 10 /* every second page from here on is dirty, so that each is a store of its own */
#define LAST 108
#define MIDDLE 60

struct scene {
        struct rig *rig;
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map;
        struct worker *writeout;
};

static uint64_t value_of(uint64_t page) {
        return 1000 + page;
}

static uint64_t stored(const struct scene *scene, uint64_t page) {
        return *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE);
}

/* A writeout is under way; of this block, or of the flush, a request is held, and all others that could be made have ended. */
static struct scene start(struct rig *rig, unsigned flags, enum heldfs_op op, uint64_t block) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        for (uint64_t page = FIRST; page <= LAST; page += 2)
                *rig_word(scene.map, page, 0) = value_of(page);
        heldfs_hold(scene.heldfs, op, block, HELDFS_ALWAYS);
        scene.writeout = rig_worker(rig, worker_writeout, NULL, scene.fileh, flags, 0);
        heldfs_wait(scene.heldfs, op, block, 1);
        return scene;
}

/* A process with a write that hangs ends only when the write does. */
static void kill_in_the_middle(struct scene *scene) {
        assert_int_equal(kill(scene->rig->daemon.pid, SIGKILL), 0);
        heldfs_clear(scene->heldfs);
        daemonproc_wait(&scene->rig->daemon);
}

static void come_back(struct scene *scene) {
        rig_daemon(scene->rig, "--pool", "64M", NULL);
        worker_join(scene->writeout);
}

static void check_all_is_stored(const struct scene *scene, const char *state) {
        for (uint64_t page = FIRST; page <= LAST; page += 2) {
                assert_states(scene->fileh, page, state);
                assert_int_equal(*rig_word(scene->map, page, 0), value_of(page));
                assert_int_equal(stored(scene, page), value_of(page));
                assert_int_equal(stored(scene, page + 1), page + 1);
        }
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, *state == 'D' ? ((LAST - FIRST) / 2 + 1) * RIG_PAGE : 0);
}

static void check_ends_well(struct rig *rig, unsigned flags, enum heldfs_op op, uint64_t block, const char *state) {
        struct scene scene = start(rig, flags, op, block);

        kill_in_the_middle(&scene);
        heldfs_forget(scene.heldfs);
        come_back(&scene);
        assert_int_equal(scene.writeout->result, 0);
        assert_int_equal(heldfs_count(scene.heldfs, HELDFS_FSYNC) > 0, (flags & BF_WRITEOUT_SYNC) != 0);
        check_all_is_stored(&scene, state);
}

static void test_in_a_store(void **state) {
        check_ends_well(rig_here(state), RIG_STORE_MARK, HELDFS_WRITE, MIDDLE, "L");
}

static void test_in_a_store_without_marking(void **state) {
        check_ends_well(rig_here(state), BF_WRITEOUT_STORE, HELDFS_WRITE, MIDDLE, "D");
}

static void test_in_a_store_before_a_flush(void **state) {
        check_ends_well(rig_here(state), RIG_STORE_MARK | BF_WRITEOUT_SYNC, HELDFS_WRITE, LAST, "L");
}

static void test_in_a_flush(void **state) {
        check_ends_well(rig_here(state), RIG_STORE_MARK | BF_WRITEOUT_SYNC, HELDFS_FSYNC, HELDFS_ANY, "L");
}

/* the file fails when it is asked again */
static void test_and_then_the_file_fails(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK, HELDFS_WRITE, MIDDLE);

        kill_in_the_middle(&scene);
        heldfs_fail(scene.heldfs, HELDFS_WRITE, MIDDLE, 0, HELDFS_ALWAYS, EIO);
        come_back(&scene);
        assert_int_equal(scene.writeout->result, -EIO);
        for (uint64_t page = FIRST; page <= LAST; page += 2) {
                assert_states(scene.fileh, page, page < MIDDLE ? "L" : "D");
                assert_int_equal(*rig_word(scene.map, page, 0), value_of(page));
                assert_true(page >= MIDDLE || stored(&scene, page) == value_of(page));
        }
        heldfs_clear(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_all_is_stored(&scene, "L");
}

/* what is written while no daemon is there, or waits for one, is in neither page nor file lost */
static void test_written_between(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK, HELDFS_WRITE, MIDDLE);
        struct worker *writer;

        kill_in_the_middle(&scene);
        writer = rig_worker(scene.rig, worker_write, (void *) (uintptr_t) rig_word(scene.map, MIDDLE, 1), NULL, 77, 0);
        worker_wait_fault(writer);
        come_back(&scene);
        worker_join(writer);
        assert_int_equal(scene.writeout->result, 0);
        assert_int_equal(*rig_word(scene.map, MIDDLE, 1), 77);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_all_is_stored(&scene, "L");
        assert_int_equal(((uint64_t *) heldfs_content(scene.heldfs, MIDDLE * RIG_PAGE))[1], 77);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_in_a_store),
                RIG_TEST(test_in_a_store_without_marking),
                RIG_TEST(test_in_a_store_before_a_flush),
                RIG_TEST(test_in_a_flush),
                RIG_TEST(test_and_then_the_file_fails),
                RIG_TEST(test_written_between),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("killed in the middle of a writeout", tests, NULL, NULL);
}
