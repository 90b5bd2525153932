/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon is killed or ended and another one comes, in each situation that a client can be in. (Rule 30; under load: test_restart_load.c.) */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void come_back(struct scene *scene) {
        rig_daemon(scene->rig, "--pool", "64M", NULL);
}

/* All works as if nothing had been: what was dirty is dirty, a first write is seen, a commit reaches the file. */
static void check_all_is_well(struct scene *scene) {
        assert_int_equal(*rig_word(scene->map, 10, 0), 10);
        assert_int_equal(*rig_word(scene->map, 11, 0), 1100);
        assert_int_equal(*rig_word(scene->map, 12, 0), 12);
        assert_states(scene->fileh, 10, "LDL");
        *rig_word(scene->map, 10, 1) = 7;
        *rig_word(scene->map, 11, 1) = 8;
        *rig_word(scene->map, 13, 0) = 1300;
        assert_states(scene->fileh, 10, "DDLD");
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 3 * RIG_PAGE);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_states(scene->fileh, 10, "LLLL");
        assert_int_equal(*(uint64_t *) heldfs_content(scene->heldfs, 11 * RIG_PAGE), 1100);
        assert_int_equal(*(uint64_t *) heldfs_content(scene->heldfs, 13 * RIG_PAGE), 1300);
        *rig_word(scene->map, 11, 0) = 1;
        assert_int_equal(bf_discard(scene->fileh), 0);
        assert_int_equal(*rig_word(scene->map, 11, 0), 1100);
}

static void test_killed(void **state) {
        struct scene scene = start(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        come_back(&scene);
        check_all_is_well(&scene);
}

/* A relative address is one of the folder that the program was in when it connected. */
static void test_from_another_folder(void **state) {
        int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct scene scene = { .rig = rig_here(state) };
        struct bf_client *client;

        assert_true(before >= 0);
        rig_daemon(scene.rig, "--pool", "64M", NULL);
        assert_int_equal(chdir(scene.rig->dir), 0);
        assert_int_equal(bf_connect(&client, "unix:socket"), 0);
        assert_int_equal(fchdir(before), 0);
        daemonproc_kill(&scene.rig->daemon);
        come_back(&scene);
        assert_int_equal(rig_pool_stat(client).peers, 1);
        bf_disconnect(client);
        close(before);
}

static void test_ended_in_order(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        come_back(&scene);
        check_all_is_well(&scene);
}

/* the second daemon is killed at once, too, and the third after a call */
static void test_killed_again(void **state) {
        struct scene scene = start(rig_here(state));

        for (unsigned i = 0; i < 5; i++) {
                daemonproc_kill(&scene.rig->daemon);
                come_back(&scene);
        }
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        daemonproc_kill(&scene.rig->daemon);
        come_back(&scene);
        check_all_is_well(&scene);
}

/* while no daemon is there: what is in RAM is, and can be written if it is dirty; threads and calls wait, and go on */
static void test_gap(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *reader, *writer, *first, *loader;

        daemonproc_kill(&scene.rig->daemon);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 1) = 1101;
        assert_states(scene.fileh, 10, "LDE");
        reader = rig_worker(scene.rig, worker_read, at(&scene, 30), NULL, 0, 0);
        writer = rig_worker(scene.rig, worker_write, at(&scene, 31), NULL, 3100, 0);
        first = rig_worker(scene.rig, worker_write, at(&scene, 10), NULL, 1000, 0);
        loader = rig_worker(scene.rig, worker_load, NULL, scene.fileh, 32 * RIG_PAGE, RIG_PAGE);
        worker_wait_fault(reader);
        worker_wait_fault(writer);
        worker_wait_fault(first);
        worker_wait_call(loader);
        assert_false(worker_is_done(reader) || worker_is_done(writer) || worker_is_done(first) || worker_is_done(loader));
        come_back(&scene);
        worker_join(reader);
        worker_join(writer);
        worker_join(first);
        worker_join(loader);
        assert_int_equal(reader->value, 30);
        assert_int_equal(writer->hit.signo, 0);
        assert_int_equal(first->hit.signo, 0);
        assert_int_equal(loader->result, 0);
        assert_int_equal(*rig_word(scene.map, 11, 1), 1101);
        assert_states(scene.fileh, 30, "LDL");
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        assert_int_equal(*rig_word(scene.map, 31, 0), 31);
}

/* loads and a store under way in the daemon that is killed: the next one does them again */
static void test_requests_under_way(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct worker *reader, *loader, *writeout;

        heldfs_hold(scene.heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        heldfs_hold(scene.heldfs, HELDFS_WRITE, HELDFS_ANY, HELDFS_ALWAYS);
        reader = rig_worker(rig, worker_read, at(&scene, 30), NULL, 0, 0);
        loader = rig_worker(rig, worker_load, NULL, scene.fileh, 32 * RIG_PAGE, RIG_PAGE);
        writeout = rig_worker(rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC, 0);
        heldfs_wait(scene.heldfs, HELDFS_READ, HELDFS_ANY, 2);
        heldfs_wait(scene.heldfs, HELDFS_WRITE, 11, 1);
        assert_int_equal(kill(rig->daemon.pid, SIGKILL), 0);
        heldfs_clear(scene.heldfs); /* a process with a read that hangs ends only when the read does */
        daemonproc_wait(&rig->daemon);
        come_back(&scene);
        worker_join(reader);
        worker_join(loader);
        worker_join(writeout);
        assert_int_equal(reader->value, 30);
        assert_int_equal(loader->result, 0);
        assert_int_equal(writeout->result, 0);
        assert_int_equal(*(uint64_t *) heldfs_content(scene.heldfs, 11 * RIG_PAGE), 1100);
        assert_states(scene.fileh, 11, "L");
}

/* a private handle, a read-only one and several mappings, also gone and new ones */
static void test_handles_and_mappings(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *readonly = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDONLY, 0), *later;
        uint64_t *second = rig_map(scene.fileh, 5, 10), *gone = rig_map(scene.fileh, 50, 10), *third, *view, *later_map;

        assert_int_equal(bf_mmap(readonly, 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &view), 0);
        assert_int_equal(*rig_word(view, 11, 0), 11);
        assert_int_equal(bf_munmap(gone), 0);
        daemonproc_kill(&scene.rig->daemon);
        come_back(&scene);
        assert_int_equal(*rig_word(view, 11, 0), 11);
        assert_int_equal(*rig_word(view, 14, 0), 14);
        assert_int_equal(*rig_word(second, 6, 0), 1100);
        *rig_word(second, 8, 0) = 1400;
        assert_int_equal(*rig_word(scene.map, 13, 0), 1400);
        third = rig_map(scene.fileh, 50, 10);
        assert_int_equal(*rig_word(third, 1, 0), 51);
        later = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        later_map = rig_map(later, 0, 20);
        assert_int_equal(*rig_word(later_map, 11, 0), 11);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 3);
        assert_int_equal(rig_pool_stat(scene.client).mappings, 5);
        check_all_is_well(&scene);
}

/* a page whose load failed stays so over a restart, until it is invalidated */
static void test_failed_load(void **state) {
        struct scene scene = start(rig_here(state));
        struct probe_hit hit;

        heldfs_fail(scene.heldfs, HELDFS_READ, 40, 0, 1, EIO);
        assert_int_equal(probe_read(at(&scene, 40), NULL, NULL), SIGBUS);
        daemonproc_kill(&scene.rig->daemon);
        come_back(&scene);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        assert_int_equal(probe_read(at(&scene, 40), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_invalidate(scene.fileh, 40 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 40, 0), 40);
}

static void check_block_size(struct rig *rig, uint64_t block_size) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = block_size };
        const char *path = rig_path(rig, "blocks");
        uint64_t *map, word = 0;
        struct bf_fileh *fileh;

        assert_int_equal(tempfile_make_identity(path, 20, block_size), 0);
        rig_daemon(rig, "--pool", "64M", NULL);
        assert_int_equal(bf_open(rig_client(rig), path, O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, 20 * block_size, PROT_READ | PROT_WRITE, (void **) &map), 0);
        map[5 * block_size / sizeof(*map)] = 500;
        assert_int_equal(map[6 * block_size / sizeof(*map)], 6);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--pool", "64M", NULL);
        assert_int_equal(map[5 * block_size / sizeof(*map)], 500);
        assert_int_equal(map[5 * block_size / sizeof(*map) + 1], 5);
        assert_int_equal(map[7 * block_size / sizeof(*map)], 7);
        map[6 * block_size / sizeof(*map) + 3] = 600;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(tempfile_read(path, 5 * block_size, &word, sizeof(word)), 0);
        assert_int_equal(word, 500);
        assert_int_equal(tempfile_read(path, 6 * block_size + 24, &word, sizeof(word)), 0);
        assert_int_equal(word, 600);
}

static void test_blocks_of_4K(void **state) {
        check_block_size(rig_here(state), 4096);
}

static void test_blocks_of_64K(void **state) {
        check_block_size(rig_here(state), 65536);
}

/* two clients with one shared fileh: both come back to the same pages */
static void test_shared(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_fileh *filehs[2];
        uint64_t *maps[2];

        rig_daemon(rig, "--pool", "64M", NULL);
        for (unsigned i = 0; i < 2; i++) {
                filehs[i] = rig_open(rig_client(rig), path, O_RDWR, BF_SHARED);
                maps[i] = rig_map(filehs[i], 0, N_PAGES);
        }
        *rig_word(maps[0], 3, 0) = 300;
        *rig_word(maps[1], 4, 0) = 400;
        daemonproc_kill(&rig->daemon);
        *rig_word(maps[0], 3, 1) = 301;
        rig_daemon(rig, "--pool", "64M", NULL);
        assert_int_equal(rig_stat(filehs[0]).dirty_bytes, 2 * RIG_PAGE);
        assert_int_equal(rig_stat(filehs[1]).dirty_bytes, 2 * RIG_PAGE);
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 1);
        *rig_word(maps[1], 5, 0) = 500;
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(*rig_word(maps[i], 3, 0), 300);
                assert_int_equal(*rig_word(maps[i], 3, 1), 301);
                assert_int_equal(*rig_word(maps[i], 4, 0), 400);
                assert_int_equal(*rig_word(maps[i], 5, 0), 500);
        }
        assert_int_equal(bf_writeout(filehs[1], RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(path, 3), 300);
        assert_int_equal(rig_file_word(path, 5), 500);
        assert_access(rig_word(maps[0], 3, 0), "R");
}

/* bf_munmap, bf_close and bf_disconnect while no daemon is there do not wait for one */
static void test_taking_down_in_the_gap(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *other = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        struct worker *waiting;

        daemonproc_kill(&scene.rig->daemon);
        waiting = rig_worker(scene.rig, worker_load, NULL, scene.fileh, 32 * RIG_PAGE, RIG_PAGE); /* from now on it is known that it is gone, or soon */
        worker_wait_call(waiting);
        assert_int_equal(bf_close(other), 0);
        assert_int_equal(bf_close(scene.fileh), -EBUSY);
        come_back(&scene);
        worker_join(waiting);
        assert_int_equal(waiting->result, 0);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 1);
        daemonproc_kill(&scene.rig->daemon);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(probe_read(scene.map, NULL, NULL), SIGSEGV);
        assert_int_equal(bf_close(scene.fileh), 0);
}

static void test_disconnect_in_the_gap(void **state) {
        struct scene scene = start(rig_here(state));

        daemonproc_kill(&scene.rig->daemon);
        rig_disconnect(scene.rig, scene.client);
        assert_int_equal(probe_read(scene.map, NULL, NULL), SIGSEGV);
}

/* too long without a daemon: errors and SIGBUS; and when one is there again, all works */
static void test_timeout(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *reader, *loader;
        struct probe_hit hit;
        struct scene scene;

        setenv("BIGFILED_RECONNECT_TIMEOUT", "0.2", 1);
        scene = start(rig);
        unsetenv("BIGFILED_RECONNECT_TIMEOUT");
        daemonproc_kill(&rig->daemon);
        reader = rig_worker(rig, worker_read, at(&scene, 30), NULL, 0, 0);
        loader = rig_worker(rig, worker_load, NULL, scene.fileh, 32 * RIG_PAGE, RIG_PAGE);
        worker_join(reader);
        worker_join(loader);
        assert_int_equal(reader->hit.signo, SIGBUS);
        assert_int_equal(reader->hit.error, ENOTCONN);
        assert_int_equal(loader->result, -ENOTCONN);
        assert_int_equal(bf_discard(scene.fileh), -ENOTCONN);
        assert_non_null(strstr(bf_errmsg(), "cannot connect to"));
        assert_int_equal(probe_write(at(&scene, 10), 5, &hit), SIGBUS);
        assert_int_equal(hit.error, ENOTCONN);
        assert_int_equal(*rig_word(scene.map, 11, 0), 1100);
        come_back(&scene);
        while (bf_load(scene.fileh, 0, RIG_PAGE) == -ENOTCONN)
                usleep(10000);
        assert_int_equal(*rig_word(scene.map, 30, 0), 30);
        check_all_is_well(&scene);
}

/* The process, other than this one, that has BF_TEST_MARK=NAME in its environment; 0: none. A private daemon is nobody's child. */
static pid_t process_marked(const char *name) {
        struct dirent *entry;
        pid_t found = 0;
        DIR *dir = opendir("/proc");

        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                char path[300], text[64] = "", expected[64];
                FILE *file;

                snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
                snprintf(expected, sizeof(expected), "BF_TEST_MARK=%s", name);
                file = atoi(entry->d_name) > 1 && atoi(entry->d_name) != getpid() ? fopen(path, "re") : NULL;
                while (file && found == 0) {
                        size_t n = 0;
                        int c;

                        while ((c = fgetc(file)) != EOF && c != '\0')
                                if (n < sizeof(text) - 1)
                                        text[n++] = (char) c;
                        text[n] = '\0';
                        if (strcmp(text, expected) == 0)
                                found = atoi(entry->d_name);
                        if (c == EOF)
                                break;
                }
                if (file)
                        fclose(file);
        }
        closedir(dir);
        return found;
}

/* a private daemon that is killed: another one is started */
static void test_private(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_client *client;
        struct bf_fileh *fileh;
        char mark[64];
        uint64_t *map;

        snprintf(mark, sizeof(mark), "%d", getpid());
        setenv("BF_TEST_MARK", mark, 1);
        assert_int_equal(bf_connect(&client, "spawn:pool=1M"), 0);
        fileh = rig_open(client, path, O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        *rig_word(map, 11, 0) = 1100;
        for (unsigned i = 0; i < 3; i++) {
                pid_t pid = process_marked(mark);

                assert_int_not_equal(pid, 0);
                assert_int_equal(kill(pid, SIGKILL), 0);
                while (process_marked(mark) == pid)
                        usleep(1000);
                assert_int_equal(*rig_word(map, 20 + i, 0), 20 + i);
                assert_int_equal(*rig_word(map, 11, 0), 1100);
                assert_int_equal(rig_stat(fileh).dirty_bytes, RIG_PAGE);
        }
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(path, 11), 1100);
        bf_disconnect(client);
        unsetenv("BF_TEST_MARK");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed),
                RIG_TEST(test_from_another_folder),
                RIG_TEST(test_ended_in_order),
                RIG_TEST(test_killed_again),
                RIG_TEST(test_gap),
                RIG_TEST(test_requests_under_way),
                RIG_TEST(test_handles_and_mappings),
                RIG_TEST(test_failed_load),
                RIG_TEST(test_blocks_of_4K),
                RIG_TEST(test_blocks_of_64K),
                RIG_TEST(test_shared),
                RIG_TEST(test_taking_down_in_the_gap),
                RIG_TEST(test_disconnect_in_the_gap),
                RIG_TEST(test_timeout),
                RIG_TEST(test_private),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
