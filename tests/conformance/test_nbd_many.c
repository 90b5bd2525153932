/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many requests an NBD server gets at a time, as it counts them itself: no thread waits for another one's, and reading in order is not one after the other. */

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"
#include "watchdog.h"

#define N_THREADS 64
#define N_PAGES 1024

struct scene {
        struct rig *rig;
        const char *log;
        const char *control;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

/* nbdkit with a filter below the one that counts. */
static struct scene start(struct rig *rig, const char *filter, const char *setting, const char *threads) {
        struct scene scene = { .rig = rig, .log = rig_path(rig, "requests") };
        const char *path = rig_identity(rig, "image", N_PAGES);
        char logfile[128];
        struct nbdserver *server;

        snprintf(logfile, sizeof(logfile), "logfile=%s", scene.log);
        server = rig_nbdkit(rig, (const char *[]) { "--threads", threads, "--filter=log", filter, "file", path, logfile, setting, NULL });
        rig_daemon(rig, "--pool", "64M", "--allow-nbd", rig_allow_nbd(rig), NULL);
        scene.fileh = rig_open(rig_client(rig), server->uri, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static struct scene start_paused(struct rig *rig, const char *threads) {
        const char *control = rig_path(rig, "pause");
        struct scene scene;
        char setting[128];

        snprintf(setting, sizeof(setting), "pause-control=%s", control);
        scene = start(rig, "--filter=pause", setting, threads);
        scene.control = control;
        nbdserver_pause(control);
        return scene;
}

/* The server answers none of them before it has all. */
static void test_faults_of_many_threads(void **state) {
        struct scene scene = start_paused(rig_here(state), "16");
        struct worker *workers[N_THREADS];

        for (unsigned i = 0; i < N_THREADS; i++)
                workers[i] = rig_worker(scene.rig, worker_read, (void *) (uintptr_t) rig_word(scene.map, 7 * i, 0), NULL, 0, 0);
        while (nbdserver_count(scene.log, "Read") < N_THREADS)
                usleep(1000);
        nbdserver_go_on(scene.control);
        for (unsigned i = 0; i < N_THREADS; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->value, 7 * i);
        }
        assert_int_equal(nbdserver_count(scene.log, "Read"), N_THREADS);
        assert_int_equal(nbdserver_most_under_way(scene.log), N_THREADS);
}

static void test_writeout_of_scattered_pages(void **state) {
        struct scene scene = start_paused(rig_here(state), "16");
        struct worker *writer;

        nbdserver_go_on(scene.control);
        for (unsigned page = 0; page < N_PAGES; page += 64)
                *rig_word(scene.map, page, 0) = page + 1;
        nbdserver_pause(scene.control);
        writer = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC, 0);
        while (nbdserver_count(scene.log, "Write") < 4)
                usleep(1000);
        assert_int_equal(nbdserver_count(scene.log, "Flush"), 0); /* not before they have ended */
        nbdserver_go_on(scene.control);
        worker_join(writer);
        assert_int_equal(writer->result, 0);
        assert_int_equal(nbdserver_count(scene.log, "Flush"), 1); /* one for all connections */
}

/* Each takes a while: who waits for one has others under way. */
static void test_reading_in_order(void **state) {
        struct scene scene = start(rig_here(state), "--filter=delay", "rdelay=5ms", "16");

        assert_int_equal(bf_advise(scene.fileh, 0, N_PAGES * RIG_PAGE, BF_ADVICE_SEQUENTIAL), 0);
        for (unsigned page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_true(nbdserver_most_under_way(scene.log) >= 4);
}

/* So little goes through at a time that requests come in pieces. */
static void test_a_narrow_line(void **state) {
        struct scene scene = start(rig_here(state), "--filter=rate", "rate=200M", "16");

        assert_int_equal(bf_advise(scene.fileh, 0, N_PAGES * RIG_PAGE, BF_ADVICE_SEQUENTIAL), 0);
        for (unsigned page = 0; page < N_PAGES; page++)
                *rig_word(scene.map, page, 1) = page + 1;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(bf_invalidate(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
        for (unsigned page = 0; page < N_PAGES; page++) {
                assert_int_equal(*rig_word(scene.map, page, 0), page);
                assert_int_equal(*rig_word(scene.map, page, 1), page + 1);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_faults_of_many_threads),
                RIG_TEST(test_writeout_of_scattered_pages),
                RIG_TEST(test_reading_in_order),
                RIG_TEST(test_a_narrow_line),
        };

        watchdog_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
