/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon is killed and another one comes, which connects anew to the NBD servers of its clients' files, whether these are there or not. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100
#define STORE_MARK_SYNC (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC)

struct scene {
        struct rig *rig;
        const char *path; /* of what the server has: identity */
        const char *allowed;
        struct nbdserver *server;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static void start_daemon(struct scene *scene) {
        rig_daemon(scene->rig, "--pool", "64M", "--allow-nbd", scene->allowed, NULL);
}

/* Page 10 is loaded, page 11 dirty, page 12 not there. */
static struct scene start(struct rig *rig, unsigned flags) {
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "image", N_PAGES), .allowed = rig_allow_nbd(rig) };

        scene.server = rig_nbdkit(rig, (const char *[]) { "file", scene.path, NULL });
        start_daemon(&scene);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, scene.server->uri, O_RDWR, flags);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 0) = 1100;
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

static void check_all_is_well(struct scene *scene) {
        assert_int_equal(*rig_word(scene->map, 10, 0), 10);
        assert_int_equal(*rig_word(scene->map, 11, 0), 1100);
        assert_int_equal(*rig_word(scene->map, 12, 0), 12);
        assert_states(scene->fileh, 10, "LDL");
        *rig_word(scene->map, 13, 0) = 1300;
        assert_int_equal(bf_writeout(scene->fileh, STORE_MARK_SYNC), 0);
        assert_states(scene->fileh, 10, "LLLL");
        assert_int_equal(rig_file_word(scene->path, 11), 1100);
        assert_int_equal(rig_file_word(scene->path, 13), 1300);
}

static void test_killed(void **state) {
        struct scene scene = start(rig_here(state), 0);

        daemonproc_kill(&scene.rig->daemon);
        start_daemon(&scene);
        check_all_is_well(&scene);
}

static void test_ended_in_order(void **state) {
        struct scene scene = start(rig_here(state), 0);

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        start_daemon(&scene);
        check_all_is_well(&scene);
}

static void test_shared_by_two(void **state) {
        struct scene scene = start(rig_here(state), BF_SHARED);
        uint64_t *other = rig_map(rig_open(rig_client(scene.rig), scene.server->uri, O_RDWR, BF_SHARED), 0, N_PAGES);

        daemonproc_kill(&scene.rig->daemon);
        start_daemon(&scene);
        check_all_is_well(&scene);
        *rig_word(other, 20, 0) = 2000;
        assert_int_equal(*rig_word(scene.map, 20, 0), 2000);
}

/* The daemon and the server are gone, and the daemon is back first: what is dirty stays, what is touched waits. */
static void test_before_the_server(void **state) {
        struct scene scene = start(rig_here(state), 0);
        struct worker *reader;

        nbdserver_kill(scene.server);
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(&scene);
        assert_int_equal(*rig_word(scene.map, 11, 0), 1100);
        reader = rig_worker(scene.rig, worker_read, at(&scene, 12), NULL, 0, 0);
        worker_wait_fault(reader);
        assert_int_equal(nbdserver_start(scene.server), 0);
        worker_join(reader);
        assert_int_equal(reader->value, 12);
        check_all_is_well(&scene);
}

/* The daemon is told to end while a thread waits for a server that is gone: it does not wait for that, nor does the thread lose anything. */
static void test_ended_while_a_page_is_awaited(void **state) {
        struct scene scene = start(rig_here(state), 0);
        struct worker *reader;

        nbdserver_kill(scene.server);
        reader = rig_worker(scene.rig, worker_read, at(&scene, 12), NULL, 0, 0);
        worker_wait_fault(reader);
        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        start_daemon(&scene);
        assert_false(worker_is_done(reader));
        assert_int_equal(nbdserver_start(scene.server), 0);
        worker_join(reader);
        assert_int_equal(reader->value, 12);
        check_all_is_well(&scene);
}

/* Whether the server has kept what was not flushed nobody knows any more. */
static void test_what_was_not_flushed_is_dirty(void **state) {
        struct scene scene = start(rig_here(state), 0);

        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_states(scene.fileh, 10, "LL");
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(&scene);
        assert_int_equal(*rig_word(scene.map, 12, 0), 12); /* it has taken up the pages */
        check_all_is_well(&scene);
}

struct opening {
        struct bf_client *client;
        const char *uri;
        struct bf_fileh *fileh;
};

static void run_open(struct worker *worker) {
        struct opening *opening = worker->object;

        worker->result = bf_open(opening->client, opening->uri, O_RDWR, NULL, &opening->fileh);
}

/* An open that waits for a server is asked again of the next daemon. */
static void test_while_it_connects(void **state) {
        struct scene scene = start(rig_here(state), 0);
        static struct opening opening;
        struct worker *opener;

        opening = (struct opening) { .client = scene.client, .uri = scene.server->uri };
        assert_int_equal(kill(scene.server->pid, SIGSTOP), 0); /* connections are taken, and nothing is said */
        opener = rig_worker(scene.rig, run_open, NULL, &opening, 0, 0);
        worker_wait_call(opener);
        (void) rig_pool_stat(scene.client);
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(&scene);
        assert_false(worker_is_done(opener));
        assert_int_equal(kill(scene.server->pid, SIGCONT), 0);
        worker_join(opener);
        assert_int_equal(opener->result, 0);
        assert_int_equal(bf_load(opening.fileh, 0, RIG_PAGE), 0);
        check_all_is_well(&scene);
}

/* A client that goes while the daemon connects for it leaves nothing behind: the server would never answer. */
static int child_opens(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_fileh *fileh;
        struct bf_client *client;

        (void) child_hear(line);
        CHILD_CHECK(bf_connect(&client, scene->rig->address) == 0);
        CHILD_CHECK(bf_open(client, scene->server->uri, O_RDWR, NULL, &fileh) == 0);
        return 0;
}

static unsigned count_threads(const struct scene *scene) {
        struct daemonproc_usage usage;

        assert_int_equal(daemonproc_usage(&scene->rig->daemon, &usage), 0);
        return usage.n_threads;
}

static void test_client_goes_while_it_connects(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "image", N_PAGES), .allowed = rig_allow_nbd(rig) };
        unsigned n_fds, n_threads;
        struct child *child;

        scene.server = rig_nbdkit(rig, (const char *[]) { "file", scene.path, NULL });
        rig_daemon(rig, "--pool", "64M", "--allow-nbd", scene.allowed, "--nbd-timeout", "1000", NULL);
        (void) rig_address(rig);
        assert_int_equal(kill(scene.server->pid, SIGSTOP), 0);
        child = rig_child(rig, child_opens, &scene);
        scene.client = rig_client(rig);
        n_fds = rig_count_fds(rig, scene.client);
        n_threads = count_threads(&scene);
        child_say(child->line, 1);
        while (count_threads(&scene) == n_threads)
                usleep(500);
        child_kill(child);
        while (count_threads(&scene) != n_threads)
                usleep(500);
        rig_wait_fds(rig, scene.client, n_fds);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 0);
}

static void test_not_allowed_any_more(void **state) {
        struct scene scene = start(rig_here(state), 0);

        daemonproc_kill(&scene.rig->daemon);
        scene.allowed = "none";
        start_daemon(&scene);
        assert_int_equal(bf_load(scene.fileh, 0, RIG_PAGE), -ENOTCONN);
        assert_true(daemonproc_says(&scene.rig->daemon, "allow-nbd"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed),
                RIG_TEST(test_ended_in_order),
                RIG_TEST(test_shared_by_two),
                RIG_TEST(test_before_the_server),
                RIG_TEST(test_ended_while_a_page_is_awaited),
                RIG_TEST(test_what_was_not_flushed_is_dirty),
                RIG_TEST(test_while_it_connects),
                RIG_TEST(test_client_goes_while_it_connects),
                RIG_TEST(test_not_allowed_any_more),
        };

        watchdog_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
