/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* BF_SHARED: one fileh for all who join, also over processes. Who may join as another user: test_users.c. Rule 29 (a shared fileh lives while
 * one user is left). */

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100

struct scene {
        struct rig *rig;
        const char *path;
        struct bf_client *clients[2];
        struct bf_fileh *filehs[2];
        uint64_t *maps[2]; /* of all pages */
};

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.path = rig_identity(rig, "data", N_PAGES);
        for (size_t i = 0; i < 2; i++) {
                scene.clients[i] = rig_client(rig);
                scene.filehs[i] = rig_open(scene.clients[i], scene.path, O_RDWR, BF_SHARED);
                scene.maps[i] = rig_map(scene.filehs[i], 0, N_PAGES);
        }
        return scene;
}

/* one copy in RAM: one load; a write is seen by all at once, as with mmap(MAP_SHARED); states and counts are common */
static void test_one_copy(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(rig_pool_stat(scene.clients[0]).filehs, 1);
        assert_int_equal(rig_pool_stat(scene.clients[0]).peers, 2);
        assert_int_equal(*rig_word(scene.maps[0], 5, 0), 5);
        assert_states(scene.filehs[1], 4, "ELE");
        assert_access(rig_word(scene.maps[1], 5, 0), "-");
        assert_int_equal(*rig_word(scene.maps[1], 5, 0), 5);
        *rig_word(scene.maps[1], 5, 0) = 55;
        assert_int_equal(*rig_word(scene.maps[0], 5, 0), 55);
        *rig_word(scene.maps[0], 5, 1) = 56;
        assert_int_equal(*rig_word(scene.maps[1], 5, 1), 56);
        for (size_t i = 0; i < 2; i++) {
                assert_states(scene.filehs[i], 5, "D");
                assert_int_equal(rig_stat(scene.filehs[i]).loads, 1);
                assert_int_equal(rig_stat(scene.filehs[i]).resident_bytes, RIG_PAGE);
        }
        assert_int_equal(rig_pool_stat(scene.clients[1]).resident_bytes, RIG_PAGE);
}

/* one writes, the other stores; one writes, the other discards; protection is restored in both */
static void test_transactions_are_common(void **state) {
        struct scene scene = start(rig_here(state));

        *rig_word(scene.maps[0], 7, 0) = 77;
        assert_int_equal(*rig_word(scene.maps[1], 7, 0), 77);
        assert_int_equal(bf_writeout(scene.filehs[1], RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 7), 77);
        assert_access(rig_word(scene.maps[0], 7, 0), "R");
        assert_access(rig_word(scene.maps[1], 7, 0), "R");
        *rig_word(scene.maps[0], 7, 0) = 78;
        assert_int_equal(*rig_word(scene.maps[1], 7, 0), 78);
        assert_states(scene.filehs[1], 7, "D");
        assert_int_equal(bf_discard(scene.filehs[1]), 0);
        assert_access(rig_word(scene.maps[0], 7, 0), "-");
        assert_int_equal(*rig_word(scene.maps[0], 7, 0), 77);
        assert_int_equal(bf_invalidate(scene.filehs[0], 0, UINT64_MAX), 0);
        assert_access(rig_word(scene.maps[1], 7, 0), "-");
}

struct join {
        uint32_t flags;
        uint64_t block_size;
        bool link; /* by another name of the file */
        bool joins;
};

/* who joins: the same file by whatever name, the same block size, and BF_SHARED */
static void test_who_joins(void **state) {
        static const struct join joins[] = {
                { BF_SHARED, 4096, false, true },
                { BF_SHARED, 0, false, true },
                { BF_SHARED, 4096, true, true },
                { BF_SHARED, 65536, false, false },
                { 0, 4096, false, false },
        };
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        const char *link_path = rig_path(rig, "link");

        assert_int_equal(link(scene.path, link_path), 0);
        *rig_word(scene.maps[0], 0, 0) = 1234;
        for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
                struct bf_open_opts opts = { .size = sizeof(opts), .flags = joins[i].flags, .block_size = joins[i].block_size };
                struct bf_fileh *fileh;
                uint64_t *map;

                assert_int_equal(bf_open(scene.clients[0], joins[i].link ? link_path : scene.path, O_RDWR, &opts, &fileh), 0);
                assert_int_equal(bf_mmap(fileh, 0, RIG_PAGE, PROT_READ, (void **) &map), 0);
                assert_int_equal(*map, joins[i].joins ? 1234 : 0);
                assert_int_equal(rig_pool_stat(scene.clients[0]).filehs, joins[i].joins ? 1 : 2);
                assert_int_equal(bf_munmap(map), 0);
                assert_int_equal(bf_close(fileh), 0);
        }
}

/* a read-only handle joins: it sees what the others write, and can change nothing */
static void test_read_only_join(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *reader = rig_open(scene.clients[1], scene.path, O_RDONLY, BF_SHARED);
        void *none = NULL;
        uint64_t *map;

        assert_int_equal(rig_pool_stat(scene.clients[0]).filehs, 1);
        assert_int_equal(bf_mmap(reader, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, &none), -EACCES);
        assert_int_equal(bf_mmap(reader, 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &map), 0);
        for (uint64_t page = 0; page < 10; page++)
                *rig_word(scene.maps[0], page, 0) = page + 500;
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(map, page, 0), page < 10 ? page + 500 : page);
        *rig_word(scene.maps[0], 3, 0) = 9;
        *rig_word(scene.maps[0], 15, 0) = 15000; /* clean, and mapped by the reader before */
        assert_int_equal(*rig_word(map, 3, 0), 9);
        assert_int_equal(*rig_word(map, 15, 0), 15000);
        assert_int_equal(probe_write((void *) (uintptr_t) rig_word(map, 3, 0), 1, NULL), SIGSEGV);
        assert_int_equal(bf_writeout(reader, RIG_STORE_MARK), -EBADF);
        assert_int_equal(bf_resize(reader, 200 * RIG_PAGE), -EBADF);
        assert_int_equal(bf_discard(scene.filehs[0]), 0);
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        rig_reclaim(scene.clients[0], 20);
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
}

/* the last of its users ends it: dirty pages live until then, and are dropped then */
static void test_lives_while_one_user_is_left(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *fileh;

        *rig_word(scene.maps[0], 1, 0) = 11;
        rig_disconnect(scene.rig, scene.clients[0]);
        assert_int_equal(*rig_word(scene.maps[1], 1, 0), 11);
        assert_states(scene.filehs[1], 1, "D");
        assert_int_equal(bf_writeout(scene.filehs[1], RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 1), 11);
        *rig_word(scene.maps[1], 1, 0) = 12;
        assert_int_equal(bf_munmap(scene.maps[1]), 0);
        fileh = rig_open(scene.clients[1], scene.path, O_RDWR, BF_SHARED);
        assert_int_equal(bf_close(scene.filehs[1]), 0);
        scene.maps[1] = rig_map(fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.maps[1], 1, 0), 12);
        assert_int_equal(bf_munmap(scene.maps[1]), 0);
        assert_int_equal(bf_close(fileh), 0);
        fileh = rig_open(scene.clients[1], scene.path, O_RDWR, BF_SHARED);
        assert_int_equal(*rig_word(rig_map(fileh, 0, N_PAGES), 1, 0), 11);
        assert_int_equal(rig_file_word(scene.path, 1), 11);
}

/* grown by one, larger for all */
static void test_resize(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map;

        assert_int_equal(bf_resize(scene.filehs[0], 2 * N_PAGES * RIG_PAGE), 0);
        assert_int_equal(rig_stat(scene.filehs[1]).size, 2 * N_PAGES * RIG_PAGE);
        *rig_word(rig_map(scene.filehs[0], 0, 2 * N_PAGES), 150, 0) = 1500;
        map = rig_map(scene.filehs[1], 0, 2 * N_PAGES);
        assert_int_equal(*rig_word(map, 150, 0), 1500);
        assert_int_equal(*rig_word(map, 199, 0), 0);
}

struct other_process {
        const char *address;
        const char *path;
};

/* Answers: says the word at the page it hears; CHILD_GONE ends it. Every page it is asked for above 1000 it writes first: page - 1000, 9000 +
 * page. */
static int run_other_process(int line, void *arg) {
        const struct other_process *other = arg;
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED };
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map, page;

        CHILD_CHECK(bf_connect(&client, other->address) == 0);
        CHILD_CHECK(bf_open(client, other->path, O_RDWR, &opts, &fileh) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        child_say(line, 0);
        while ((page = child_hear(line)) != CHILD_GONE) {
                if (page >= 1000)
                        *rig_word(map, page - 1000, 0) = 9000 + page - 1000;
                child_say(line, *rig_word(map, page % 1000, 0));
        }
        bf_disconnect(client);
        return 0;
}

static uint64_t ask(struct child *child, uint64_t page) {
        child_say(child->line, page);
        return child_hear(child->line);
}

/* two processes: the same memory; then one of them is killed, and what it wrote is there */
static void test_two_processes(void **state) {
        struct rig *rig = rig_here(state);
        struct other_process other;
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct child *child;
        uint64_t *map;

        rig_daemon(rig, "--pool", "64M", NULL);
        other = (struct other_process) { .address = rig_address(rig), .path = rig_identity(rig, "data", N_PAGES) };
        child = rig_child(rig, run_other_process, &other);
        assert_int_equal(child_hear(child->line), 0);
        client = rig_client(rig);
        fileh = rig_open(client, other.path, O_RDWR, BF_SHARED);
        map = rig_map(fileh, 0, N_PAGES);
        assert_int_equal(rig_pool_stat(client).filehs, 1);
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(ask(child, page), page);
        assert_int_equal(rig_stat(fileh).loads, 20);
        *rig_word(map, 3, 0) = 33;
        assert_int_equal(ask(child, 3), 33);
        assert_int_equal(ask(child, 1004), 9004);
        assert_int_equal(*rig_word(map, 4, 0), 9004);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(other.path, 4), 9004);
        assert_int_equal(ask(child, 1005), 9005);
        assert_states(fileh, 3, "LLD");
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(ask(child, 5), 5);
        assert_int_equal(ask(child, 1006), 9006);
        child_kill(child);
        assert_int_equal(*rig_word(map, 6, 0), 9006);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(other.path, 6), 9006);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_one_copy),
                RIG_TEST(test_transactions_are_common),
                RIG_TEST(test_who_joins),
                RIG_TEST(test_read_only_join),
                RIG_TEST(test_lives_while_one_user_is_left),
                RIG_TEST(test_resize),
                RIG_TEST(test_two_processes),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
