/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads under way: rules 8, 15, 19, 21; cases T1-T4, E6, E11, E12, E21. A held read of the file keeps a load going as long as a test needs it. */

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 200

struct scene {
        struct rig *rig;
        struct heldfs *heldfs;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

/* A thread that reads (or writes 1000 + page to word 1 of) this page and sleeps in the fault. */
static struct worker *toucher(const struct scene *scene, uint64_t page, bool write) {
        void *at = (void *) (uintptr_t) rig_word(scene->map, page, write);
        struct worker *worker = rig_worker(scene->rig, write ? worker_write : worker_read, at, NULL, 1000 + page, 0);

        worker_wait_fault(worker);
        return worker;
}

/* A thread whose load of this page is held; how many there are of that page by then. */
static struct worker *held_toucher(const struct scene *scene, uint64_t page, bool write, unsigned n) {
        struct worker *worker;

        heldfs_hold(scene->heldfs, HELDFS_READ, page, 1);
        worker = toucher(scene, page, write);
        heldfs_wait(scene->heldfs, HELDFS_READ, page, n);
        return worker;
}

static void set_file(const struct scene *scene, uint64_t page, uint64_t value) {
        for (size_t i = 0; i < 512; i++)
                ((uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE))[i] = value;
}

static void assert_page(const struct scene *scene, uint64_t page, uint64_t value) {
        for (size_t i = 0; i < 512; i++)
                assert_int_equal(*rig_word(scene->map, page, i), value);
}

/* Lets all that is held go, and waits until the daemon has dealt with it: what it does next for this file it does after that. */
static void let_go(const struct scene *scene) {
        heldfs_clear(scene->heldfs);
        heldfs_wait_idle(scene->heldfs);
        assert_int_equal(bf_load(scene->fileh, 120 * RIG_PAGE, 8 * RIG_PAGE), 0);
}

static void join_reader(struct worker *worker, uint64_t value) {
        worker_join(worker);
        assert_int_equal(worker->hit.signo, 0);
        assert_int_equal(worker->value, value);
}

/* rule 8, T2: the second waits for the first's load */
static void test_two_threads_load_a_page_once(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *first = held_toucher(&scene, 100, false, 1), *second = toucher(&scene, 100, false);

        assert_states(scene.fileh, 100, "G");
        assert_false(worker_is_done(first));
        assert_false(worker_is_done(second));
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        join_reader(first, 100);
        join_reader(second, 100);
        assert_blocks(scene.heldfs, HELDFS_READ, 100);
        assert_states(scene.fileh, 100, "L");
        assert_int_equal(rig_stat(scene.fileh).loads, 1);
}

/* rules 6, 8: readers and a writer, through two mappings, wait for one load */
static void test_readers_and_a_writer_wait_together(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *other = rig_map(scene.fileh, 100, 4);
        struct worker *reader = held_toucher(&scene, 100, false, 1), *writer = toucher(&scene, 100, true), *third;

        third = rig_worker(scene.rig, worker_read, other, NULL, 0, 0);
        worker_wait_fault(third);
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        join_reader(reader, 100);
        join_reader(third, 100);
        worker_join(writer);
        assert_int_equal(writer->hit.signo, 0);
        assert_int_equal(*rig_word(scene.map, 100, 1), 1100);
        assert_int_equal(*rig_word(other, 0, 1), 1100);
        assert_states(scene.fileh, 100, "D");
        assert_blocks(scene.heldfs, HELDFS_READ, 100);
}

/* rule 19, T3: loads of different pages are under way at the same time */
static void test_loads_run_side_by_side(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *workers[8];

        heldfs_hold(scene.heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (uint64_t i = 0; i < 8; i++)
                workers[i] = toucher(&scene, 10 + 20 * i, i % 2);
        heldfs_wait(scene.heldfs, HELDFS_READ, HELDFS_ANY, 8);
        assert_states(scene.fileh, 150, "G");
        heldfs_clear(scene.heldfs);
        for (uint64_t i = 0; i < 8; i++)
                worker_join(workers[i]);
        for (uint64_t i = 0; i < 8; i++)
                assert_states(scene.fileh, 10 + 20 * i, i % 2 ? "D" : "L");
}

/* rule 19: while a load is stuck, everything else of that handle, of others and of other clients goes on; also with more stuck than a queue
 * could hold */
static void test_a_stuck_load_stops_nobody_else(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *same = rig_open(scene.client, rig_identity(scene.rig, "other", 20), O_RDWR, 0);
        struct bf_fileh *other = rig_open(rig_client(scene.rig), scene.rig->paths[0], O_RDONLY, 0);
        struct worker *stuck[20];
        uint64_t *map;

        heldfs_hold(scene.heldfs, HELDFS_READ, HELDFS_ANY, 20);
        for (uint64_t i = 0; i < 20; i++)
                stuck[i] = toucher(&scene, i, false);
        heldfs_wait(scene.heldfs, HELDFS_READ, HELDFS_ANY, 20);
        map = rig_map(same, 0, 20);
        *rig_word(map, 4, 0) = 44;
        assert_int_equal(bf_writeout(same, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(bf_mmap(other, 0, 20 * RIG_PAGE, PROT_READ, (void **) &map), 0);
        assert_int_equal(*rig_word(map, 4, 0), 44);
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        *rig_word(scene.map, 101, 0) = 1;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_load(scene.fileh, 110 * RIG_PAGE, 4 * RIG_PAGE), 0);
        rig_disconnect(scene.rig, scene.rig->clients[1]);
        for (uint64_t i = 0; i < 20; i++)
                assert_false(worker_is_done(stuck[i]));
        heldfs_release(scene.heldfs, HELDFS_READ, HELDFS_ANY);
        for (uint64_t i = 0; i < 20; i++)
                join_reader(stuck[i], i);
}

/* T1: while a load is stuck, another thread invalidates a page of another handle, and of the same */
static void test_invalidate_elsewhere_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *other = rig_open(scene.client, rig_identity(scene.rig, "other", 20), O_RDWR, 0);
        uint64_t *map = rig_map(other, 0, 20);
        struct worker *stuck = held_toucher(&scene, 100, false, 1);

        assert_int_equal(*rig_word(map, 3, 0), 3);
        assert_int_equal(bf_invalidate(other, 3 * RIG_PAGE, RIG_PAGE), 0);
        assert_states(other, 3, "E");
        assert_int_equal(bf_invalidate(scene.fileh, 99 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_discard(scene.fileh), 0); /* a page being loaded is not dirty */
        assert_states(scene.fileh, 100, "G");
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        join_reader(stuck, 100);
        assert_blocks(scene.heldfs, HELDFS_READ, 100);
}

/* rule 15, T4: the load in flight is not used; who waits sees what a new load brings, and does not wait for the old one */
static void test_invalidate_during_the_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *reader;

        set_file(&scene, 100, 1);
        reader = held_toucher(&scene, 100, false, 1);
        set_file(&scene, 100, 2);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        join_reader(reader, 2);
        assert_int_equal(heldfs_n_held(scene.heldfs, HELDFS_READ, 100), 1);
        assert_page(&scene, 100, 2);
        let_go(&scene);
        assert_page(&scene, 100, 2);
        assert_states(scene.fileh, 100, "L");
        rig_wait_resident(scene.client, 9 * RIG_PAGE);
}

/* rule 15: invalidated while it loads for nobody who waits in a fault */
static void test_invalidate_during_bf_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *loader;

        set_file(&scene, 100, 1);
        heldfs_hold(scene.heldfs, HELDFS_READ, 100, 1);
        loader = rig_worker(scene.rig, worker_load, NULL, scene.fileh, 100 * RIG_PAGE, RIG_PAGE);
        heldfs_wait(scene.heldfs, HELDFS_READ, 100, 1);
        set_file(&scene, 100, 2);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        assert_page(&scene, 100, 2);
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        worker_join(loader);
        assert_int_equal(loader->result, 0);
        assert_page(&scene, 100, 2);
}

/*
 * E12: the first load is held with the old content; invalidated; a third thread touches the page and loads it anew; then the stale load ends:
 * its data must go nowhere. Which of them reads or writes, and whether the new load is under way or done when the stale one ends, is in the bits
 * of the variant.
 */
static void check_stale_load(const struct scene *scene, unsigned variant, uint64_t old) {
        bool first_writes = variant & 1, third_writes = variant & 2, second_held = variant & 4;
        struct worker *first, *third;

        set_file(scene, 100, old);
        first = held_toucher(scene, 100, first_writes, 1);
        set_file(scene, 100, old + 1);
        if (second_held)
                heldfs_hold(scene->heldfs, HELDFS_READ, 100, 1);
        assert_int_equal(bf_invalidate(scene->fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        third = toucher(scene, 100, third_writes);
        if (second_held) {
                heldfs_wait(scene->heldfs, HELDFS_READ, 100, 2);
                assert_states(scene->fileh, 100, "G");
        } else {
                worker_join(third);
                worker_join(first);
        }
        let_go(scene);
        worker_join(third);
        worker_join(first);
        assert_int_equal(first->hit.signo | third->hit.signo, 0);
        if (!first_writes)
                assert_int_equal(first->value, old + 1);
        if (!third_writes)
                assert_int_equal(third->value, old + 1);
        for (size_t i = 0; i < 512; i++)
                assert_int_equal(*rig_word(scene->map, 100, i), i == 1 && (first_writes || third_writes) ? 1100 : old + 1);
        assert_states(scene->fileh, 100, first_writes || third_writes ? "D" : "L");
}

static void test_a_stale_load_goes_nowhere(void **state) {
        struct scene scene = start(rig_here(state));

        for (unsigned round = 0; round < 24; round++) {
                check_stale_load(&scene, round % 8, 1 + 10 * round);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                for (; scene.rig->n_workers > 0; scene.rig->n_workers--)
                        worker_free(scene.rig->workers[scene.rig->n_workers - 1]);
        }
}

/* E12 with many: load after load is held and made stale; they end in any order, all nowhere but the last */
static void test_many_stale_loads(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *reader;

        heldfs_hold(scene.heldfs, HELDFS_READ, 100, 10);
        set_file(&scene, 100, 1);
        reader = toucher(&scene, 100, false);
        for (unsigned i = 1; i <= 10; i++) {
                heldfs_wait(scene.heldfs, HELDFS_READ, 100, i);
                set_file(&scene, 100, i + 1);
                assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        }
        join_reader(reader, 11);
        let_go(&scene);
        assert_page(&scene, 100, 11);
}

/* E11: unmapped under a thread that waits: it gets the SIGSEGV that it would get anyway; who waits in another mapping is served */
static void test_munmap_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *other = rig_map(scene.fileh, 100, 4);
        struct worker *first, *second;

        heldfs_hold(scene.heldfs, HELDFS_READ, 100, 1);
        first = rig_worker(scene.rig, worker_read, other, NULL, 0, 0);
        heldfs_wait(scene.heldfs, HELDFS_READ, 100, 1);
        second = toucher(&scene, 100, false);
        assert_int_equal(bf_munmap(other), 0);
        worker_join(first);
        assert_int_equal(first->hit.signo, SIGSEGV);
        assert_false(worker_is_done(second));
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        join_reader(second, 100);
        assert_blocks(scene.heldfs, HELDFS_READ, 100);
}

/* E6, E11, E21: everything is taken away during a load: invalidated, unmapped, closed. The load ends for nobody, and its memory is free again. */
static void check_close(struct scene *scene, bool invalidate) {
        struct worker *reader = held_toucher(scene, 100, false, 1);

        assert_int_equal(bf_close(scene->fileh), -EBUSY);
        if (invalidate) {
                heldfs_hold(scene->heldfs, HELDFS_READ, 100, 1); /* the new load that the reader then asks for */
                assert_int_equal(bf_invalidate(scene->fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        }
        assert_int_equal(bf_munmap(scene->map), 0);
        worker_join(reader);
        assert_int_equal(reader->hit.signo, SIGSEGV);
        assert_int_equal(bf_close(scene->fileh), 0);
        assert_int_equal(rig_pool_stat(scene->client).filehs, 0);
        heldfs_clear(scene->heldfs);
        rig_wait_resident(scene->client, 0);
        scene->fileh = rig_open(scene->client, heldfs_path(scene->heldfs), O_RDWR, 0);
        scene->map = rig_map(scene->fileh, 0, N_PAGES);
        assert_page(scene, 100, 100);
        assert_int_equal(bf_invalidate(scene->fileh, 0, UINT64_MAX), 0);
}

static void test_close_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));

        for (unsigned round = 0; round < 6; round++)
                check_close(&scene, round % 2);
}

/* the same with a load that nobody waits for */
static void test_close_during_advice(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(bf_munmap(scene.map), 0);
        heldfs_hold(scene.heldfs, HELDFS_READ, 100, 1);
        assert_int_equal(bf_advise(scene.fileh, 100 * RIG_PAGE, RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        heldfs_wait(scene.heldfs, HELDFS_READ, 100, 1);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 0);
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        rig_wait_resident(scene.client, 0);
}

/* rule 21: those who wait are woken; meanwhile nobody looks whether it is time yet: neither the daemon nor the library's thread */
static void test_waiting_is_not_polling(void **state) {
        const struct timespec while_watching = { .tv_nsec = 300 * 1000 * 1000 };
        struct scene scene = start(rig_here(state));
        struct daemonproc_usage before, after;
        struct worker *workers[6];
        struct daemonproc self = { .pid = getpid() };
        uint64_t wakeups;

        heldfs_hold(scene.heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (size_t i = 0; i < 6; i++)
                workers[i] = toucher(&scene, i < 3 ? 100 : 100 + i, i % 2);
        heldfs_wait(scene.heldfs, HELDFS_READ, HELDFS_ANY, 4);
        assert_int_equal(daemonproc_usage(&scene.rig->daemon, &before), 0);
        assert_int_equal(daemonproc_usage(&self, &after), 0);
        wakeups = after.n_wakeups;
        nanosleep(&while_watching, NULL);
        assert_int_equal(daemonproc_usage(&scene.rig->daemon, &after), 0);
        assert_in_range(after.n_wakeups - before.n_wakeups, 0, 5);
        assert_int_equal(daemonproc_usage(&self, &after), 0);
        assert_in_range(after.n_wakeups - wakeups, 0, 5);
        heldfs_clear(scene.heldfs);
        for (size_t i = 0; i < 6; i++)
                worker_join(workers[i]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_two_threads_load_a_page_once),
                RIG_TEST(test_readers_and_a_writer_wait_together),
                RIG_TEST(test_loads_run_side_by_side),
                RIG_TEST(test_a_stuck_load_stops_nobody_else),
                RIG_TEST(test_invalidate_elsewhere_during_a_load),
                RIG_TEST(test_invalidate_during_the_load),
                RIG_TEST(test_invalidate_during_bf_load),
                RIG_TEST(test_a_stale_load_goes_nowhere),
                RIG_TEST(test_many_stale_loads),
                RIG_TEST(test_munmap_during_a_load),
                RIG_TEST(test_close_during_a_load),
                RIG_TEST(test_close_during_advice),
                RIG_TEST(test_waiting_is_not_polling),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("loading", tests, NULL, NULL);
}
