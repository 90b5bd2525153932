/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings that change while the daemon serves: no client is dropped, no page lost, and who waits for what a setting allows now is let on. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 1000

struct scene {
        struct rig *rig;
        const char *config;
        unsigned n_reloads;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map; /* of all pages */
};

static void write_config(struct scene *scene, const char *lines) {
        FILE *file = fopen(scene->config, "we");

        assert_non_null(file);
        fprintf(file, "reclaim-batch = %u\n%s\n", ++scene->n_reloads, lines);
        assert_int_equal(fclose(file), 0);
}

static struct scene start(struct rig *rig, const char *lines) {
        struct scene scene = { .rig = rig, .config = rig_path(rig, "bigfiled.conf") };

        write_config(&scene, lines);
        rig_daemon(rig, "--config", scene.config, NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

/* Another configuration is in force when it returns: the daemon tells which batch it has now, and answers after that. */
static void reload(struct scene *scene, const char *lines) {
        char told[64];

        write_config(scene, lines);
        snprintf(told, sizeof(told), "reclaim-batch: %u, it was", scene->n_reloads);
        assert_int_equal(kill(scene->rig->daemon.pid, SIGHUP), 0);
        while (!daemonproc_says(&scene->rig->daemon, told))
                sched_yield();
        (void) rig_pool_stat(scene->client);
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

/* Pages from first on, n of them, are dirty, or as in the file. */
static void assert_content(const struct scene *scene, uint64_t n_dirty) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene->map, page, 0), page < n_dirty ? page + 5000 : page);
}

static void make_dirty(const struct scene *scene, uint64_t n) {
        for (uint64_t page = 0; page < n; page++)
                *rig_word(scene->map, page, 0) = page + 5000;
}

/* Nobody touches anything: reclaim follows by itself, and what is dirty is spilled. */
static void test_a_smaller_pool(void **state) {
        struct scene scene = start(rig_here(state), "pool = 8M");

        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        make_dirty(&scene, 400);
        assert_int_equal(rig_pool_stat(scene.client).resident_bytes, N_PAGES * RIG_PAGE);
        reload(&scene, "pool = 1M");
        assert_int_equal(rig_pool_stat(scene.client).pool_bytes, 1 << 20);
        while (rig_pool_stat(scene.client).resident_bytes > 1 << 20)
                sched_yield();
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 400 * RIG_PAGE);
        assert_content(&scene, 400);
        assert_true(rig_pool_stat(scene.client).resident_bytes <= 1 << 20);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(scene.path, page), page < 400 ? page + 5000 : page);
}

/* All that is dirty stays, though it is more than fits, where nothing can be spilled; what is clean goes; a writeout makes it fit. */
static void test_a_pool_smaller_than_what_is_dirty(void **state) {
        struct scene scene = start(rig_here(state), "pool = 8M\nspill-dir = none\nroom-timeout = 0.1");
        struct probe_hit hit;

        assert_content(&scene, 0);
        make_dirty(&scene, 400);
        reload(&scene, "pool = 256K\nspill-dir = none\nroom-timeout = 0.1");
        rig_wait_resident(scene.client, 400 * RIG_PAGE);
        for (uint64_t page = 0; page < 400; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 5000);
        assert_int_equal(probe_read(at(&scene, 500), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ENOMEM);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_invalidate(scene.fileh, 500 * RIG_PAGE, RIG_PAGE), 0);
        assert_content(&scene, 400);
        assert_true(rig_pool_stat(scene.client).resident_bytes <= 256 << 10);
}

/* Who waits for something that a setting allows now goes on at once: he would wait for 1000 seconds otherwise. */
static void check_let_on(void **state, const char *before, const char *after, uint64_t n_dirty, uint64_t waits_at) {
        struct scene scene = start(rig_here(state), before);
        struct worker *waiter;

        make_dirty(&scene, n_dirty);
        waiter = rig_worker(scene.rig, worker_write, at(&scene, waits_at), NULL, waits_at + 5000, 0);
        worker_wait_fault(waiter);
        (void) rig_pool_stat(scene.client);
        assert_false(worker_is_done(waiter));
        reload(&scene, after);
        worker_join(waiter);
        assert_int_equal(waiter->hit.signo, 0);
        assert_int_equal(*rig_word(scene.map, waits_at, 0), waits_at + 5000);
        assert_content(&scene, waits_at == n_dirty ? n_dirty + 1 : n_dirty);
}

static void test_a_larger_pool(void **state) {
        check_let_on(state, "pool = 256K\nspill-dir = none\nroom-timeout = 1000", "pool = 8M", 64, 64);
}

static void test_more_room_to_spill(void **state) {
        check_let_on(state, "pool = 256K\nspill-size = 0\nroom-timeout = 1000", "pool = 256K\nspill-size = 64M", 64, 64);
}

static void test_more_dirty_bytes(void **state) {
        check_let_on(state, "pool = 8M\nuid-dirty = 2M\nroom-timeout = 1000", "pool = 8M\nuid-dirty = 4M", 512, 512);
}

/* Of a user who has more than he may now, nothing is taken; he gets no more. */
static void test_fewer_of_everything(void **state) {
        struct scene scene = start(rig_here(state), "");
        struct bf_client *second = rig_client(scene.rig), *third = NULL;
        struct bf_fileh *other = rig_open(second, scene.path, O_RDWR, 0), *more = NULL;
        uint64_t *map = rig_map(other, 0, N_PAGES);
        void *more_map = NULL;

        make_dirty(&scene, 600);
        reload(&scene, "uid-peers = 1\nuid-handles = 1\nuid-mappings = 1\nuid-dirty = 2M");
        assert_int_equal(bf_connect(&third, rig_address(scene.rig)), -EUSERS);
        assert_int_equal(bf_open(second, scene.path, O_RDWR, NULL, &more), -EUSERS);
        assert_int_equal(bf_mmap(other, 0, RIG_PAGE, PROT_READ, &more_map), -EUSERS);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        assert_content(&scene, 600);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        make_dirty(&scene, 100);
        reload(&scene, "");
        assert_int_equal(bf_mmap(other, 0, RIG_PAGE, PROT_READ, &more_map), 0);
        (void) rig_client(scene.rig);
}

/* --- under load ----------------------------------------------------------------------------------------------------------------------------------- */

struct writing {
        struct scene *scene;
        uint64_t values[N_PAGES];
        uint64_t n_wrong;
        atomic_ulong n_writes;
        atomic_bool is_over;
};

static void *write_on(void *arg) {
        struct writing *writing = arg;
        uint64_t *map = writing->scene->map;

        for (uint64_t i = 1; !atomic_load(&writing->is_over); i++) {
                uint64_t page = i * 7 % N_PAGES, other = i * 31 % N_PAGES;

                *rig_word(map, page, 0) = writing->values[page] = i;
                writing->n_wrong += *rig_word(map, other, 0) != writing->values[other];
                if (i % 300 == 0)
                        writing->n_wrong += bf_writeout(writing->scene->fileh, RIG_STORE_MARK) < 0;
                atomic_fetch_add(&writing->n_writes, 1);
        }
        return NULL;
}

static void test_reloads_under_load(void **state) {
        static struct writing writing;
        struct scene scene = start(rig_here(state), "pool = 1M");
        pthread_t thread;

        writing = (struct writing) { .scene = &scene };
        for (uint64_t page = 0; page < N_PAGES; page++)
                writing.values[page] = page;
        assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
        for (unsigned i = 0; i < 60; i++) {
                static const char *const pools[] = { "pool = 8M", "pool = 256K", "pool = 2M\nuid-dirty = 2M", "pool = 512K\nspill-size = 2M" };
                unsigned long goal = atomic_load(&writing.n_writes) + 100;

                reload(&scene, pools[i % 4]);
                while (atomic_load(&writing.n_writes) < goal)
                        sched_yield();
        }
        atomic_store(&writing.is_over, true);
        pthread_join(thread, NULL);
        assert_int_equal(writing.n_wrong, 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(scene.path, page), writing.values[page]);
        assert_true(rig_pool_stat(scene.client).resident_bytes <= 512 << 10);
        assert_int_equal(rig_pool_stat(scene.client).peers, 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_smaller_pool),
                RIG_TEST(test_a_pool_smaller_than_what_is_dirty),
                RIG_TEST(test_a_larger_pool),
                RIG_TEST(test_more_room_to_spill),
                RIG_TEST(test_more_dirty_bytes),
                RIG_TEST(test_fewer_of_everything),
                RIG_TEST(test_reloads_under_load),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
