/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that one process serves and others open by their name: what each sees, what happens when the one that serves goes, and comes again; rules 18, 29. */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "opsfile.h"
#include "opsserver.h"
#include "rig.h"
#include "watchdog.h"

#define N_PAGES OPSSERVER_PAGES

/* --- one that opens ----------------------------------------------------------------------------------------------------------------------------- */

struct scene {
        struct rig *rig;
        struct child *server;
        struct child *successor; /* serves the same when it is told to */
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static struct scene start(struct rig *rig) {
        static struct opsserver server;
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        server = (struct opsserver) { .uid = 0 };
        scene.server = opsserver_new(rig, &server);
        scene.successor = opsserver_new(rig, &server);
        opsserver_begin(scene.server);
        scene.client = rig_client(rig);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR, NULL, &scene.fileh), 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

/* rules 5, 6, 10: what another process serves is loaded and stored there */
static void test_another_process_serves(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 1) = 77;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_PEEK, 11), 77);
        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_N_CALLS, 0), 3);
        assert_int_equal(rig_stat(scene.fileh).size, N_PAGES * RIG_PAGE);
        rig_disconnect(scene.rig, scene.client);
        child_say(scene.server->line, OPSSERVER_END);
        assert_int_equal(child_wait(scene.server), 0);
}

/* rule 18: each has his own view, or all who say so have one */
static void test_isolated_and_shared(void **state) {
        struct scene scene = start(rig_here(state));
        const struct bf_open_opts shared = { .size = sizeof(shared), .flags = BF_SHARED };
        struct bf_fileh *others[3];
        uint64_t *maps[3];

        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(bf_open(rig_client(scene.rig), "ops:table", O_RDWR, i > 0 ? &shared : NULL, &others[i]), 0);
                maps[i] = rig_map(others[i], 0, N_PAGES);
        }
        *rig_word(scene.map, 5, 1) = 1;
        *rig_word(maps[1], 5, 1) = 2;
        assert_int_equal(*rig_word(maps[0], 5, 1), 5);
        assert_int_equal(*rig_word(maps[2], 5, 1), 2);
        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_N_CALLS, 0), 3);
        assert_int_equal(bf_writeout(others[2], RIG_STORE_MARK), 0);
        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_PEEK, 5), 2);
        assert_int_equal(*rig_word(maps[0], 5, 1), 5);
        assert_int_equal(bf_invalidate(others[0], 5 * RIG_PAGE, 1), 0);
        assert_int_equal(*rig_word(maps[0], 5, 1), 2);
        assert_int_equal(*rig_word(scene.map, 5, 1), 1);
}

static void test_read_only(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *fileh;
        void *map;

        assert_int_equal(bf_open(scene.client, "ops:table", O_RDONLY, NULL, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, RIG_PAGE, PROT_READ | PROT_WRITE, &map), -EACCES);
        assert_int_equal(bf_mmap(fileh, 7 * RIG_PAGE, RIG_PAGE, PROT_READ, &map), 0);
        assert_int_equal(*(volatile uint64_t *) map, 7);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), -EBADF);
}

static void test_names(void **state) {
        struct scene scene = start(rig_here(state));
        struct opsfile *file = opsfile_new(RIG_PAGE, RIG_PAGE);
        struct bf_open_opts opts = { .size = sizeof(opts), .name = "table" }, direct = { .size = sizeof(direct), .flags = BF_DIRECT };
        struct bf_fileh *fileh;

        assert_int_equal(bf_open(scene.client, "ops:nothing", O_RDWR, NULL, &fileh), -ENOENT);
        assert_int_equal(bf_open(scene.client, "ops:", O_RDWR, NULL, &fileh), -ENOENT);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR | O_CREAT, NULL, &fileh), -EINVAL);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR, &opts, &fileh), -EINVAL);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR, &direct, &fileh), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "BF_DIRECT"));
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR | O_CLOEXEC, NULL, &fileh), 0);
        assert_int_equal(bf_open_ops(scene.client, &opsfile_ops, file, RIG_PAGE, &opts, &fileh), -EEXIST);
        assert_non_null(strstr(bf_errmsg(), "table"));
        opts.name = "another";
        assert_int_equal(bf_open_ops(scene.client, &opsfile_ops, file, RIG_PAGE, &opts, &fileh), 0);
        assert_int_equal(opsfile_n_releases(file), 0);
        rig_disconnect(scene.rig, scene.client);
        opsfile_free(file);
}

/* --- the one that serves goes ------------------------------------------------------------------------------------------------------------------- */

static void kill_server(struct scene *scene) {
        child_kill(scene->server);
}

/* Loads and stores fail with EIO; what is dirty stays so, and can be stored when somebody serves the file again. */
static void test_server_dies(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *fileh;
        struct probe_hit hit;

        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 1) = 77;
        kill_server(&scene);
        assert_int_equal(probe_read((void *) rig_word(scene.map, 12, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_load(scene.fileh, 13 * RIG_PAGE, RIG_PAGE), -EIO);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EIO);
        assert_states(scene.fileh, 10, "LD");
        assert_int_equal(*rig_word(scene.map, 10, 1), 10);
        assert_int_equal(bf_open(scene.client, "ops:table", O_RDWR, NULL, &fileh), 0); /* somebody has it open still */
        assert_int_equal(bf_close(fileh), 0);
        opsserver_begin(scene.successor);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(opsserver_ask(scene.successor, OPSSERVER_PEEK, 11), 77);
        assert_states(scene.fileh, 10, "LL");
        assert_int_equal(bf_invalidate(scene.fileh, 12 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
}

static void test_server_dies_during_a_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *reader;

        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_HOLD, 10), 0);
        reader = rig_worker(scene.rig, worker_read, (void *) rig_word(scene.map, 10, 0), NULL, 0, 0);
        assert_int_equal(opsserver_ask(scene.server, OPSSERVER_WAIT, 0), 0);
        kill_server(&scene);
        worker_join(reader);
        assert_int_equal(reader->hit.signo, SIGBUS);
        assert_int_equal(reader->hit.error, EIO);
        assert_true(daemonproc_says(&scene.rig->daemon, "no process serves it now"));
}

/* What serves a file touches another that the same client has mapped: who disconnects takes that away only when nothing is served any more. */
static uint64_t *touched;

static void touch_another(struct opsfile *file, enum opsfile_op op, uint64_t block) {
        (void) op;
        if (((volatile uint64_t *) touched)[block % N_PAGES * RIG_PAGE / 8] != block % N_PAGES)
                *opsfile_word(file, 0) = UINT64_MAX;
}

static void test_disconnect_while_others_load(void **state) {
        const struct bf_open_opts opts = { .size = sizeof(opts), .name = "dependent" };
        struct rig *rig = rig_here(state);
        struct opsfile *file = opsfile_new(N_PAGES * RIG_PAGE, RIG_PAGE);
        struct bf_fileh *own, *regular, *fileh;
        struct bf_client *server;
        struct worker *loader;

        rig_daemon(rig, "--pool", "64M", NULL);
        server = rig_client(rig);
        assert_int_equal(bf_open_ops(server, &opsfile_ops, file, file->size, &opts, &own), 0);
        regular = rig_open(server, rig_identity(rig, "regular", N_PAGES), O_RDWR, 0);
        touched = rig_map(regular, 0, N_PAGES);
        file->on_call = touch_another;
        assert_int_equal(bf_open(rig_client(rig), "ops:dependent", O_RDWR, NULL, &fileh), 0);
        opsfile_hold(file, OPSFILE_LOAD, 0);
        loader = rig_worker(rig, worker_load, NULL, fileh, 0, N_PAGES * RIG_PAGE);
        opsfile_wait(file, OPSFILE_LOAD, 1);
        opsfile_release(file, OPSFILE_LOAD);
        rig_disconnect(rig, server);
        worker_join(loader);
        assert_true(loader->result == 0 || loader->result == -EIO);
        assert_int_equal(*opsfile_word(file, 0), 0);
        assert_int_equal(opsfile_n_releases(file), 1);
        opsfile_free(file);
}

/* A child that it forked does not serve in its place. */
static void test_server_dies_and_leaves_a_child(void **state) {
        struct scene scene = start(rig_here(state));
        pid_t pid = (pid_t) opsserver_ask(scene.server, OPSSERVER_FORK, 0);

        assert_true(pid > 0);
        watchdog_add(pid);
        *rig_word(scene.map, 11, 1) = 77;
        kill_server(&scene);
        assert_int_equal(bf_load(scene.fileh, 13 * RIG_PAGE, RIG_PAGE), -EIO);
        opsserver_begin(scene.successor);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(opsserver_ask(scene.successor, OPSSERVER_PEEK, 11), 77);
        kill(pid, SIGKILL);
        watchdog_drop(pid);
}

/* The same process serves it again, at once. */
static void test_server_closes_and_serves_again(void **state) {
        struct scene scene = start(rig_here(state));

        for (uint64_t page = 20; page < 40; page++) {
                *rig_word(scene.map, page, 1) = page * 100;
                assert_int_equal(opsserver_ask(scene.server, OPSSERVER_CLOSE, 0), 0);
                assert_int_equal(bf_load(scene.fileh, 0, RIG_PAGE), -EIO);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EIO);
                assert_int_equal(opsserver_ask(scene.server, OPSSERVER_REOPEN, 0), 0);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
                assert_int_equal(opsserver_ask(scene.server, OPSSERVER_PEEK, page), page * 100);
        }
}

/* A successor in another process, the moment that the one before is dead. */
static void test_successor_at_once(void **state) {
        struct scene scene = start(rig_here(state));

        kill_server(&scene);
        opsserver_begin(scene.successor);
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
        assert_int_equal(opsserver_ask(scene.successor, OPSSERVER_N_CALLS, 0), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_another_process_serves),
                RIG_TEST(test_isolated_and_shared),
                RIG_TEST(test_read_only),
                RIG_TEST(test_names),
                RIG_TEST(test_server_dies),
                RIG_TEST(test_server_dies_during_a_load),
                RIG_TEST(test_disconnect_while_others_load),
                RIG_TEST(test_server_dies_and_leaves_a_child),
                RIG_TEST(test_server_closes_and_serves_again),
                RIG_TEST(test_successor_at_once),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("ops_peers", tests, NULL, NULL);
}
