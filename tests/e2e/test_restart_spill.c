/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes larger than the pool, and the daemon is killed: what is spilled is there for the next one. (Under load: test_restart_load.c with BF_DIRTY.) */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 600 /* the pool has 64 */
#define N_KILLS 10

struct scene {
        struct rig *rig;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map; /* of all pages */
};

static void start_daemon(struct rig *rig) {
        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, NULL);
}

static void kill_daemon(struct scene *scene) {
        daemonproc_kill(&scene->rig->daemon);
        start_daemon(scene->rig);
}

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "data", N_PAGES) };

        start_daemon(rig);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static void dirty(const struct scene *scene, uint64_t value) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                *rig_word(scene->map, page, 0) = page + value;
}

static void check_memory(const struct scene *scene, uint64_t value) {
        for (uint64_t page = 0; page < N_PAGES; page++) {
                assert_int_equal(*rig_word(scene->map, page, 0), page + value);
                assert_int_equal(*rig_word(scene->map, page, 511), page);
        }
}

static void check_file(const struct scene *scene, uint64_t value) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(scene->path, page), page + value);
}

static struct bf_spill_stat spill_stat(struct bf_client *client) {
        struct bf_spill_stat stat;

        assert_int_equal(bf_spill_stat(client, &stat), 0);
        return stat;
}

static void test_commit_after_a_restart(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 1000);
        rig_wait_spilled(scene.fileh, 0, 4);
        kill_daemon(&scene);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
        assert_in_range(spill_stat(scene.client).spilled_bytes, (N_PAGES - RIG_SMALL_PAGES) * RIG_PAGE, N_PAGES * RIG_PAGE);
        assert_states(scene.fileh, 0, "PPPP");
        check_memory(&scene, 1000);
        kill_daemon(&scene);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 1000);
        check_memory(&scene, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        while (spill_stat(scene.client).file_bytes > 0)
                sched_yield();
}

static void test_discard_after_a_restart(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 1000);
        kill_daemon(&scene);
        assert_int_equal(bf_discard(scene.fileh), 0);
        check_memory(&scene, 0);
        dirty(&scene, 2000); /* and places are used again */
        check_memory(&scene, 2000);
        kill_daemon(&scene);
        check_memory(&scene, 2000);
        check_file(&scene, 0);
}

/* A daemon that spills nothing serves what is spilled; it needs the room for what comes back. */
static void test_spilling_turned_off(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 1000);
        rig_wait_spilled(scene.fileh, 0, 4);
        daemonproc_kill(&scene.rig->daemon);
        rig_daemon(scene.rig, "--pool", "64M", RIG_NO_SPILL, NULL);
        assert_states(scene.fileh, 0, "PPPP");
        check_memory(&scene, 1000);
        assert_int_equal(spill_stat(scene.client).spilled_bytes, 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 1000);
}

/* Writes all pages, .a times; each time a larger number. */
static void write_on(struct worker *worker) {
        for (uint64_t i = 1; i <= worker->a; i++)
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        if (*rig_word(worker->at, page, 0) != page + 1000 * (i - 1))
                                worker->result = -1;
                        *rig_word(worker->at, page, 0) = page + 1000 * i;
                }
}

static void test_killed_while_spilling(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *writer = rig_worker(scene.rig, write_on, scene.map, NULL, 3 * N_KILLS, 0);

        for (unsigned i = 0; i < N_KILLS; i++) {
                while (spill_stat(scene.client).spills < 20 + 31 * i && !worker_is_done(writer))
                        sched_yield();
                kill_daemon(&scene);
        }
        worker_join(writer);
        assert_int_equal(writer->result, 0);
        check_memory(&scene, 1000 * 3 * N_KILLS);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 1000 * 3 * N_KILLS);
}

/* At one moment after another of a commit: it ends as if nothing had been. */
static void test_killed_while_writing_out(void **state) {
        struct scene scene = start(rig_here(state));

        for (uint64_t i = 1; i <= N_KILLS; i++) {
                struct worker *writer;

                dirty(&scene, 1000 * i);
                writer = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK | (i % 2 ? BF_WRITEOUT_SYNC : 0), 0);
                while (rig_pool_stat(scene.client).stores < 50 * i && !worker_is_done(writer))
                        sched_yield();
                kill_daemon(&scene);
                worker_join(writer);
                assert_int_equal(writer->result, 0);
                check_file(&scene, 1000 * i);
                check_memory(&scene, 1000 * i);
        }
}

/* Two users of one fileh: both come back, and what one spilled the other sees. */
static void test_shared(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct scene scenes[2];

        start_daemon(rig);
        for (unsigned i = 0; i < 2; i++) {
                scenes[i] = (struct scene) { .rig = rig, .client = rig_client(rig), .path = path };
                scenes[i].fileh = rig_open(scenes[i].client, path, O_RDWR, BF_SHARED);
                scenes[i].map = rig_map(scenes[i].fileh, 0, N_PAGES);
        }
        dirty(&scenes[0], 1000);
        kill_daemon(&scenes[0]);
        check_memory(&scenes[1], 1000);
        dirty(&scenes[1], 2000);
        check_memory(&scenes[0], 2000);
        assert_true(spill_stat(scenes[0].client).spills > 0);
        assert_int_equal(bf_writeout(scenes[0].fileh, RIG_STORE_MARK), 0);
        check_file(&scenes[1], 2000);
}

/* --- much of it ----------------------------------------------------------------------------------------------------------------------------------- */

/* BF_SPILL_MEGABYTES: how much that is. The pool is a sixteenth of it. */
static uint64_t large_bytes(void) {
        const char *text = getenv("BF_SPILL_MEGABYTES");

        return (text ? strtoull(text, NULL, 10) : 32) << 20;
}

static void start_large_daemon(struct rig *rig) {
        char pool[32];

        snprintf(pool, sizeof(pool), "%" PRIu64, large_bytes() / 16);
        rig_daemon(rig, "--pool", pool, "--spill-dir", rig->dir, NULL);
}

/* Every word becomes its number and .a. */
static void fill(struct worker *worker) {
        uint64_t *map = worker->at;

        for (uint64_t i = 0; i < large_bytes() / sizeof(*map); i++)
                map[i] = i ^ worker->a;
}

static void check_words(const uint64_t *words, uint64_t n, uint64_t first, uint64_t value) {
        for (uint64_t i = 0; i < n; i++)
                if (words[i] != ((first + i) ^ value))
                        fail_msg("word %" PRIu64 " is %#" PRIx64 " and not %#" PRIx64, first + i, words[i], (first + i) ^ value);
}

static void check_large_file(const char *path, uint64_t value) {
        static uint64_t words[1 << 17];
        const uint64_t n = sizeof(words) / sizeof(*words);

        for (uint64_t first = 0; first < large_bytes() / sizeof(*words); first += n) {
                assert_int_equal(tempfile_read(path, first * sizeof(*words), words, sizeof(words)), 0);
                check_words(words, n, first, value);
        }
}

/* Fills all of it, and when half of that is done the daemon is killed. */
static void fill_over_a_kill(struct scene *scene, uint64_t value) {
        struct worker *writer = rig_worker(scene->rig, fill, scene->map, NULL, value, 0);

        while (rig_stat(scene->fileh).dirty_bytes < large_bytes() / 2)
                sched_yield();
        daemonproc_kill(&scene->rig->daemon);
        start_large_daemon(scene->rig);
        worker_join(writer);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, large_bytes());
}

/* A transaction of sixteen times the pool, and the daemon is killed in the middle of the filling, of the commit, and of another filling, which is discarded. */
static void test_killed_half_way(void **state) {
        struct scene scene = { .rig = rig_here(state), .path = rig_path(rig_here(state), "large") };
        struct worker *commit;

        watchdog_arm("test_killed_half_way", 600);
        start_large_daemon(scene.rig);
        assert_int_equal(tempfile_make_sparse(scene.path, large_bytes()), 0);
        scene.client = rig_client(scene.rig);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDWR, NULL, &scene.fileh), 0);
        assert_int_equal(bf_mmap(scene.fileh, 0, large_bytes(), PROT_READ | PROT_WRITE, (void **) &scene.map), 0);
        fill_over_a_kill(&scene, 0xabcdef);
        commit = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK, 0);
        while (rig_pool_stat(scene.client).stores < large_bytes() / 2 / RIG_PAGE && !worker_is_done(commit))
                sched_yield();
        daemonproc_kill(&scene.rig->daemon);
        start_large_daemon(scene.rig);
        worker_join(commit);
        assert_int_equal(commit->result, 0);
        check_large_file(scene.path, 0xabcdef);
        fill_over_a_kill(&scene, 0xfedcba);
        assert_int_equal(bf_discard(scene.fileh), 0);
        check_words(scene.map, large_bytes() / sizeof(*scene.map), 0, 0xabcdef);
        check_large_file(scene.path, 0xabcdef);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_commit_after_a_restart),
                RIG_TEST(test_discard_after_a_restart),
                RIG_TEST(test_spilling_turned_off),
                RIG_TEST(test_killed_while_spilling),
                RIG_TEST(test_killed_while_writing_out),
                RIG_TEST(test_shared),
                RIG_TEST(test_killed_half_way),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("restart with spilled pages", tests, NULL, NULL);
}
