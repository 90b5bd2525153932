/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads that fail, or bring less than was asked for: rule 20; cases E5. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200
#define N_REMEMBERED UINT64_C(65536) /* failures of one user */
#define N_FAILURES (N_REMEMBERED + 2000)

struct scene {
        struct heldfs *heldfs;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start(struct rig *rig) {
        struct scene scene;

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

/* A touch that must end in SIGBUS, there, for this reason. */
static void assert_sigbus(const volatile uint64_t *at, bool write, int error) {
        struct probe_hit hit;
        int told = 0;

        if (write)
                probe_write((void *) (uintptr_t) at, 1, &hit);
        else
                probe_read((const void *) (uintptr_t) at, NULL, &hit);
        assert_int_equal(hit.signo, SIGBUS);
        assert_int_equal((uintptr_t) hit.address / RIG_PAGE, (uintptr_t) at / RIG_PAGE);
        assert_int_equal(hit.known, 0);
        assert_int_equal(hit.error, error);
        assert_int_equal(bf_fault_error((const void *) (uintptr_t) at, &told), 0); /* also outside a handler */
        assert_int_equal(told, error);
}

/* rule 20, E5: the toucher gets SIGBUS, only there, again and again, in every mapping, without a new load; bf_load() tells the errno; invalidate
 * forgets */
static void check_failed_page(const struct scene *scene, bool write, int error) {
        uint64_t *other = rig_map(scene->fileh, 98, 5);
        unsigned n_reads;
        int none = 12345;

        heldfs_fail(scene->heldfs, HELDFS_READ, 100, 0, HELDFS_ALWAYS, error);
        assert_sigbus(rig_word(scene->map, 100, 511), write, error);
        assert_states(scene->fileh, 99, "EEE");
        n_reads = heldfs_count_failed(scene->heldfs, HELDFS_READ);
        assert_sigbus(rig_word(scene->map, 100, 0), false, error);
        assert_sigbus(rig_word(scene->map, 100, 0), true, error);
        assert_sigbus(rig_word(other, 2, 7), false, error);
        assert_int_equal(*rig_word(scene->map, 99, 0), 99);
        *rig_word(other, 3, 0) = 4;
        assert_int_equal(bf_fault_error((const void *) (uintptr_t) rig_word(scene->map, 99, 0), &none), -ENOENT);
        assert_int_equal(none, 12345);
        heldfs_clear(scene->heldfs);
        assert_int_equal(bf_load(scene->fileh, 100 * RIG_PAGE, RIG_PAGE), -error);
        assert_sigbus(rig_word(scene->map, 100, 5), write, error); /* until it is invalidated */
        assert_int_equal(bf_munmap(other), 0);
        other = rig_map(scene->fileh, 98, 5);
        assert_sigbus(rig_word(other, 2, 0), write, error);
        assert_int_equal(heldfs_count_failed(scene->heldfs, HELDFS_READ), n_reads);
        assert_int_equal(bf_discard(scene->fileh), 0); /* that is not it */
        assert_sigbus(rig_word(scene->map, 100, 6), write, error);
        assert_int_equal(bf_invalidate(scene->fileh, 100 * RIG_PAGE + 5, 1), 0);
        assert_int_equal(bf_fault_error((const void *) (uintptr_t) rig_word(scene->map, 100, 0), &none), -ENOENT);
        assert_int_equal(*rig_word(other, 2, 0), 100);
        *rig_word(scene->map, 100, 0) = 5;
        assert_int_equal(*rig_word(other, 2, 0), 5);
        assert_states(scene->fileh, 99, "LDE");
        assert_int_equal(bf_munmap(other), 0);
        assert_int_equal(bf_invalidate(scene->fileh, 0, UINT64_MAX), 0);
}

static void test_failed_load(void **state) {
        static const int errors[] = { EIO, ENXIO, ETIMEDOUT, ENOSPC, EREMOTEIO };
        struct scene scene = start(rig_here(state));

        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
                check_failed_page(&scene, i % 2, errors[i]);
}

/* What page 100 has been through before its load fails. */
static void page_loaded_and_reclaimed(const struct scene *scene) {
        assert_int_equal(*rig_word(scene->map, 100, 0), 100);
        assert_int_equal(bf_pool_reclaim(scene->client, 0, NULL), 0);
}

static void page_stored_and_reclaimed(const struct scene *scene) {
        *rig_word(scene->map, 100, 0) = 100;
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_pool_reclaim(scene->client, 0, NULL), 0);
}

static void page_dirtied_and_discarded(const struct scene *scene) {
        *rig_word(scene->map, 100, 0) = 1;
        assert_int_equal(bf_discard(scene->fileh), 0);
}

static void page_loaded_and_invalidated(const struct scene *scene) {
        assert_int_equal(*rig_word(scene->map, 100, 0), 100);
        assert_int_equal(bf_invalidate(scene->fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
}

static void page_let_go(const struct scene *scene) {
        assert_int_equal(*rig_word(scene->map, 100, 0), 100);
        assert_int_equal(bf_advise(scene->fileh, 0, N_PAGES * RIG_PAGE, BF_ADVICE_DONTNEED), 0);
        assert_int_equal(bf_pool_reclaim(scene->client, 0, NULL), 0);
}

/* whatever a page has been through: a load that fails is SIGBUS, not a hang, for reads and writes */
static void test_failed_reload(void **state) {
        static void (*const histories[])(const struct scene *scene) = {
                page_loaded_and_reclaimed, page_stored_and_reclaimed, page_dirtied_and_discarded, page_loaded_and_invalidated, page_let_go,
        };
        struct scene scene = start(rig_here(state));

        for (size_t i = 0; i < 2 * sizeof(histories) / sizeof(histories[0]); i++) {
                uint64_t *other = rig_map(scene.fileh, 100, 1);

                histories[i / 2](&scene);
                heldfs_fail(scene.heldfs, HELDFS_READ, 100, 0, 1, EIO);
                assert_sigbus(rig_word(scene.map, 100, 0), i % 2, EIO);
                assert_sigbus(other, i % 2, EIO);
                assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
                assert_int_equal(*rig_word(scene.map, 100, 0), 100);
                assert_int_equal(*other, 100);
                assert_int_equal(bf_munmap(other), 0);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                heldfs_clear(scene.heldfs);
        }
}

/* several threads wait for the load that fails: each gets SIGBUS */
static void test_all_who_wait_are_told(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct worker *workers[6];

        heldfs_hold(scene.heldfs, HELDFS_READ, 100, 1);
        heldfs_fail(scene.heldfs, HELDFS_READ, 100, 0, HELDFS_ALWAYS, EIO);
        for (size_t i = 0; i < 6; i++) {
                uint64_t *map = rig_map(scene.fileh, 100, 1);

                workers[i] = rig_worker(rig, i % 2 ? worker_write : worker_read, map, NULL, 1, 0);
        }
        heldfs_wait(scene.heldfs, HELDFS_READ, 100, 1);
        for (size_t i = 0; i < 6; i++)
                worker_wait_fault(workers[i]);
        heldfs_release(scene.heldfs, HELDFS_READ, 100);
        for (size_t i = 0; i < 6; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->hit.signo, SIGBUS);
                assert_int_equal(workers[i]->hit.error, EIO);
        }
        assert_int_equal(heldfs_count_failed(scene.heldfs, HELDFS_READ), 1);
        assert_int_equal(rig_stat(scene.fileh).resident_bytes, 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
}

/* rule 20: bf_load() instead of a touch: the errno, no signal; and as nobody touched the page, the next touch tries again */
static void test_bf_load_fails(void **state) {
        struct scene scene = start(rig_here(state));

        heldfs_fail(scene.heldfs, HELDFS_READ, 100, 0, HELDFS_ALWAYS, EIO);
        assert_int_equal(bf_load(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), -EIO);
        assert_states(scene.fileh, 99, "EEE");
        assert_int_equal(bf_load(scene.fileh, 96 * RIG_PAGE, 8 * RIG_PAGE), -EIO);
        assert_states(scene.fileh, 100, "E");
        heldfs_clear(scene.heldfs);
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        for (uint64_t page = 90; page < 110; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_int_equal(bf_load(scene.fileh, 96 * RIG_PAGE, 8 * RIG_PAGE), 0);
}

/* a failed page of one handle is no matter of another handle of that file, nor of one opened later */
static void test_failure_belongs_to_the_handle(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *other = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        uint64_t *map = rig_map(other, 100, 4);

        heldfs_fail(scene.heldfs, HELDFS_READ, 100, 0, 1, EIO);
        assert_sigbus(rig_word(scene.map, 100, 0), false, EIO);
        assert_int_equal(*rig_word(map, 0, 0), 100);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        other = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        assert_int_equal(*rig_word(rig_map(other, 100, 4), 0, 0), 100);
}

/* rule 20: EIO on the N-th read, N = 1, 2, ... until none is left: who touches that page, and nobody else, gets it */
static void test_each_read_fails_once(void **state) {
        struct scene scene = start(rig_here(state));
        unsigned n_failed;
        unsigned n = 0;

        do {
                n_failed = 0;
                heldfs_fail(scene.heldfs, HELDFS_READ, HELDFS_ANY, n, 1, EIO);
                for (uint64_t i = 0; i < 20; i++) {
                        uint64_t page = 10 + i * 7, value = 0;
                        struct probe_hit hit;

                        if (probe_read((const void *) (uintptr_t) rig_word(scene.map, page, 3), &value, &hit) == 0) {
                                assert_int_equal(value, page);
                                continue;
                        }
                        assert_int_equal(hit.signo, SIGBUS);
                        assert_int_equal(hit.error, EIO);
                        assert_int_equal(i, n);
                        n_failed++;
                }
                heldfs_clear(scene.heldfs);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                n++;
        } while (n_failed > 0);
        assert_int_equal(n, 21);
}

/* a read cut short is continued */
static void test_short_reads(void **state) {
        static const size_t lengths[] = { 1, 8, 100, 4095 };
        struct scene scene = start(rig_here(state));

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                heldfs_shorten(scene.heldfs, HELDFS_READ, HELDFS_ANY, 6, lengths[i]);
                assert_int_equal(bf_load(scene.fileh, 95 * RIG_PAGE, 4 * RIG_PAGE), 0);
                for (uint64_t page = 95; page < 105; page++)
                        for (size_t word = 0; word < 512; word++)
                                assert_int_equal(*rig_word(scene.map, page, word), page);
                heldfs_clear(scene.heldfs);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
        }
}

/* a read cut short by a failure in its middle is a failure of that block, and nothing is taken for content that was not read */
static void test_read_fails_half_way(void **state) {
        struct scene scene = start(rig_here(state));

        heldfs_shorten(scene.heldfs, HELDFS_READ, 100, 1, 1000);
        heldfs_fail(scene.heldfs, HELDFS_READ, HELDFS_ANY, 1, HELDFS_ALWAYS, EIO);
        assert_sigbus(rig_word(scene.map, 100, 0), false, EIO);
        heldfs_clear(scene.heldfs);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 100, 511), 100);
}

/* the file is made shorter behind everyone's back: what is gone reads as zeros or SIGBUS, never as something else */
static void test_file_shrinks(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", 50);
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, 50);
        for (uint64_t page = 0; page < 50; page++) /* the daemon's buffers have held other content */
                assert_int_equal(*rig_word(map, page, 0), page);
        assert_int_equal(bf_invalidate(fileh, 0, UINT64_MAX), 0);
        assert_int_equal(truncate(path, 10 * RIG_PAGE + 64), 0);
        for (uint64_t page = 0; page < 50; page++) {
                uint64_t value = 1;

                if (probe_read((const void *) (uintptr_t) rig_word(map, page, 100), &value, &hit) == 0)
                        assert_int_equal(value, page < 10 ? page : 0);
                else
                        assert_true(hit.signo == SIGBUS && page >= 10);
        }
        assert_int_equal(*rig_word(map, 9, 0), 9);
}

/* what the daemon remembers of failures is limited for each user: beyond that a touch is SIGBUS all the same, only the errno is not known */
static void test_very_many_failures(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_path(rig, "sparse");
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        uint64_t n_known = 0;
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, N_FAILURES * RIG_PAGE), 0);
        rig_daemon(rig, NULL);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, N_FAILURES);
        assert_int_equal(ftruncate(fd, 0), 0);
        for (uint64_t page = 0; page < N_FAILURES; page++) {
                assert_int_equal(probe_read((void *) (uintptr_t) rig_word(map, page, 0), NULL, &hit), SIGBUS);
                assert_true(hit.known < 0 || hit.error == ENXIO);
                n_known += hit.known == 0;
        }
        assert_int_equal(n_known, N_REMEMBERED);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(map, N_FAILURES - 1, 0), NULL, NULL), SIGBUS);
        assert_int_equal(ftruncate(fd, N_FAILURES * RIG_PAGE), 0);
        assert_int_equal(bf_invalidate(fileh, 0, N_FAILURES * RIG_PAGE), 0);
        for (uint64_t page = 0; page < N_FAILURES; page += 1000)
                assert_int_equal(*rig_word(map, page, 0), 0);
        assert_int_equal(*rig_word(map, N_FAILURES - 1, 0), 0);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(map, 1, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.known, 0); /* there is room for new ones */
        close(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_failed_load),
                RIG_TEST(test_failed_reload),
                RIG_TEST(test_all_who_wait_are_told),
                RIG_TEST(test_bf_load_fails),
                RIG_TEST(test_failure_belongs_to_the_handle),
                RIG_TEST(test_each_read_fails_once),
                RIG_TEST(test_short_reads),
                RIG_TEST(test_read_fails_half_way),
                RIG_TEST(test_file_shrinks),
                RIG_TEST(test_very_many_failures),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("failed loads", tests, NULL, NULL);
}
