/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one user may have of the daemon, over all his clients: he is told so in words when he wants more, gets it when he gives something back or dies,
 * and another user, who has all that he may have himself, notices nothing.
 */

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 20
#define OTHER_UID 65533

#define MAX_PEERS 3
#define MAX_HANDLES 5
#define MAX_MAPPINGS 7

struct scene {
        struct rig *rig;
        const char *address;
        const char *path; /* both may read it */
        struct bf_client *clients[MAX_PEERS];
        struct bf_fileh *filehs[MAX_HANDLES];
        uint64_t *maps[MAX_MAPPINGS];
};

static void start(struct rig *rig, struct scene *scene) {
        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", "--uid-peers", "3", "--uid-handles", "5", "--uid-mappings", "7", NULL);
        *scene = (struct scene) { .rig = rig, .address = rig_address(rig), .path = rig_identity(rig, "data", N_PAGES) };
}

/* All that a user may have. What he had before may still be going: then he waits for it. */
static void take_all(struct scene *scene) {
        int r;

        for (unsigned i = 0; i < MAX_PEERS; i++) {
                while ((r = bf_connect(&scene->clients[i], scene->address)) == -EUSERS)
                        sched_yield();
                CHILD_CHECK(r == 0);
        }
        for (unsigned i = 0; i < MAX_HANDLES; i++)
                CHILD_CHECK(bf_open(scene->clients[i % MAX_PEERS], scene->path, O_RDONLY, NULL, &scene->filehs[i]) == 0);
        for (unsigned i = 0; i < MAX_MAPPINGS; i++)
                CHILD_CHECK(bf_mmap(scene->filehs[i % MAX_HANDLES], 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &scene->maps[i]) == 0);
        for (unsigned i = 0; i < MAX_MAPPINGS; i++)
                CHILD_CHECK(*rig_word(scene->maps[i], i, 0) == i);
}

static void give_all_back(const struct scene *scene) {
        for (unsigned i = 0; i < MAX_PEERS; i++)
                bf_disconnect(scene->clients[i]);
}

/* More of anything is refused, and says with which option of the daemon it has to do; less of it makes room for just as much. */
static void want_more(struct scene *scene) {
        struct bf_client *client = NULL;
        struct bf_fileh *fileh = NULL;
        void *map = NULL;

        for (unsigned i = 0; i < 3; i++) {
                CHILD_CHECK(bf_connect(&client, scene->address) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-peers"));
                CHILD_CHECK(bf_open(scene->clients[i], scene->path, O_RDONLY, NULL, &fileh) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-handles"));
                CHILD_CHECK(bf_mmap(scene->filehs[i], 0, RIG_PAGE, PROT_READ, &map) == -EUSERS);
                CHILD_CHECK(strstr(bf_errmsg(), "--uid-mappings"));
        }
        CHILD_CHECK(!client && !fileh && !map);
        CHILD_CHECK(bf_munmap(scene->maps[4]) == 0);
        CHILD_CHECK(bf_mmap(scene->filehs[0], 0, RIG_PAGE, PROT_READ, &map) == 0);
        CHILD_CHECK(bf_mmap(scene->filehs[0], 0, RIG_PAGE, PROT_READ, &map) == -EUSERS);
        CHILD_CHECK(bf_close(scene->filehs[4]) == 0);
        CHILD_CHECK(bf_open(scene->clients[2], scene->path, O_RDONLY, NULL, &fileh) == 0);
        CHILD_CHECK(bf_open(scene->clients[2], scene->path, O_RDONLY, NULL, &fileh) == -EUSERS);
        for (unsigned i = 0; i < 4; i++)
                CHILD_CHECK(*rig_word(scene->maps[i], 10 + i, 0) == 10 + i);
}

static int have_all(int line, void *arg) {
        struct scene scene = *(struct scene *) arg;

        child_hear(line);
        child_become(OTHER_UID);
        take_all(&scene);
        want_more(&scene);
        child_say(line, 1);
        child_hear(line);
        return 1; /* he is killed here */
}

static void test_two_users(void **state) {
        struct scene scene, mine;
        struct child *first, *second;

        start(rig_here(state), &scene);
        mine = scene;
        first = rig_child(scene.rig, have_all, &scene);
        second = rig_child(scene.rig, have_all, &scene);
        child_say(first->line, 1);
        assert_int_equal(child_hear(first->line), 1);
        take_all(&mine); /* as if nobody were there */
        assert_int_equal(rig_pool_stat(mine.clients[0]).filehs, 2 * MAX_HANDLES);
        child_kill(first);
        child_say(second->line, 1); /* the same user again, when his first process is dead: he gets as much */
        assert_int_equal(child_hear(second->line), 1);
        child_kill(second);
        give_all_back(&mine);
}

/* What another daemon allowed is taken up by one that allows less; what is new is not. */
static void test_another_daemon_allows_less(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *filehs[3], *one_more = NULL;
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_client *client;
        uint64_t *maps[3];

        rig_daemon(rig, NULL);
        client = rig_client(rig);
        for (unsigned i = 0; i < 3; i++) {
                filehs[i] = rig_open(client, path, O_RDWR, 0);
                maps[i] = rig_map(filehs[i], 0, N_PAGES);
                *rig_word(maps[i], i, 0) = 1000 + i;
        }
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--uid-handles", "1", NULL);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(*rig_word(maps[i], 10, 0), 10);
                assert_int_equal(*rig_word(maps[i], i, 0), 1000 + i);
                assert_int_equal(bf_writeout(filehs[i], RIG_STORE_MARK), 0);
        }
        assert_int_equal(rig_pool_stat(client).filehs, 3);
        assert_int_equal(bf_open(client, path, O_RDWR, NULL, &one_more), -EUSERS);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(bf_munmap(maps[i]), 0);
                assert_int_equal(bf_close(filehs[i]), 0);
        }
        (void) rig_open(client, path, O_RDWR, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_two_users),
                RIG_TEST(test_another_daemon_allows_less),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("user limits", tests, NULL, NULL);
}
