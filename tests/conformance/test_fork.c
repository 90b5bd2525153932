/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* fork, vfork and exec by a client: rule 28; cases E15. A child has no access to the mappings, never zeros, and leaves its parent undisturbed. */

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100

struct scene {
        const char *path;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
        char address[128];
};

/* Page 10 is loaded, page 11 dirty, page 12 not there. */
static struct scene start(struct rig *rig) {
        struct scene scene;

        rig_daemon(rig, "--pool", "64M", NULL);
        snprintf(scene.address, sizeof(scene.address), "%s", rig_address(rig));
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 0) = 1100;
        return scene;
}

static void assert_undisturbed(const struct scene *scene) {
        assert_states(scene->fileh, 10, "LDE");
        assert_int_equal(*rig_word(scene->map, 10, 0), 10);
        assert_int_equal(*rig_word(scene->map, 11, 0), 1100);
        assert_int_equal(*rig_word(scene->map, 12, 0), 12);
        *rig_word(scene->map, 13, 0) = 1300;
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene->path, 10), 10);
        assert_int_equal(rig_file_word(scene->path, 11), 1100);
        assert_int_equal(rig_file_word(scene->path, 13), 1300);
        assert_int_equal(rig_pool_stat(scene->client).peers, 1);
}

/* rule 28: SIGSEGV on every page, whatever its state, for reads and writes */
static int touch_everything(int line, void *arg) {
        const struct scene *scene = arg;

        (void) line;
        probe_install();
        for (uint64_t page = 10; page < 13; page++) {
                void *at = (void *) (uintptr_t) rig_word(scene->map, page, 0);

                CHILD_CHECK(probe_read(at, NULL, NULL) == SIGSEGV);
                CHILD_CHECK(probe_write(at, 666, NULL) == SIGSEGV);
        }
        return 0;
}

static void test_a_child_has_no_access(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);

        for (int i = 0; i < 3; i++)
                assert_int_equal(child_wait(rig_child(rig, touch_everything, &scene)), 0);
        assert_undisturbed(&scene);
}

/* Calls everything that takes a client or a handle. */
static int call_everything(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_pool_stat pool_stat;
        struct bf_fileh *fileh;
        struct bf_stat stat;
        void *map = NULL;

        (void) line;
        CHILD_CHECK(bf_open(scene->client, scene->path, O_RDWR, NULL, &fileh) == -ENOTCONN);
        CHILD_CHECK(bf_open_fd(scene->client, STDIN_FILENO, NULL, &fileh) == -ENOTCONN);
        CHILD_CHECK(bf_resize(scene->fileh, 2 * N_PAGES * RIG_PAGE) == -ENOTCONN);
        CHILD_CHECK(bf_mmap(scene->fileh, 0, RIG_PAGE, PROT_READ, &map) == -ENOTCONN);
        CHILD_CHECK(bf_munmap(scene->map) == -ENOTCONN);
        CHILD_CHECK(bf_writeout(scene->fileh, RIG_STORE_MARK) == -ENOTCONN);
        CHILD_CHECK(bf_discard(scene->fileh) == -ENOTCONN);
        CHILD_CHECK(bf_invalidate(scene->fileh, 0, UINT64_MAX) == -ENOTCONN);
        CHILD_CHECK(bf_load(scene->fileh, 0, RIG_PAGE) == -ENOTCONN);
        CHILD_CHECK(bf_advise(scene->fileh, 0, RIG_PAGE, BF_ADVICE_DONTNEED) == -ENOTCONN);
        CHILD_CHECK(bf_page_state(scene->fileh, 0) == -ENOTCONN);
        CHILD_CHECK(bf_stat(scene->fileh, &stat) == -ENOTCONN);
        CHILD_CHECK(bf_pool_stat(scene->client, &pool_stat) == -ENOTCONN);
        CHILD_CHECK(bf_pool_reclaim(scene->client, 0, NULL) == -ENOTCONN);
        CHILD_CHECK(bf_close(scene->fileh) == -ENOTCONN);
        return 0;
}

static void test_a_child_can_call_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);

        assert_int_equal(child_wait(rig_child(rig, call_everything, &scene)), 0);
        assert_undisturbed(&scene);
}

/* A child that connects anew, and has the file too. */
static int connect_anew(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;

        (void) line;
        CHILD_CHECK(bf_connect(&client, scene->address) == 0);
        CHILD_CHECK(bf_open(client, scene->path, O_RDWR, NULL, &fileh) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        CHILD_CHECK(*rig_word(map, 11, 0) == 11);
        *rig_word(map, 50, 0) = 5000;
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK) == 0);
        bf_disconnect(client);
        return 0;
}

static void test_a_child_may_connect_anew(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);

        assert_int_equal(child_wait(rig_child(rig, connect_anew, &scene)), 0);
        assert_int_equal(*rig_word(scene.map, 50, 0), 5000);
        while (rig_pool_stat(scene.client).peers != 1) /* its end takes a moment to be seen */
                ;
        assert_undisturbed(&scene);
}

/* The child ends the way a child does that knows nothing: exit() with all that was inherited; or it disconnects what it inherited. */
static int exit_normally(int line, void *arg) {
        const struct scene *scene = arg;

        (void) line;
        if (scene->client)
                bf_disconnect(scene->client);
        return 0;
}

static void test_the_end_of_a_child(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig), nothing = {};

        assert_int_equal(child_wait(rig_child(rig, exit_normally, &nothing)), 0);
        assert_int_equal(child_wait(rig_child(rig, exit_normally, &scene)), 0);
        assert_undisturbed(&scene);
}

static int wait_for_a_word(int line, void *arg) {
        (void) arg;
        child_hear(line);
        return 0;
}

/* forked while another thread sleeps in a fault: that thread is served; the child, which lives on, keeps nothing alive after the parent's
 * handles are closed */
static void test_fork_during_a_load(void **state) {
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        struct worker *reader;
        struct child *child;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        fileh = rig_open(rig_client(rig), heldfs_path(heldfs), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        heldfs_hold(heldfs, HELDFS_READ, 20, 1);
        reader = rig_worker(rig, worker_read, (void *) (uintptr_t) rig_word(map, 20, 0), NULL, 0, 0);
        heldfs_wait(heldfs, HELDFS_READ, 20, 1);
        child = rig_child(rig, wait_for_a_word, NULL);
        heldfs_release(heldfs, HELDFS_READ, 20);
        worker_join(reader);
        assert_int_equal(reader->value, 20);
        *rig_word(map, 21, 0) = 1;
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        assert_int_equal(rig_pool_stat(rig->clients[0]).resident_bytes, 0);
        child_say(child->line, 1);
        assert_int_equal(child_wait(child), 0);
}

/* with a child that inherited the socket, the client's end is still seen at once */
static void test_disconnect_beside_a_child(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct child *child = rig_child(rig, wait_for_a_word, NULL);
        struct bf_client *other = rig_client(rig);

        rig_disconnect(rig, scene.client);
        while (rig_pool_stat(other).peers != 1 || rig_pool_stat(other).filehs != 0)
                ;
        assert_int_equal(rig_pool_stat(other).resident_bytes, 0);
        child_say(child->line, 1);
        assert_int_equal(child_wait(child), 0);
}

/* posix_spawn (vfork) and exec: the program has none of the library's descriptors, and all is as before */
static void test_exec(void **state) {
        char *argv[] = { (char *) "sh", (char *) "-c", (char *) "ls -l /proc/$$/fd | grep -c -e userfaultfd -e memfd -e socket; true", NULL };
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        posix_spawn_file_actions_t actions;
        int fds[2], status;
        char answer = 0;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0), 0);
        assert_int_equal(posix_spawnp(&pid, "sh", &actions, NULL, argv, environ), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(read(fds[0], &answer, 1), 1);
        assert_int_equal(answer, '0');
        posix_spawn_file_actions_destroy(&actions);
        close(fds[0]);
        close(fds[1]);
        assert_int_equal(system("true"), 0);
        assert_undisturbed(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_child_has_no_access),
                RIG_TEST(test_a_child_can_call_nothing),
                RIG_TEST(test_a_child_may_connect_anew),
                RIG_TEST(test_the_end_of_a_child),
                RIG_TEST(test_fork_during_a_load),
                RIG_TEST(test_disconnect_beside_a_child),
                RIG_TEST(test_exec),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
