/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* No room because every page of the pool is dirty: who comes waits, for a time, and is freed by whoever makes room. Cases E7, R6; the time limit
 * is our own. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200

struct scene {
        struct rig *rig;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map; /* of all pages */
};

/* Every page of the pool is dirty: the first ones of the file. */
static struct scene start(struct rig *rig, const char *room_timeout) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, RIG_SMALL_POOL, RIG_NO_SPILL, "--room-timeout", room_timeout, NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        for (uint64_t page = 0; page < RIG_SMALL_PAGES; page++)
                *rig_word(scene.map, page, 0) = page + 1000;
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, RIG_SMALL_PAGES * RIG_PAGE);
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

/* Whoever runs the daemon is told which file and which process it was. */
static void check_log(const struct scene *scene) {
        char text[256];

        snprintf(text, sizeof(text), "%s: pid %d waited 0.", scene->path, (int) getpid());
        assert_true(daemonproc_says(&scene->rig->daemon, text));
        snprintf(text, sizeof(text), "%s: bf_load() waited 0.", scene->path);
        assert_true(daemonproc_says(&scene->rig->daemon, text));
        assert_true(daemonproc_says(&scene->rig->daemon, "got SIGBUS with ENOMEM"));
}

/* E7, R6: all of the pool can be dirty; what comes then fails after the time limit, and only that */
static void test_too_many_dirty_pages(void **state) {
        struct scene scene = start(rig_here(state), "0.3");
        struct probe_hit hit;

        assert_int_equal(probe_write(at(&scene, 100), 1, &hit), SIGBUS);
        assert_int_equal(hit.known, 0);
        assert_int_equal(hit.error, ENOMEM);
        assert_int_equal(probe_read(at(&scene, 101), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ENOMEM);
        assert_int_equal(bf_load(scene.fileh, 102 * RIG_PAGE, RIG_PAGE), -ENOMEM);
        check_log(&scene);
        for (uint64_t page = 0; page < RIG_SMALL_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 1000);
        assert_int_equal(rig_pool_stat(scene.client).resident_bytes, RIG_SMALL_PAGES * RIG_PAGE);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < RIG_SMALL_PAGES; page++)
                assert_int_equal(rig_file_word(scene.path, page), page + 1000);
        assert_int_equal(probe_read(at(&scene, 100), NULL, &hit), SIGBUS); /* a failed page stays so */
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, 3 * RIG_PAGE), 0);
        *rig_word(scene.map, 100, 0) = 5;
        for (uint64_t page = 101; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_int_equal(*rig_word(scene.map, 100, 0), 5);
}

/* Threads that wait for room: writers and readers of pages 100 to 103. */
static void start_waiters(const struct scene *scene, struct worker **ret_waiters) {
        for (uint64_t i = 0; i < 4; i++) {
                ret_waiters[i] = rig_worker(scene->rig, i % 2 ? worker_read : worker_write, at(scene, 100 + i), NULL, 7, 0);
                worker_wait_fault(ret_waiters[i]);
        }
        assert_int_equal(bf_page_state(scene->fileh, 0), BF_PAGE_DIRTY);
}

static void join_waiters(const struct scene *scene, struct worker *const *waiters) {
        for (uint64_t i = 0; i < 4; i++) {
                worker_join(waiters[i]);
                assert_int_equal(waiters[i]->hit.signo, 0);
                assert_int_equal(*rig_word(scene->map, 100 + i, 0), i % 2 ? 100 + i : 7);
        }
        assert_true(rig_pool_stat(scene->client).resident_bytes <= RIG_SMALL_PAGES * RIG_PAGE);
}

/* Four that wait, and one thing that makes room for them. */
static void check_freed_by(struct scene *scene, void (*make_room)(struct scene *scene)) {
        struct worker *waiters[4];

        start_waiters(scene, waiters);
        for (uint64_t i = 0; i < 4; i++)
                assert_false(worker_is_done(waiters[i]));
        make_room(scene);
        join_waiters(scene, waiters);
}

static void by_discard(struct scene *scene) {
        assert_int_equal(bf_discard(scene->fileh), 0);
}

static void by_store_and_mark(struct scene *scene) {
        assert_int_equal(bf_writeout(scene->fileh, BF_WRITEOUT_STORE), 0);
        assert_int_equal(rig_stat(scene->fileh).loads, RIG_SMALL_PAGES); /* STORE alone frees nothing */
        assert_int_equal(bf_writeout(scene->fileh, BF_WRITEOUT_MARKSTORED), 0);
}

static void by_invalidate(struct scene *scene) {
        assert_int_equal(bf_invalidate(scene->fileh, 10 * RIG_PAGE, 4 * RIG_PAGE), 0);
}

static void test_discard_frees_who_waits(void **state) {
        struct scene scene = start(rig_here(state), "1000");

        check_freed_by(&scene, by_discard);
}

static void test_writeout_frees_who_waits(void **state) {
        struct scene scene = start(rig_here(state), "1000");

        check_freed_by(&scene, by_store_and_mark);
        for (uint64_t page = 0; page < RIG_SMALL_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 1000);
}

static void test_invalidate_frees_who_waits(void **state) {
        struct scene scene = start(rig_here(state), "1000");

        check_freed_by(&scene, by_invalidate);
}

/* The other client's handle, and with it the dirty pages, goes: by closing, or with the client. */
static void check_other_client(struct rig *rig, bool disconnect) {
        struct scene scene = start(rig, "1000"), other = scene;
        struct worker *waiters[4];

        other.client = rig_client(rig);
        other.fileh = rig_open(other.client, scene.path, O_RDWR, 0);
        other.map = rig_map(other.fileh, 0, N_PAGES);
        for (uint64_t i = 0; i < 4; i++) {
                waiters[i] = rig_worker(rig, i % 2 ? worker_read : worker_write, at(&other, 100 + i), NULL, 7, 0);
                worker_wait_fault(waiters[i]);
        }
        if (disconnect) {
                rig_disconnect(rig, scene.client);
        } else {
                assert_int_equal(bf_munmap(scene.map), 0);
                assert_int_equal(bf_close(scene.fileh), 0);
        }
        join_waiters(&other, waiters);
        assert_int_equal(rig_pool_stat(other.client).filehs, 1);
}

static void test_close_frees_who_waits(void **state) {
        check_other_client(rig_here(state), false);
}

static void test_disconnect_frees_who_waits(void **state) {
        check_other_client(rig_here(state), true);
}

/* who waits for room stops nobody who needs none: pages that are there, mappings, questions, stores */
static void test_waiting_for_room_stops_nobody_else(void **state) {
        struct scene scene = start(rig_here(state), "1000");
        struct worker *waiters[4];
        uint64_t *map;

        start_waiters(&scene, waiters);
        map = rig_map(scene.fileh, 0, N_PAGES);
        for (uint64_t page = 0; page < RIG_SMALL_PAGES; page++) {
                assert_int_equal(*rig_word(map, page, 0), page + 1000);
                *rig_word(map, page, 1) = 1;
        }
        assert_int_equal(rig_stat(scene.fileh).loads, RIG_SMALL_PAGES);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(scene.path, 63), 1063);
        for (uint64_t i = 0; i < 4; i++)
                assert_false(worker_is_done(waiters[i]));
        assert_int_equal(bf_munmap(map), 0);
        by_discard(&scene);
        join_waiters(&scene, waiters);
}

/* unmapped while waiting for room */
static void test_munmap_of_who_waits(void **state) {
        struct scene scene = start(rig_here(state), "1000");
        struct worker *waiters[4];

        start_waiters(&scene, waiters);
        assert_int_equal(bf_munmap(scene.map), 0);
        for (size_t i = 0; i < 4; i++) {
                worker_join(waiters[i]);
                assert_int_equal(waiters[i]->hit.signo, SIGSEGV);
        }
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_int_equal(rig_pool_stat(scene.client).resident_bytes, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_too_many_dirty_pages),
                RIG_TEST(test_discard_frees_who_waits),
                RIG_TEST(test_writeout_frees_who_waits),
                RIG_TEST(test_invalidate_frees_who_waits),
                RIG_TEST(test_close_frees_who_waits),
                RIG_TEST(test_disconnect_frees_who_waits),
                RIG_TEST(test_waiting_for_room_stops_nobody_else),
                RIG_TEST(test_munmap_of_who_waits),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
