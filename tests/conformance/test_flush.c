/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Stable storage: a flush that fails puts all in doubt that was stored since the last good one, by whichever writeout, and it is dirty again; also by
 * a daemon that was killed meanwhile. What SYNC means for the pages of its own writeout: test_writeout.c.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 2000
#define RIG_STORE_MARK_SYNC (RIG_STORE_MARK | BF_WRITEOUT_SYNC)

struct scene {
        struct rig *rig;
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static void start_daemon(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", NULL);
}

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        start_daemon(rig);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static void write_pages(const struct scene *scene, uint64_t first, uint64_t n, uint64_t plus) {
        for (uint64_t page = first; page < first + n; page++)
                *rig_word(scene->map, page, 0) = page + plus;
}

static uint64_t stored_word(const struct scene *scene, uint64_t page) {
        return *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE);
}

/* What a disk does that takes a store and loses it. */
static void lose_stored(const struct scene *scene, uint64_t first, uint64_t n) {
        for (uint64_t page = first; page < first + n; page++)
                *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE) = page;
}

static void fail_flushes(const struct scene *scene, unsigned n) {
        heldfs_fail(scene->heldfs, HELDFS_FSYNC, HELDFS_ANY, 0, n, EIO);
}

/* four pages at 10, stored, marked and not flushed; one at 20 written */
static struct scene start_in_doubt(struct rig *rig) {
        struct scene scene = start(rig);

        write_pages(&scene, 10, 4, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_states(scene.fileh, 10, "LLLL");
        write_pages(&scene, 20, 1, 1000);
        heldfs_forget(scene.heldfs);
        return scene;
}

static void check_all_is_stored(const struct scene *scene) {
        heldfs_forget(scene->heldfs);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK_SYNC), 0);
        assert_blocks(scene->heldfs, HELDFS_WRITE, 10, 11, 12, 13, 20);
        assert_states(scene->fileh, 10, "LLLL");
        assert_states(scene->fileh, 20, "L");
        for (uint64_t page = 10; page < 14; page++)
                assert_int_equal(stored_word(scene, page), page + 1000);
        assert_int_equal(stored_word(scene, 20), 1020);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 0);
}

/* and what was lost is stored again, from memory */
static void test_earlier_writeouts(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));

        fail_flushes(&scene, 2);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "DDDD");
        assert_states(scene.fileh, 20, "D");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 5 * RIG_PAGE);
        assert_int_equal(rig_pool_stat(scene.rig->clients[0]).dirty_bytes, 5 * RIG_PAGE);
        assert_true(daemonproc_says(&scene.rig->daemon, "4 pages of earlier writeouts are dirty again"));
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        lose_stored(&scene, 10, 4);
        check_all_is_stored(&scene);
}

/* pages of which a flush has told that they are safe stay so */
static void test_flushed_before(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, 10, 4, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        write_pages(&scene, 14, 2, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        assert_states(scene.fileh, 10, "LLLLLL");
        write_pages(&scene, 20, 2, 1000);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "LLLLLL");
        assert_states(scene.fileh, 20, "DD");
}

/* a flush with nothing to store is one, too */
static void test_flush_alone(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, 10, 2, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "DD");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        assert_int_equal(heldfs_count(scene.heldfs, HELDFS_FSYNC), 1);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "LL");
}

/* marked apart from their store, whether that was with SYNC or not: a mark is the caller's word, a flush after it is the file's */
static void test_marked_apart(void **state) {
        struct scene scene = start(rig_here(state));

        for (unsigned sync = 0; sync <= BF_WRITEOUT_SYNC; sync += BF_WRITEOUT_SYNC) {
                write_pages(&scene, 10, 2, 1000);
                assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE | sync), 0);
                assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
                assert_states(scene.fileh, 10, "LL");
                fail_flushes(&scene, 1);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
                assert_states(scene.fileh, 10, "DD");
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
                assert_states(scene.fileh, 10, "LL");
        }
}

/* what becomes of a page between its store and the flush: written, discarded, invalidated, evicted, read */
static void test_touched_meanwhile(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *worker;

        write_pages(&scene, 10, 6, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        write_pages(&scene, 20, 1, 1000);
        heldfs_hold(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        fail_flushes(&scene, 1);
        worker = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK_SYNC, 0);
        heldfs_wait(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        *rig_word(scene.map, 11, 1) = 5;
        assert_states(scene.fileh, 10, "LDLLLL");
        assert_int_equal(bf_discard(scene.fileh), 0); /* to what was stored */
        assert_int_equal(bf_invalidate(scene.fileh, 12 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 13, 0), 1013);
        *rig_word(scene.map, 14, 1) = 6;
        assert_states(scene.fileh, 10, "LEELDL");
        heldfs_release(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY);
        worker_join(worker);
        assert_int_equal(worker->result, -EIO);
        assert_states(scene.fileh, 10, "DEEDDD");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 4 * RIG_PAGE);
        assert_int_equal(*rig_word(scene.map, 12, 0), 1012);
        heldfs_forget(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 10, 13, 14, 15);
}

/* a page that is no longer in RAM cannot be stored again: that is said, and nothing else is wrong */
static void test_evicted(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));

        rig_reclaim(scene.rig->clients[0], 2);
        assert_states(scene.fileh, 10, "EELL");
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "EEDD");
        assert_true(daemonproc_says(&scene.rig->daemon, "2 pages in doubt are no longer in RAM"));
        assert_int_equal(*rig_word(scene.map, 10, 0), 1010);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 20, 12, 13, 20);
}

/* pages dirty again are write-protected, as they were when clean: a write is seen, and needs no load */
static void test_written_afterwards(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));
        uint64_t loads = rig_stat(scene.fileh).loads;

        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_access(rig_word(scene.map, 10, 0), "RRRR");
        *rig_word(scene.map, 10, 1) = 77;
        assert_access(rig_word(scene.map, 10, 0), "WRRR");
        assert_int_equal(rig_stat(scene.fileh).loads, loads);
        check_all_is_stored(&scene);
        assert_int_equal(*(uint64_t *) heldfs_content(scene.heldfs, 10 * RIG_PAGE + 8), 77);
}

/* discard takes back a transaction that is in doubt like any other that is dirty */
static void test_discarded_afterwards(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));

        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_states(scene.fileh, 10, "EEEE");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        lose_stored(&scene, 10, 1);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        assert_int_equal(*rig_word(scene.map, 11, 0), 1011);
}

/* more than one step of the daemon's work */
static void test_many_pages(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, 0, N_PAGES, 5000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
        lose_stored(&scene, 0, N_PAGES);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(stored_word(&scene, page), page + 5000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
}

/* users of a shared fileh: what one stored is dirty again when the flush of another fails */
static void test_shared(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig }, other;

        start_daemon(rig);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        other = scene;
        scene.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, BF_SHARED);
        other.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, BF_SHARED);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        other.map = rig_map(other.fileh, 0, N_PAGES);
        write_pages(&scene, 10, 4, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        write_pages(&other, 20, 1, 1000);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(other.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "DDDD");
        check_all_is_stored(&scene);
}

/* handles that are not shared know each of its own pages only */
static void test_apart(void **state) {
        struct scene scene = start_in_doubt(rig_here(state)), other = scene;

        other.fileh = rig_open(scene.rig->clients[0], heldfs_path(scene.heldfs), O_RDWR, 0);
        other.map = rig_map(other.fileh, 0, N_PAGES);
        write_pages(&other, 30, 2, 1000);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(other.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(other.fileh, 30, "DD");
        assert_states(scene.fileh, 10, "LLLL");
        fail_flushes(&scene, 1); /* a file system says so on each descriptor that was open */
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        check_all_is_stored(&scene);
}

/* the daemon is killed between the store and the flush: the next one knows what is in doubt */
static void test_restart(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        start_daemon(scene.rig);
        assert_states(scene.fileh, 10, "LLLL");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        fail_flushes(&scene, 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 10, "DDDD");
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(scene.rig);
        check_all_is_stored(&scene);
}

/* killed while it flushes: whether it was told of an error, which is told once, nobody knows. The flush that the library asks for again succeeds. */
static void test_killed_while_flushing(void **state) {
        struct scene scene = start_in_doubt(rig_here(state));
        struct worker *worker;

        heldfs_hold(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        fail_flushes(&scene, 1);
        worker = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK_SYNC, 0);
        heldfs_wait(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 20);
        lose_stored(&scene, 10, 4);
        assert_int_equal(kill(scene.rig->daemon.pid, SIGKILL), 0);
        heldfs_release(scene.heldfs, HELDFS_FSYNC, HELDFS_ANY); /* it ends when its requests do */
        daemonproc_wait(&scene.rig->daemon);
        heldfs_clear(scene.heldfs);
        heldfs_forget(scene.heldfs);
        start_daemon(scene.rig);
        worker_join(worker);
        assert_int_equal(worker->result, 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 10, 11, 12, 13, 20);
        assert_int_equal(stored_word(&scene, 10), 1010);
        assert_states(scene.fileh, 10, "LLLL");

        /* and once its answer was carried out, all is well again: a daemon after that believes the ledger */
        write_pages(&scene, 40, 1, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(scene.rig);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_states(scene.fileh, 40, "L");
}

/* a transaction larger than the pool: what was spilled is dirty again, too, and nothing of it is gone */
static void test_larger_than_the_pool(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig };

        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.fileh = rig_open(rig_client(rig), heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        write_pages(&scene, 0, 5 * RIG_SMALL_PAGES, 5000);
        for (int i = 0; i < 2; i++) {
                fail_flushes(&scene, 1);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), -EIO);
                lose_stored(&scene, 0, 5 * RIG_SMALL_PAGES);
        }
        heldfs_forget(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK_SYNC), 0);
        for (uint64_t page = 0; page < 5 * RIG_SMALL_PAGES; page++)
                assert_int_equal(stored_word(&scene, page), page + 5000);
        assert_false(daemonproc_says(&rig->daemon, "no longer in RAM"));
}

/* --- at random ---------------------------------------------------------------------------------------------------------------------------------- */

#define RANDOM_PAGES 200
#define RANDOM_STEPS 400

/* A disk that keeps what it was given only after a flush, and loses it when a flush fails. */
struct lossy {
        struct scene scene;
        uint64_t model[RANDOM_PAGES];   /* the first word of each page, as it was written last */
        uint64_t durable[RANDOM_PAGES]; /* the same on stable storage */
        unsigned seed;
        unsigned n_failed, n_good, n_killed;
};

static unsigned lossy_random(struct lossy *lossy, unsigned n) {
        return (unsigned) rand_r(&lossy->seed) % n;
}

/* A flush has ended: the disk keeps what it has, or has what it kept. */
static void lossy_flushed(struct lossy *lossy, bool is_good) {
        for (uint64_t page = 0; page < RANDOM_PAGES; page++) {
                uint64_t *stored = heldfs_content(lossy->scene.heldfs, page * RIG_PAGE);

                if (is_good)
                        lossy->durable[page] = *stored;
                else
                        *stored = lossy->durable[page];
        }
}

/* A writeout with SYNC succeeded: all that was ever written is there. */
static void lossy_check(struct lossy *lossy) {
        lossy_flushed(lossy, true);
        lossy->n_good++;
        for (uint64_t page = 0; page < RANDOM_PAGES; page++)
                if (lossy->durable[page] != lossy->model[page])
                        fail_msg("page %llu has %llu, not %llu", (unsigned long long) page, (unsigned long long) lossy->durable[page],
                                 (unsigned long long) lossy->model[page]);
}

static void lossy_write(struct lossy *lossy) {
        for (unsigned i = lossy_random(lossy, 6); i > 0; i--) {
                unsigned page = lossy_random(lossy, RANDOM_PAGES);

                lossy->model[page] = (uint64_t) rand_r(&lossy->seed);
                *rig_word(lossy->scene.map, page, 0) = lossy->model[page];
        }
}

static void lossy_store(struct lossy *lossy) {
        bool is_apart = lossy_random(lossy, 2);

        assert_int_equal(bf_writeout(lossy->scene.fileh, is_apart ? BF_WRITEOUT_STORE : RIG_STORE_MARK), 0);
        if (is_apart)
                assert_int_equal(bf_writeout(lossy->scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
}

static void lossy_flush(struct lossy *lossy) {
        bool fails = lossy_random(lossy, 2);

        if (fails)
                fail_flushes(&lossy->scene, 1);
        assert_int_equal(bf_writeout(lossy->scene.fileh, RIG_STORE_MARK_SYNC), fails ? -EIO : 0);
        heldfs_clear(lossy->scene.heldfs);
        lossy->n_failed += fails;
        if (fails)
                lossy_flushed(lossy, false);
        else
                lossy_check(lossy);
}

static void lossy_kill(struct lossy *lossy) {
        daemonproc_kill(&lossy->scene.rig->daemon);
        start_daemon(lossy->scene.rig);
        lossy->n_killed++;
}

/* What came of that flush the daemon never told; that of the next one it does. */
static void lossy_kill_flushing(struct lossy *lossy) {
        struct scene *scene = &lossy->scene;
        bool fails = lossy_random(lossy, 2);
        struct worker *worker;

        heldfs_hold(scene->heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        if (fails)
                fail_flushes(scene, 1);
        worker = rig_worker(scene->rig, worker_writeout, NULL, scene->fileh, RIG_STORE_MARK_SYNC, 0);
        heldfs_wait(scene->heldfs, HELDFS_FSYNC, HELDFS_ANY, 1);
        assert_int_equal(kill(scene->rig->daemon.pid, SIGKILL), 0);
        heldfs_clear(scene->heldfs);
        daemonproc_wait(&scene->rig->daemon);
        lossy_flushed(lossy, !fails);
        start_daemon(scene->rig);
        worker_join(worker);
        assert_int_equal(worker->result, 0);
        lossy_check(lossy);
        lossy->n_killed++;
}

/* commits with and without SYNC, flushes that fail, daemons that are killed: when SYNC says yes, nothing is lost */
static void test_random(void **state) {
        const char *seed = getenv("BF_MODEL_SEED");
        struct lossy lossy = { .scene = start(rig_here(state)), .seed = seed ? (unsigned) atoi(seed) : 20 };

        for (uint64_t page = 0; page < RANDOM_PAGES; page++)
                lossy.model[page] = lossy.durable[page] = page;
        print_message("seed %u\n", lossy.seed);
        for (int i = 0; i < RANDOM_STEPS; i++) {
                unsigned n = lossy_random(&lossy, 40);

                lossy_write(&lossy);
                if (n < 16)
                        lossy_store(&lossy);
                else if (n < 32)
                        lossy_flush(&lossy);
                else if (n < 37)
                        lossy_kill(&lossy);
                else if (n == 37)
                        lossy_kill_flushing(&lossy);
        }
        print_message("%u flushes went well, %u failed, %u daemons were killed\n", lossy.n_good, lossy.n_failed, lossy.n_killed);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_earlier_writeouts),
                RIG_TEST(test_flushed_before),
                RIG_TEST(test_flush_alone),
                RIG_TEST(test_marked_apart),
                RIG_TEST(test_touched_meanwhile),
                RIG_TEST(test_evicted),
                RIG_TEST(test_written_afterwards),
                RIG_TEST(test_discarded_afterwards),
                RIG_TEST(test_many_pages),
                RIG_TEST(test_shared),
                RIG_TEST(test_apart),
                RIG_TEST(test_restart),
                RIG_TEST(test_killed_while_flushing),
                RIG_TEST(test_larger_than_the_pool),
                RIG_TEST(test_random),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
