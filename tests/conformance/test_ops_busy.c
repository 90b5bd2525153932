/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that this process serves, while their functions are slow, do something else, or come to wait for themselves: rules 8, 15, 19, 24. */

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opsfile.h"
#include "rig.h"
#include "watchdog.h"

#define N_PAGES 200
#define N_THREADS 16
#define N_LOADS 40u /* more than there are slots */

struct scene {
        struct rig *rig;
        struct opsfile *file;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start_named(struct rig *rig, const char *n_threads, const char *name) {
        struct scene scene = { .rig = rig, .file = opsfile_new(N_PAGES * RIG_PAGE, RIG_PAGE) };
        const struct bf_open_opts opts = { .size = sizeof(opts), .name = name };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.client = rig_client(rig);
        setenv("BIGFILED_OPS_THREADS", n_threads, 1);
        assert_int_equal(bf_open_ops(scene.client, &opsfile_ops, scene.file, scene.file->size, &opts, &scene.fileh), 0);
        unsetenv("BIGFILED_OPS_THREADS");
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static struct scene start_with(struct rig *rig, const char *n_threads) {
        return start_named(rig, n_threads, NULL);
}

static struct scene start(struct rig *rig) {
        return start_with(rig, "");
}

static void finish(struct scene *scene) {
        rig_disconnect(scene->rig, scene->client);
        assert_int_equal(opsfile_n_releases(scene->file), 1);
        opsfile_free(scene->file);
}

#define assert_calls(scene, expected) assert_string_equal(opsfile_log((scene)->file), expected)

static struct worker *toucher(const struct scene *scene, uint64_t page, bool write) {
        void *at = (void *) (uintptr_t) rig_word(scene->map, page, write);
        struct worker *worker = rig_worker(scene->rig, write ? worker_write : worker_read, at, NULL, 1000 + page, 0);

        worker_wait_fault(worker);
        return worker;
}

static void join_reader(struct worker *worker, uint64_t value) {
        worker_join(worker);
        assert_int_equal(worker->hit.signo, 0);
        assert_int_equal(worker->value, value);
}

/* rule 8 */
static void test_threads_touch_one_page(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *workers[N_THREADS];

        opsfile_hold(scene.file, OPSFILE_LOAD, 100);
        for (unsigned i = 0; i < N_THREADS; i++)
                workers[i] = toucher(&scene, 100, i == 7);
        opsfile_wait(scene.file, OPSFILE_LOAD, 1);
        assert_states(scene.fileh, 100, "G");
        opsfile_release(scene.file, OPSFILE_LOAD);
        for (unsigned i = 0; i < N_THREADS; i++)
                if (i == 7)
                        worker_join(workers[i]);
                else
                        join_reader(workers[i], 100);
        assert_calls(&scene, "L100");
        assert_states(scene.fileh, 100, "D");
        assert_int_equal(*rig_word(scene.map, 100, 1), 1100);
        finish(&scene);
}

/* rule 19: slow loads run side by side, as many as there are threads for */
static void test_loads_run_side_by_side(void **state) {
        struct scene scene = start_with(rig_here(state), "16");
        struct worker *workers[N_THREADS];

        opsfile_hold(scene.file, OPSFILE_LOAD, OPSFILE_ANY);
        for (unsigned i = 0; i < N_THREADS; i++)
                workers[i] = toucher(&scene, 10 + i, i % 2);
        opsfile_wait(scene.file, OPSFILE_LOAD, N_THREADS);
        assert_states(scene.fileh, 10, "GGGGGGGGGGGGGGGG");
        opsfile_release(scene.file, OPSFILE_LOAD);
        for (unsigned i = 0; i < N_THREADS; i++)
                worker_join(workers[i]);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(*rig_word(scene.map, 10 + i, 0), 10 + i);
        assert_int_equal(scene.file->n_log, N_THREADS);
        finish(&scene);
}

/* More than there are threads for, and slots: the others wait, and all are done. */
static void test_more_than_threads(void **state) {
        struct scene scene = start_with(rig_here(state), "2");
        struct worker *workers[RIG_LIST_MAX / 2];

        opsfile_hold(scene.file, OPSFILE_LOAD, OPSFILE_ANY);
        for (unsigned i = 0; i < RIG_LIST_MAX / 2; i++)
                workers[i] = toucher(&scene, 3 * i, false);
        opsfile_wait(scene.file, OPSFILE_LOAD, 2);
        assert_int_equal(scene.file->n_log, 2);
        assert_int_equal(bf_advise(scene.fileh, 100 * RIG_PAGE, 20 * RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        opsfile_release(scene.file, OPSFILE_LOAD);
        for (unsigned i = 0; i < RIG_LIST_MAX / 2; i++)
                join_reader(workers[i], 3 * i);
        assert_int_equal(bf_load(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
        assert_int_equal(rig_stat(scene.fileh).loads, N_PAGES);
        assert_int_equal(scene.file->n_log, N_PAGES);
        finish(&scene);
}

/* Loads of several blocks that fail one by one, more than there are slots for: none keeps what another one needs. */
static void test_many_loads_fail(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *workers[N_LOADS];

        opsfile_hold(scene.file, OPSFILE_LOAD, OPSFILE_ANY);
        opsfile_fail(scene.file, OPSFILE_LOAD, OPSFILE_ANY, UINT_MAX, -ENODATA);
        for (unsigned i = 0; i < N_LOADS; i++)
                workers[i] = rig_worker(scene.rig, worker_load, NULL, scene.fileh, 4 * i * RIG_PAGE, 2 * RIG_PAGE);
        for (unsigned i = 0; i < N_LOADS; i++)
                worker_wait_call(workers[i]);
        opsfile_release(scene.file, OPSFILE_LOAD);
        for (unsigned i = 0; i < N_LOADS; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->result, -ENODATA);
        }
        finish(&scene);
}

/* rule 15: the load under way is not used */
static void test_invalidate_during_the_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *reader;

        opsfile_hold(scene.file, OPSFILE_LOAD, 100);
        reader = toucher(&scene, 100, false);
        opsfile_wait(scene.file, OPSFILE_LOAD, 1);
        *opsfile_word(scene.file, 100 * RIG_PAGE) = 77;
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        opsfile_wait(scene.file, OPSFILE_LOAD, 2);
        opsfile_release(scene.file, OPSFILE_LOAD);
        join_reader(reader, 77);
        assert_calls(&scene, "L100 L100");
        assert_int_equal(*rig_word(scene.map, 100, 0), 77);
        finish(&scene);
}

/* What the functions of a file do, in the tests below. */
struct deed {
        struct scene *scene;
        unsigned n_left;
        struct probe_hit hit;
        uint64_t value;
        bool is_refused;
        int r;
        sem_t told;
};

static void invalidate_itself(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;

        (void) op;
        if (deed->n_left == 0)
                return;
        deed->n_left--;
        *opsfile_word(file, block * RIG_PAGE) = 900 + deed->n_left;
        deed->r = bf_invalidate(deed->scene->fileh, block * RIG_PAGE, RIG_PAGE);
}

/* A load may invalidate the very page that it loads: it is loaded again. */
static void test_load_invalidates_itself(void **state) {
        struct scene scene = start(rig_here(state));
        struct deed deed = { .scene = &scene, .n_left = 2, .r = 1 };

        scene.file->arg = &deed;
        scene.file->on_call = invalidate_itself;
        assert_int_equal(*rig_word(scene.map, 100, 0), 900);
        assert_calls(&scene, "L100 L100 L100");
        finish(&scene);
        assert_int_equal(deed.r, 0); /* the calls may have been under way still when the page was there */
}

static void touch_another(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;

        (void) op;
        probe_read((void *) rig_word(deed->scene->map, block, 0), &deed->value, &deed->hit);
}

/* rule 19: a load touches another file that the same process serves, and that one a regular file */
static void test_load_touches_other_files(void **state) {
        struct scene scene = start(rig_here(state)), other = scene, regular = scene;
        struct deed deed = { .scene = &other }, further = { .scene = &regular };
        struct bf_fileh *fileh;

        fileh = rig_open(scene.client, rig_identity(scene.rig, "regular", N_PAGES), O_RDWR, 0);
        regular.map = rig_map(fileh, 0, N_PAGES);
        other.file = opsfile_new(N_PAGES * RIG_PAGE, RIG_PAGE);
        assert_int_equal(bf_open_ops(scene.client, &opsfile_ops, other.file, other.file->size, NULL, &other.fileh), 0);
        other.map = rig_map(other.fileh, 0, N_PAGES);
        scene.file->arg = &deed;
        other.file->arg = &further;
        scene.file->on_call = other.file->on_call = touch_another;
        for (uint64_t page = 0; page < 50; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_int_equal(deed.hit.signo, 0);
        assert_int_equal(deed.value, 49);
        assert_int_equal(further.hit.signo, 0);
        assert_int_equal(other.file->n_log, 50);
        finish(&scene);
        opsfile_free(other.file);
}

static void touch_the_next(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;

        (void) op;
        if (deed->n_left == 0)
                return;
        deed->n_left--;
        probe_read((void *) rig_word(deed->scene->map, block + 1, 0), &deed->value, &deed->hit);
}

/* A thread that serves the file touches a page of it that is not in RAM: an error, not a deadlock. What is in RAM it may touch. */
static void test_load_touches_its_own_file(void **state) {
        struct scene scene = start_with(rig_here(state), "1");
        struct deed deed = { .scene = &scene, .n_left = 1 };

        scene.file->arg = &deed;
        scene.file->on_call = touch_the_next;
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        assert_int_equal(deed.hit.signo, SIGBUS);
        assert_int_equal(deed.hit.known, 0);
        assert_int_equal(deed.hit.error, EDEADLK);
        assert_calls(&scene, "L100");
        assert_int_equal(bf_invalidate(scene.fileh, 101 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 101, 0), 101);
        assert_calls(&scene, "L101");
        deed = (struct deed) { .scene = &scene, .n_left = 1 };
        assert_int_equal(*rig_word(scene.map, 99, 0), 99);
        assert_int_equal(deed.hit.signo, 0);
        assert_int_equal(deed.value, 100);
        finish(&scene);
}

/* The same through another connection of this process, which opened the file by its name: that handle has its own pages. */
static void test_load_touches_its_own_file_elsewhere(void **state) {
        struct scene scene = start_named(rig_here(state), "1", "table"), other = scene;
        struct deed deed = { .scene = &other, .n_left = 1 };

        other.client = rig_client(scene.rig);
        assert_int_equal(bf_open(other.client, "ops:table", O_RDWR, NULL, &other.fileh), 0);
        other.map = rig_map(other.fileh, 0, N_PAGES);
        scene.file->arg = &deed;
        scene.file->on_call = touch_the_next;
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        assert_int_equal(deed.hit.signo, SIGBUS);
        assert_int_equal(deed.hit.error, EDEADLK);
        assert_calls(&scene, "L100");
        rig_disconnect(scene.rig, other.client);
        finish(&scene);
}

static void touch_the_same(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;

        (void) op;
        if (deed->n_left == 0)
                return;
        deed->n_left--;
        probe_read((void *) rig_word(deed->scene->map, block, 0), &deed->value, &deed->hit);
}

/* The very page that is being loaded: who waits for it is told, too. */
static void test_load_touches_its_own_page(void **state) {
        struct scene scene = start(rig_here(state));
        struct deed deed = { .scene = &scene, .n_left = 1 };
        struct probe_hit hit;

        scene.file->arg = &deed;
        scene.file->on_call = touch_the_same;
        opsfile_hold(scene.file, OPSFILE_LOAD, 100);
        assert_int_equal(probe_read((void *) rig_word(scene.map, 100, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, EDEADLK);
        opsfile_wait(scene.file, OPSFILE_LOAD, 1); /* it has touched the page by then */
        assert_int_equal(deed.hit.signo, SIGBUS);
        assert_int_equal(deed.hit.error, EDEADLK);
        opsfile_release(scene.file, OPSFILE_LOAD);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        assert_calls(&scene, "L100 L100");
        finish(&scene);
}

static void call_what_waits(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;
        struct bf_fileh *fileh = deed->scene->fileh;

        (void) op;
        deed->is_refused = bf_load(fileh, block * RIG_PAGE, RIG_PAGE) == -EDEADLK && bf_writeout(fileh, RIG_STORE_MARK) == -EDEADLK && bf_close(fileh) == -EDEADLK;
        deed->r = bf_writeout(fileh, BF_WRITEOUT_MARKSTORED);
}

static void test_calls_that_would_wait(void **state) {
        struct scene scene = start_with(rig_here(state), "1");
        struct deed deed = { .scene = &scene, .r = 1 };

        scene.file->arg = &deed;
        scene.file->on_call = call_what_waits;
        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        assert_true(deed.is_refused);
        assert_int_equal(deed.r, 0);
        finish(&scene);
}

/* rule 24: while a store is under way, everything else goes on; what is written meanwhile stays dirty */
static void test_busy_store(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *writeout;

        *rig_word(scene.map, 10, 1) = 1;
        *rig_word(scene.map, 11, 1) = 1;
        opsfile_hold(scene.file, OPSFILE_STORE, 10);
        writeout = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK, 0);
        opsfile_wait(scene.file, OPSFILE_STORE, 1);
        assert_int_equal(*rig_word(scene.map, 50, 0), 50);
        *rig_word(scene.map, 10, 1) = 2;
        *rig_word(scene.map, 51, 1) = 3;
        assert_false(worker_is_done(writeout));
        opsfile_release(scene.file, OPSFILE_STORE);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        assert_calls(&scene, "L10 L11 S10 L50 L51 S11");
        assert_states(scene.fileh, 10, "DL");
        assert_int_equal(*opsfile_word(scene.file, 10 * RIG_PAGE + 8), 1);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "S10 S51");
        assert_int_equal(*opsfile_word(scene.file, 10 * RIG_PAGE + 8), 2);
        finish(&scene);
}

/* rule 2: who closes waits for what is under way, and only then the file is released */
static void test_close_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *closer;

        opsfile_hold(scene.file, OPSFILE_LOAD, 100);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_advise(scene.fileh, 100 * RIG_PAGE, RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        opsfile_wait(scene.file, OPSFILE_LOAD, 1);
        closer = rig_worker(scene.rig, worker_close, NULL, scene.fileh, 0, 0);
        worker_wait_call(closer);
        assert_int_equal(opsfile_n_releases(scene.file), 0);
        opsfile_release(scene.file, OPSFILE_LOAD);
        worker_join(closer);
        assert_int_equal(closer->result, 0);
        finish(&scene);
}

static void invalidate_when_told(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        struct deed *deed = file->arg;

        (void) op;
        while (sem_wait(&deed->told) < 0)
                ;
        deed->r = bf_invalidate(deed->scene->fileh, block * RIG_PAGE, RIG_PAGE);
}

/* A function that is under way while its handle is closed may use it: that is an error, and nothing else. */
static void test_functions_use_a_handle_that_is_closed(void **state) {
        struct scene scene = start(rig_here(state));
        struct deed deed = { .scene = &scene };
        struct worker *closer;

        assert_int_equal(sem_init(&deed.told, 0, 0), 0);
        scene.file->arg = &deed;
        scene.file->on_call = invalidate_when_told;
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_advise(scene.fileh, 100 * RIG_PAGE, RIG_PAGE, BF_ADVICE_WILLNEED), 0);
        closer = rig_worker(scene.rig, worker_close, NULL, scene.fileh, 0, 0);
        worker_wait_call(closer);
        assert_int_equal(sem_post(&deed.told), 0);
        worker_join(closer);
        assert_int_equal(closer->result, 0);
        assert_true(deed.r <= 0);
        assert_int_equal(sem_destroy(&deed.told), 0);
        finish(&scene);
}

/* Who says that he reads in order has pages loaded ahead, none twice. */
static void test_ahead_when_asked_for(void **state) {
        struct scene scene = start(rig_here(state));
        bool is_seen[N_PAGES] = { false };

        assert_int_equal(bf_advise(scene.fileh, 0, 0, BF_ADVICE_SEQUENTIAL), 0);
        for (uint64_t page = 0; page < 100; page++)
                assert_int_equal(*rig_word(scene.map, page, 5), page);
        assert_int_equal(bf_load(scene.fileh, 0, N_PAGES * RIG_PAGE), 0); /* what is under way has ended then */
        for (unsigned i = 0; i < scene.file->n_log; i++) {
                assert_false(is_seen[scene.file->log[i].block]);
                is_seen[scene.file->log[i].block] = true;
        }
        assert_true(rig_stat(scene.fileh).faults < 100);
        finish(&scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_threads_touch_one_page),
                RIG_TEST(test_loads_run_side_by_side),
                RIG_TEST(test_more_than_threads),
                RIG_TEST(test_many_loads_fail),
                RIG_TEST(test_invalidate_during_the_load),
                RIG_TEST(test_load_invalidates_itself),
                RIG_TEST(test_load_touches_other_files),
                RIG_TEST(test_load_touches_its_own_file),
                RIG_TEST(test_load_touches_its_own_file_elsewhere),
                RIG_TEST(test_load_touches_its_own_page),
                RIG_TEST(test_calls_that_would_wait),
                RIG_TEST(test_busy_store),
                RIG_TEST(test_close_during_a_load),
                RIG_TEST(test_functions_use_a_handle_that_is_closed),
                RIG_TEST(test_ahead_when_asked_for),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("ops_busy", tests, NULL, NULL);
}
