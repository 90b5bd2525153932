/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon is gone, and the client does not wait for another: calls fail, touches that would need it are SIGBUS, nothing hangs, and no page ever reads as
 * zeros. (Rule 30, a restart: tests/e2e/test_restart.c.) */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100

struct scene {
        struct rig *rig;
        struct heldfs *heldfs;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

/* Page 10 is loaded, page 11 dirty, page 12 not there. */
static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 0) = 1100;
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

/* What is there may be seen until the client is told; in no case is anything else seen than what was there. */
static void assert_value_or_sigbus(const struct scene *scene, uint64_t page, uint64_t expected) {
        uint64_t value = expected;

        assert_true(probe_read(at(scene, page), &value, NULL) == 0 || value == expected);
        assert_int_equal(value, expected);
}

static void check_gone(struct scene *scene) {
        struct bf_pool_stat pool_stat;
        struct bf_fileh *fileh;
        struct bf_stat stat;
        void *map = NULL;

        assert_int_equal(bf_discard(scene->fileh), -ENOTCONN);
        assert_int_equal(bf_open(scene->client, heldfs_path(scene->heldfs), O_RDWR, NULL, &fileh), -ENOTCONN);
        assert_int_equal(bf_mmap(scene->fileh, 0, RIG_PAGE, PROT_READ, &map), -ENOTCONN);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), -ENOTCONN);
        assert_int_equal(bf_invalidate(scene->fileh, 0, UINT64_MAX), -ENOTCONN);
        assert_int_equal(bf_load(scene->fileh, 0, RIG_PAGE), -ENOTCONN);
        assert_int_equal(bf_advise(scene->fileh, 0, RIG_PAGE, BF_ADVICE_WILLNEED), -ENOTCONN);
        assert_int_equal(bf_stat(scene->fileh, &stat), -ENOTCONN);
        assert_int_equal(bf_pool_stat(scene->client, &pool_stat), -ENOTCONN);
        assert_int_equal(bf_pool_reclaim(scene->client, 0, NULL), -ENOTCONN);
        assert_null(map);
        for (uint64_t page = 12; page < 20; page++)
                assert_int_equal(page % 2 ? probe_write(at(scene, page), 1, NULL) : probe_read(at(scene, page), NULL, NULL), SIGBUS);
        assert_int_equal(probe_write(at(scene, 10), 5, NULL), SIGBUS); /* it would have to become dirty */
        assert_value_or_sigbus(scene, 10, 10);
        assert_value_or_sigbus(scene, 11, 1100);
        assert_int_equal(*(uint64_t *) heldfs_content(scene->heldfs, 11 * RIG_PAGE), 11);
}

static void check_taking_down(struct scene *scene) {
        assert_int_equal(bf_close(scene->fileh), -EBUSY);
        assert_int_equal(bf_munmap(scene->map), 0);
        assert_int_equal(probe_read(scene->map, NULL, NULL), SIGSEGV);
        assert_int_equal(bf_munmap(scene->map), -EINVAL);
        assert_int_equal(bf_close(scene->fileh), 0);
}

static void test_killed(void **state) {
        struct scene scene = start(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        check_gone(&scene);
        check_taking_down(&scene);
}

/* ended in order while a client is there, with dirty pages: exit status 0, and the same for the client */
static void test_ended(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        check_gone(&scene);
        check_taking_down(&scene);
}

/* threads in a fault and in calls when the daemon goes: each comes out of it */
static void test_killed_while_threads_wait(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct worker *reader, *writer, *loader, *writeout;

        heldfs_hold(scene.heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        heldfs_hold(scene.heldfs, HELDFS_WRITE, HELDFS_ANY, HELDFS_ALWAYS);
        reader = rig_worker(rig, worker_read, at(&scene, 30), NULL, 0, 0);
        writer = rig_worker(rig, worker_write, at(&scene, 31), NULL, 1, 0);
        loader = rig_worker(rig, worker_load, NULL, scene.fileh, 32 * RIG_PAGE, RIG_PAGE);
        writeout = rig_worker(rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK, 0);
        heldfs_wait(scene.heldfs, HELDFS_READ, HELDFS_ANY, 3);
        heldfs_wait(scene.heldfs, HELDFS_WRITE, 11, 1);
        assert_int_equal(kill(rig->daemon.pid, SIGKILL), 0);
        heldfs_clear(scene.heldfs); /* a process with a read that hangs ends only when the read does */
        daemonproc_wait(&rig->daemon);
        worker_join(reader);
        worker_join(writer);
        worker_join(loader);
        worker_join(writeout);
        assert_int_equal(reader->hit.signo, SIGBUS);
        assert_int_equal(writer->hit.signo, SIGBUS);
        assert_int_equal(loader->result, -ENOTCONN);
        assert_int_equal(writeout->result, -ENOTCONN);
        check_taking_down(&scene);
}

struct readers {
        uint64_t *map;
        atomic_uint n_ready;
};

static void read_on(struct worker *worker) {
        struct readers *readers = worker->object;
        unsigned seed = (unsigned) worker->a;

        for (uint64_t i = 0;; i++) {
                uint64_t page = (uint64_t) rand_r(&seed) % N_PAGES, value = 0;

                if (i == 50)
                        atomic_fetch_add(&readers->n_ready, 1);
                if (probe_read((const void *) (uintptr_t) rig_word(readers->map, page, i % 512), &value, &worker->hit) != 0)
                        return;
                if (value != page + 1)
                        worker->result = -EIO;
        }
}

/* many threads read pages that come and go while the daemon is killed: right values, then SIGBUS, never zeros */
static void test_killed_under_readers(void **state) {
        static struct readers readers;
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "data");
        struct worker *workers[4];
        uint64_t words[512];

        for (uint64_t page = 0; page < N_PAGES; page++) {
                for (size_t i = 0; i < 512; i++)
                        words[i] = page + 1; /* nowhere zero */
                if (page == 0)
                        assert_int_equal(tempfile_make_sparse(path, N_PAGES * RIG_PAGE), 0);
                assert_int_equal(tempfile_write(path, page * RIG_PAGE, words, sizeof(words)), 0);
        }
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        atomic_store(&readers.n_ready, 0);
        readers.map = rig_map(rig_open(rig_client(rig), path, O_RDWR, 0), 0, N_PAGES);
        for (uint64_t i = 0; i < 4; i++)
                workers[i] = rig_worker(rig, read_on, NULL, &readers, i + 1, 0);
        while (atomic_load(&readers.n_ready) < 4)
                assert_int_equal(bf_pool_reclaim(rig->clients[0], 8 * RIG_PAGE, NULL), 0);
        daemonproc_kill(&rig->daemon);
        for (size_t i = 0; i < 4; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->result, 0);
                assert_int_equal(workers[i]->hit.signo, SIGBUS);
        }
}

/* bf_disconnect() alone, with everything still open; and a new daemon serves the same program */
static void test_disconnect_and_start_anew(void **state) {
        struct scene scene = start(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        rig_disconnect(scene.rig, scene.client);
        assert_int_equal(probe_read(at(&scene, 10), NULL, NULL), SIGSEGV);
        rig_daemon(scene.rig, "--pool", "64M", NULL);
        scene.fileh = rig_open(rig_client(scene.rig), heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 11, 0), 11);
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed),
                RIG_TEST(test_ended),
                RIG_TEST(test_killed_while_threads_wait),
                RIG_TEST(test_killed_under_readers),
                RIG_TEST(test_disconnect_and_start_anew),
        };

        setenv("BIGFILED_RECONNECT_TIMEOUT", "0", 1);
        watchdog_start();
        return cmocka_run_group_tests_name("daemon gone", tests, NULL, NULL);
}
