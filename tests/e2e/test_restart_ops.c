/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon is killed and another one comes, while processes serve files and others have them open. */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "opsfile.h"
#include "rig.h"
#include "watchdog.h"

#define N_PAGES 100

struct scene {
        struct rig *rig;
        struct opsfile *file;
        struct bf_client *server;
        struct bf_client *client; /* another one */
        struct bf_fileh *own;
        struct bf_fileh *fileh; /* its handle on the file */
        uint64_t *own_map;
        uint64_t *map;
};

static void come(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", NULL);
}

/* Each has page 10 loaded, page 11 dirty, page 12 not there. */
static struct scene start(struct rig *rig) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .name = "table" };
        struct scene scene = { .rig = rig, .file = opsfile_new(N_PAGES * RIG_PAGE, RIG_PAGE) };

        come(rig);
        scene.server = rig_client(rig);
        scene.client = rig_client(rig);
        assert_int_equal(bf_open_ops(scene.server, &opsfile_ops, scene.file, scene.file->size, &opts, &scene.own), 0);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR, NULL, &scene.fileh), 0);
        scene.own_map = rig_map(scene.own, 0, N_PAGES);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.own_map, 10, 0), 10);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.own_map, 11, 0) = 1100;
        *rig_word(scene.map, 11, 1) = 2200;
        (void) opsfile_log(scene.file);
        return scene;
}

static void finish(struct scene *scene) {
        rig_disconnect(scene->rig, scene->client);
        rig_disconnect(scene->rig, scene->server);
        assert_int_equal(opsfile_n_releases(scene->file), 1);
        opsfile_free(scene->file);
}

static void check_all_is_well(struct scene *scene) {
        assert_int_equal(*rig_word(scene->own_map, 10, 0), 10);
        assert_int_equal(*rig_word(scene->own_map, 11, 0), 1100);
        assert_int_equal(*rig_word(scene->map, 11, 1), 2200);
        assert_string_equal(opsfile_log(scene->file), "");
        assert_int_equal(*rig_word(scene->map, 12, 0), 12);
        assert_int_equal(*rig_word(scene->own_map, 13, 0), 13);
        assert_string_equal(opsfile_log(scene->file), "L12 L13");
        assert_states(scene->fileh, 10, "LDLE");
        assert_states(scene->own, 10, "LDEL");
        assert_int_equal(bf_writeout(scene->own, RIG_STORE_MARK), 0);
        assert_int_equal(*opsfile_word(scene->file, 11 * RIG_PAGE), 1100);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(*opsfile_word(scene->file, 11 * RIG_PAGE + 8), 2200);
        assert_string_equal(opsfile_log(scene->file), "S11 S11");
}

static void test_killed(void **state) {
        struct scene scene = start(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        come(scene.rig);
        check_all_is_well(&scene);
        finish(&scene);
}

static void test_ended_in_order(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        come(scene.rig);
        check_all_is_well(&scene);
        finish(&scene);
}

static void test_killed_again(void **state) {
        struct scene scene = start(rig_here(state));

        for (unsigned i = 0; i < 5; i++) {
                daemonproc_kill(&scene.rig->daemon);
                come(scene.rig);
        }
        check_all_is_well(&scene);
        finish(&scene);
}

/* Those who share the file come back one by one, and share it still. */
static void test_shared(void **state) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED };
        struct scene scene = start(rig_here(state));
        struct bf_fileh *filehs[2];
        uint64_t *maps[2];

        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(bf_open(i ? scene.client : scene.server, "ops:table", O_RDWR, &opts, &filehs[i]), 0);
                maps[i] = rig_map(filehs[i], 0, N_PAGES);
        }
        *rig_word(maps[0], 40, 0) = 4000;
        (void) opsfile_log(scene.file);
        daemonproc_kill(&scene.rig->daemon);
        come(scene.rig);
        assert_int_equal(*rig_word(maps[1], 40, 0), 4000);
        *rig_word(maps[1], 41, 0) = 4100;
        assert_int_equal(*rig_word(maps[0], 41, 0), 4100);
        assert_int_equal(bf_writeout(filehs[0], RIG_STORE_MARK), 0);
        assert_string_equal(opsfile_log(scene.file), "L41 S40 S41");
        assert_states(filehs[1], 40, "LL");
        finish(&scene);
}

/* Whoever waits for a load when the daemon is killed gets what the next one asks for. */
static void test_killed_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *readers[2];

        opsfile_hold(scene.file, OPSFILE_LOAD, OPSFILE_ANY);
        readers[0] = rig_worker(scene.rig, worker_read, (void *) rig_word(scene.map, 20, 0), NULL, 0, 0);
        readers[1] = rig_worker(scene.rig, worker_read, (void *) rig_word(scene.own_map, 21, 0), NULL, 0, 0);
        opsfile_wait(scene.file, OPSFILE_LOAD, 2);
        daemonproc_kill(&scene.rig->daemon);
        come(scene.rig);
        *opsfile_word(scene.file, 20 * RIG_PAGE) = 77;
        opsfile_release(scene.file, OPSFILE_LOAD);
        for (unsigned i = 0; i < 2; i++) {
                worker_join(readers[i]);
                assert_int_equal(readers[i]->hit.signo, 0);
        }
        assert_true(readers[0]->value == 77 || readers[0]->value == 20);
        assert_int_equal(readers[1]->value, 21);
        finish(&scene);
}

/* A writeout that is under way then is carried out by the next one. */
static void test_killed_during_a_store(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *writeout;

        opsfile_hold(scene.file, OPSFILE_STORE, 11);
        writeout = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK, 0);
        opsfile_wait(scene.file, OPSFILE_STORE, 1);
        daemonproc_kill(&scene.rig->daemon);
        come(scene.rig);
        opsfile_wait(scene.file, OPSFILE_STORE, 2);
        opsfile_release(scene.file, OPSFILE_STORE);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        assert_states(scene.fileh, 11, "L");
        assert_int_equal(*opsfile_word(scene.file, 11 * RIG_PAGE + 8), 2200);
        finish(&scene);
}

/* --- the one that serves went with the daemon ---------------------------------------------------------------------------------------------------- */

static int serve_main(int line, void *arg) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .name = "gone" };
        struct opsfile *file = opsfile_new(N_PAGES * RIG_PAGE, RIG_PAGE);
        struct bf_client *client;
        struct bf_fileh *fileh;

        while (child_hear(line) != CHILD_GONE) {
                CHILD_CHECK(bf_connect(&client, arg) == 0);
                CHILD_CHECK(bf_open_ops(client, &opsfile_ops, file, file->size, &opts, &fileh) == 0);
                child_say(line, 0);
        }
        return 0;
}

static void begin(const struct child *child) {
        child_say(child->line, 0);
        assert_int_equal(child_hear(child->line), 0);
}

/* Nobody comes to serve it: after a while that is an error, and all is well when somebody does. */
static void test_nobody_serves_it_any_more(void **state) {
        struct rig *rig = rig_here(state);
        struct child *server, *successor;
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;

        come(rig);
        server = rig_child(rig, serve_main, (void *) rig_address(rig));
        successor = rig_child(rig, serve_main, (void *) rig_address(rig));
        begin(server);
        assert_int_equal(bf_open(rig_client(rig), "ops:gone", O_RDWR, NULL, &fileh), 0);
        map = rig_map(fileh, 0, N_PAGES);
        *rig_word(map, 3, 0) = 300;
        daemonproc_kill(&rig->daemon);
        child_kill(server);
        come(rig);
        assert_int_equal(*rig_word(map, 3, 0), 300);
        assert_int_equal(probe_read((void *) rig_word(map, 4, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), -EIO);
        assert_states(fileh, 3, "D");
        begin(successor);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(*rig_word(map, 5, 0), 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed),
                RIG_TEST(test_ended_in_order),
                RIG_TEST(test_killed_again),
                RIG_TEST(test_shared),
                RIG_TEST(test_killed_during_a_load),
                RIG_TEST(test_killed_during_a_store),
                RIG_TEST(test_nobody_serves_it_any_more),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("restart_ops", tests, NULL, NULL);
}
