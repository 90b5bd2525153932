/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many threads at once: the classic sequences (2 and 16 threads on one page, 16 on pages of their own) and cases T2, T3 in numbers. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200
#define N_THREADS 16

/* Threads begin together. */
struct crowd {
        pthread_barrier_t barrier;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
        uint64_t page;
        atomic_bool stop;
};

/* One reads or writes (its own word of) the page: .a is its number. */
static void touch_together(struct worker *worker) {
        struct crowd *crowd = worker->object;
        void *at = (void *) (uintptr_t) rig_word(crowd->map, crowd->page, worker->a);

        pthread_barrier_wait(&crowd->barrier);
        if (worker->a % 2)
                probe_write(at, 1000 + worker->a, &worker->hit);
        else
                probe_read(at, &worker->value, &worker->hit);
}

static void check_one_page(struct crowd *crowd, unsigned n_threads) {
        struct worker *workers[N_THREADS];
        uint64_t loads = rig_stat(crowd->fileh).loads;

        assert_int_equal(pthread_barrier_init(&crowd->barrier, NULL, n_threads), 0);
        for (uint64_t i = 0; i < n_threads; i++)
                workers[i] = worker_new(touch_together, NULL, crowd, i, 0);
        for (uint64_t i = 0; i < n_threads; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->hit.signo, 0);
                if (i % 2 == 0)
                        assert_int_equal(workers[i]->value, crowd->page);
                assert_int_equal(*rig_word(crowd->map, crowd->page, i), i % 2 ? 1000 + i : crowd->page);
                worker_free(workers[i]);
        }
        pthread_barrier_destroy(&crowd->barrier);
        assert_int_equal(rig_stat(crowd->fileh).loads, loads + 1);
        assert_states(crowd->fileh, crowd->page, "D");
}

static void start_crowd(struct rig *rig, struct crowd *crowd, const char *pool, uint64_t n_pages) {
        rig_daemon(rig, "--pool", pool, NULL);
        crowd->fileh = rig_open(rig_client(rig), rig_identity(rig, "data", n_pages), O_RDWR, 0);
        crowd->map = rig_map(crowd->fileh, 0, n_pages);
        atomic_store(&crowd->stop, false);
}

/* 2 and 16 threads touch one page in the same moment: loaded once, everyone's write is there */
static void test_threads_touch_one_page(void **state) {
        static struct crowd crowd;
        struct rig *rig = rig_here(state);

        start_crowd(rig, &crowd, "64M", N_PAGES);
        for (crowd.page = 0; crowd.page < N_PAGES; crowd.page++)
                check_one_page(&crowd, crowd.page % 2 ? 2 : N_THREADS);
}

/* 16 threads on pages of their own with a slow load: all loads are under way at once */
static void check_slow_loads(struct rig *rig, struct heldfs *heldfs) {
        struct worker *workers[N_THREADS];
        struct bf_fileh *fileh;
        uint64_t *map;

        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (uint64_t i = 0; i < N_THREADS; i++)
                workers[i] = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, i * 10, 0), NULL, 0, 0);
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, N_THREADS);
        for (uint64_t i = 0; i < N_THREADS; i += 3) { /* and they end in whatever order */
                uint64_t last = (N_THREADS - 1 - i) * 10;

                heldfs_release(heldfs, HELDFS_READ, last);
                worker_join(workers[N_THREADS - 1 - i]);
        }
        heldfs_clear(heldfs);
        for (uint64_t i = 0; i < N_THREADS; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->hit.error, 0);
                assert_int_equal(workers[i]->hit.signo, 0);
                assert_int_equal(workers[i]->value, i * 10);
        }
}

static void test_slow_loads_run_side_by_side(void **state) {
        struct rig *rig = rig_here(state);

        rig_daemon(rig, "--pool", "64M", NULL);
        check_slow_loads(rig, rig_heldfs(rig, N_PAGES));
}

/* the same on a file whose reads, for the kernel, are work of the thread that asks */
static void test_slow_synchronous_loads(void **state) {
        struct rig *rig = rig_here(state);

        rig_daemon(rig, "--pool", "64M", NULL);
        check_slow_loads(rig, rig_heldfs_synchronous(rig, N_PAGES));
}

/* one file hangs with more loads than it may have under way; another is read as if nothing were */
static void test_a_hung_file_in_a_small_pool(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *workers[40];
        struct heldfs *heldfs;
        struct bf_fileh *fileh, *other;
        uint64_t *map, *other_map;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        other = rig_open(rig->clients[0], rig_identity(rig, "data", N_PAGES), O_RDWR, 0);
        other_map = rig_map(other, 0, N_PAGES);
        heldfs_hold(heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (uint64_t i = 0; i < 40; i++) {
                workers[i] = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, i * 3, 0), NULL, 0, 0);
                worker_wait_fault(workers[i]);
        }
        heldfs_wait(heldfs, HELDFS_READ, HELDFS_ANY, 1);
        for (uint64_t i = 0; i < 3 * N_PAGES; i++)
                assert_int_equal(*rig_word(other_map, i * 37 % N_PAGES, 0), i * 37 % N_PAGES);
        heldfs_clear(heldfs);
        for (uint64_t i = 0; i < 40; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->value, i * 3);
        }
}

/* Adds 1 to its own word of a random page, .b times. .value: how often over all. */
static void count_up(struct worker *worker) {
        struct crowd *crowd = worker->object;
        unsigned seed = (unsigned) worker->a + 1;

        for (; worker->value < worker->b; worker->value++) {
                volatile uint64_t *word = rig_word(crowd->map, (uint64_t) rand_r(&seed) % N_PAGES, worker->a);

                *word = *word + 1;
        }
}

/* Stores, marks and reclaims until it is told to stop. */
static void store_on(struct worker *worker) {
        struct crowd *crowd = worker->object;

        while (!atomic_load(&crowd->stop) && worker->result == 0) {
                worker->result = bf_writeout(crowd->fileh, RIG_STORE_MARK);
                worker->value++;
        }
}

/*
 * 8 threads count in a pool far smaller than the file, while others store, mark and reclaim as fast as they can: no count is lost between a
 * first write, a store, a mark and an eviction. The threads share all pages and no word.
 */
static void test_no_write_is_lost(void **state) {
        static struct crowd crowd;
        struct rig *rig = rig_here(state);
        struct worker *counters[8], *storer;
        uint64_t sums[8] = {}, words[512];

        start_crowd(rig, &crowd, "512K", N_PAGES);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(tempfile_write(rig->paths[0], page * RIG_PAGE, sums, sizeof(sums)), 0);
        storer = rig_worker(rig, store_on, NULL, &crowd, 0, 0);
        for (uint64_t i = 0; i < 8; i++)
                counters[i] = rig_worker(rig, count_up, NULL, &crowd, i, 10000);
        for (uint64_t i = 0; i < 8; i++) {
                while (!worker_is_done(counters[i]))
                        assert_int_equal(bf_pool_reclaim(rig->clients[0], 16 * RIG_PAGE, NULL), 0);
                worker_join(counters[i]);
        }
        atomic_store(&crowd.stop, true);
        worker_join(storer);
        assert_int_equal(storer->result, 0);
        assert_int_equal(bf_writeout(crowd.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                assert_int_equal(tempfile_read(rig->paths[0], page * RIG_PAGE, words, sizeof(words)), 0);
                for (size_t i = 0; i < 512; i++) {
                        assert_int_equal(*rig_word(crowd.map, page, i), words[i]);
                        if (i < 8)
                                sums[i] += words[i];
                        else
                                assert_int_equal(words[i], page);
                }
        }
        for (size_t i = 0; i < 8; i++)
                assert_int_equal(sums[i], 10000);
        assert_true(rig_stat(crowd.fileh).evictions > 0);
}

/* Reads pages that go as fast as they come, .b times. */
static void read_on(struct worker *worker) {
        struct crowd *crowd = worker->object;
        unsigned seed = (unsigned) worker->a + 1;

        for (; worker->value < worker->b && worker->result == 0; worker->value++) {
                uint64_t page = (uint64_t) rand_r(&seed) % N_PAGES, value = 0;

                if (probe_read((const void *) (uintptr_t) rig_word(crowd->map, page, 7), &value, &worker->hit) != 0 || value != page)
                        worker->result = -EIO;
        }
}

/* Many loads that the kernel does in threads of its own, which come and go and interrupt the daemon: no client is taken for a bad one because of
 * that. */
static void test_loads_in_kernel_threads(void **state) {
        static struct crowd crowd;
        struct rig *rig = rig_here(state);
        struct worker *readers[N_THREADS];
        struct heldfs *heldfs;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        heldfs = rig_heldfs_synchronous(rig, N_PAGES);
        crowd.fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        crowd.map = rig_map(crowd.fileh, 0, N_PAGES);
        for (uint64_t i = 0; i < N_THREADS; i++)
                readers[i] = rig_worker(rig, read_on, NULL, &crowd, i, 1000);
        for (size_t i = 0; i < N_THREADS; i++) {
                worker_join(readers[i]);
                assert_int_equal(readers[i]->hit.error, 0);
                assert_int_equal(readers[i]->hit.signo, 0);
                assert_int_equal(readers[i]->result, 0);
        }
}

/* Maps, looks, unmaps. */
static void map_and_unmap(struct worker *worker) {
        struct crowd *crowd = worker->object;
        unsigned seed = (unsigned) worker->a + 1;

        for (uint64_t i = 0; i < 300 && worker->result == 0; i++) {
                uint64_t page = (uint64_t) rand_r(&seed) % (N_PAGES - 20), at = (uint64_t) rand_r(&seed) % 20;
                uint64_t *map = NULL;

                worker->result = bf_mmap(crowd->fileh, page * RIG_PAGE, 20 * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map);
                if (worker->result < 0)
                        return;
                if (*rig_word(map, at, 9) != page + at)
                        worker->result = -EIO;
                *rig_word(map, at, worker->a) = i;
                if (worker->result == 0)
                        worker->result = bf_munmap(map);
        }
}

/* mappings made, used and unmapped by many threads at once */
static void test_threads_map_and_unmap(void **state) {
        static struct crowd crowd;
        struct rig *rig = rig_here(state);
        struct worker *workers[8];

        start_crowd(rig, &crowd, "64M", N_PAGES);
        for (uint64_t i = 0; i < 8; i++)
                workers[i] = rig_worker(rig, map_and_unmap, NULL, &crowd, i, 0);
        for (size_t i = 0; i < 8; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->result, 0);
        }
        assert_int_equal(rig_pool_stat(rig->clients[0]).mappings, 1);
}

/* Touches page after page of a mapping until there is none any more. .b: writes too. */
static void touch_until_gone(struct worker *worker) {
        struct crowd *crowd = worker->object;

        pthread_barrier_wait(&crowd->barrier);
        for (uint64_t i = worker->a; worker->hit.signo == 0; i += 3) {
                void *at = (void *) (uintptr_t) rig_word(crowd->map, i % 16, worker->a);

                if (worker->b)
                        probe_write(at, i, &worker->hit);
                else
                        probe_read(at, NULL, &worker->hit);
        }
}

/* a mapping goes while threads are touching it, at whatever point of a fault each of them is: each gets SIGSEGV, none is left asleep */
static void test_munmap_under_threads(void **state) {
        static struct crowd crowd;
        struct rig *rig = rig_here(state);

        start_crowd(rig, &crowd, "64M", N_PAGES);
        assert_int_equal(pthread_barrier_init(&crowd.barrier, NULL, 4), 0);
        for (uint64_t round = 0; round < 300; round++) {
                struct worker *workers[3];

                assert_int_equal(bf_invalidate(crowd.fileh, 0, UINT64_MAX), 0);
                crowd.map = rig_map(crowd.fileh, round % 100, 16);
                for (uint64_t i = 0; i < 3; i++)
                        workers[i] = worker_new(touch_until_gone, NULL, &crowd, i, (round + i) % 2);
                pthread_barrier_wait(&crowd.barrier);
                assert_int_equal(bf_munmap(crowd.map), 0);
                for (size_t i = 0; i < 3; i++) {
                        worker_join(workers[i]);
                        assert_int_equal(workers[i]->hit.signo, SIGSEGV);
                        worker_free(workers[i]);
                }
        }
        pthread_barrier_destroy(&crowd.barrier);
}

/* A thread is cancelled inside a call: the call comes to its end, and the library is as before. */
static void load_and_be_cancelled(struct worker *worker) {
        worker_load(worker);
        worker->value = 1;
        pthread_testcancel();
        worker->value = 2;
}

static void test_cancelled_thread(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *worker;
        struct heldfs *heldfs;
        struct bf_fileh *fileh;

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        heldfs_hold(heldfs, HELDFS_READ, 5, 1);
        worker = rig_worker(rig, load_and_be_cancelled, NULL, fileh, 5 * RIG_PAGE, RIG_PAGE);
        heldfs_wait(heldfs, HELDFS_READ, 5, 1);
        assert_int_equal(pthread_cancel(worker->thread), 0);
        assert_int_equal(bf_load(fileh, 6 * RIG_PAGE, RIG_PAGE), 0);
        heldfs_release(heldfs, HELDFS_READ, 5);
        worker_join(worker);
        assert_int_equal(worker->result, 0);
        assert_int_equal(worker->value, 1);
        assert_states(fileh, 4, "ELLE");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_threads_touch_one_page),
                RIG_TEST(test_slow_loads_run_side_by_side),
                RIG_TEST(test_slow_synchronous_loads),
                RIG_TEST(test_a_hung_file_in_a_small_pool),
                RIG_TEST(test_no_write_is_lost),
                RIG_TEST(test_loads_in_kernel_threads),
                RIG_TEST(test_threads_map_and_unmap),
                RIG_TEST(test_munmap_under_threads),
                RIG_TEST(test_cancelled_thread),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
