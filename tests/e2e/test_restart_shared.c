/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A file shared by several processes, and a daemon that dies: until the last of them is back at the next one, some have the memory mapped where that one
 * does not know of it. Each test has users in processes of their own, who reach the socket by a way of their own: as long as that is closed, they are
 * absent, and go on with what they have in memory. The test process is a user, too, who is always the first to be back.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 100
#define OTHER_UID 65533
#define LOOKS 100 /* at what must not happen: so many answers of the daemon later it would have */

/* --- a user in a process of his own --------------------------------------------------------------------------------------------------------------- */

enum order {
        ORDER_OPEN,
        ORDER_READ,     /* page, word: the answer is the value */
        ORDER_WRITE,    /* page, word, value */
        ORDER_WRITEOUT, /* flags */
        ORDER_DISCARD,
        ORDER_N_DIRTY, /* the answer is the number of dirty pages */
        ORDER_UNMAP,
        ORDER_CLOSE,
        ORDER_FORK, /* a child that lives until the other end of this pipe is closed: reading end, writing end */
};

struct user {
        struct child *child;
        char way[108]; /* to the socket: a link to its directory */
        const char *dir;
        char address[128];
        const char *path;
        bool is_reader;
        uid_t uid;

        /* in his process: */
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static uint64_t user_open(struct user *user) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED };
        int prot = user->is_reader ? PROT_READ : PROT_READ | PROT_WRITE;

        CHILD_CHECK(bf_open(user->client, user->path, user->is_reader ? O_RDONLY : O_RDWR, &opts, &user->fileh) == 0);
        CHILD_CHECK(bf_advise(user->fileh, 0, 0, BF_ADVICE_RANDOM) == 0);
        CHILD_CHECK(bf_mmap(user->fileh, 0, N_PAGES * RIG_PAGE, prot, (void **) &user->map) == 0);
        return 0;
}

static uint64_t user_fork(int reading, int writing) {
        char byte;

        close(writing);
        if (fork() != 0)
                return 0;
        (void) !read(reading, &byte, 1);
        _exit(0);
}

static uint64_t user_obey(struct user *user, enum order order, const uint64_t args[static 3]) {
        struct bf_stat stat;

        switch (order) {
        case ORDER_OPEN:
                return user_open(user);
        case ORDER_READ:
                return *rig_word(user->map, args[0], args[1]);
        case ORDER_WRITE:
                *rig_word(user->map, args[0], args[1]) = args[2];
                return 0;
        case ORDER_WRITEOUT:
                return (uint64_t) -bf_writeout(user->fileh, (unsigned) args[0]);
        case ORDER_DISCARD:
                return (uint64_t) -bf_discard(user->fileh);
        case ORDER_N_DIRTY:
                CHILD_CHECK(bf_stat(user->fileh, &stat) == 0);
                return stat.dirty_bytes / RIG_PAGE;
        case ORDER_UNMAP:
                return (uint64_t) -bf_munmap(user->map);
        case ORDER_CLOSE:
                return (uint64_t) -bf_close(user->fileh);
        case ORDER_FORK:
                return user_fork((int) args[0], (int) args[1]);
        }
        return 0;
}

static int user_run(int line, void *arg) {
        struct user *user = arg;
        uint64_t order, args[3];

        if (user->uid != 0)
                child_become(user->uid);
        CHILD_CHECK(bf_connect(&user->client, user->address) == 0);
        child_say(line, 1);
        while ((order = child_hear(line)) != CHILD_GONE) {
                for (unsigned i = 0; i < 3; i++)
                        args[i] = child_hear(line);
                child_say(line, user_obey(user, (enum order) order, args));
        }
        bf_disconnect(user->client);
        return 0;
}

/* --- his part in this process --------------------------------------------------------------------------------------------------------------------- */

static void user_begin(const struct user *user, enum order order, uint64_t a, uint64_t b, uint64_t c) {
        child_say(user->child->line, order);
        child_say(user->child->line, a);
        child_say(user->child->line, b);
        child_say(user->child->line, c);
}

static uint64_t user_end(const struct user *user) {
        return child_hear(user->child->line);
}

static uint64_t user_do(const struct user *user, enum order order, uint64_t a, uint64_t b, uint64_t c) {
        user_begin(user, order, a, b, c);
        return user_end(user);
}

static bool user_has_answered(const struct user *user) {
        struct pollfd p = { .fd = user->child->line, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static void user_open_way(const struct user *user) {
        assert_int_equal(symlink(user->dir, user->way), 0);
}

/* He keeps the connection he has. */
static void user_close_way(const struct user *user) {
        assert_int_equal(unlink(user->way), 0);
}

/* Before this process has a client. He is connected when this returns. */
static void user_start(struct user *user, struct rig *rig, const char *name, const char *path) {
        user->dir = rig->dir;
        user->path = path;
        snprintf(user->way, sizeof(user->way), "%s", rig_path(rig, name));
        snprintf(user->address, sizeof(user->address), "unix:%s/socket", user->way);
        user_open_way(user);
        user->child = rig_child(rig, user_run, user);
        assert_int_equal(user_end(user), 1);
}

/* --- scenes --------------------------------------------------------------------------------------------------------------------------------------- */

/* The test process has all pages, too; page 3 is dirty by him, page 4 by the other, and both can be written in both mappings; page 5 is clean in both. */
struct scene {
        struct rig *rig;
        const char *path;
        struct user other;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static void daemon_start(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", NULL);
}

static void scene_open(struct scene *scene) {
        scene->client = rig_client(scene->rig);
        scene->fileh = rig_open(scene->client, scene->path, O_RDWR, BF_SHARED);
        scene->map = rig_map(scene->fileh, 0, N_PAGES);
}

static void scene_fill(struct scene *scene) {
        *rig_word(scene->map, 3, 0) = 300;
        assert_int_equal(user_do(&scene->other, ORDER_WRITE, 4, 0, 400), 0);
        assert_int_equal(user_do(&scene->other, ORDER_READ, 3, 0, 0), 300);
        assert_int_equal(*rig_word(scene->map, 4, 0), 400);
        assert_int_equal(*rig_word(scene->map, 5, 0), 5);
        assert_int_equal(user_do(&scene->other, ORDER_READ, 5, 0, 0), 5);
}

static void scene_start(struct scene *scene, struct rig *rig) {
        *scene = (struct scene) { .rig = rig, .path = rig_identity(rig, "data", N_PAGES) };
        daemon_start(rig);
        user_start(&scene->other, rig, "other", scene->path);
        scene_open(scene);
        assert_int_equal(user_do(&scene->other, ORDER_OPEN, 0, 0, 0), 0);
        scene_fill(scene);
}

/* The daemon is killed and another one comes; the other user does not come back to it. Returns when this process has. */
static void restart_without(struct scene *scene) {
        user_close_way(&scene->other);
        daemonproc_kill(&scene->rig->daemon);
        daemon_start(scene->rig);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 2 * RIG_PAGE);
}

static void look_around(struct scene *scene) {
        for (unsigned i = 0; i < LOOKS; i++)
                (void) rig_stat(scene->fileh);
}

static struct worker *begin_writeout(struct scene *scene, unsigned flags) {
        struct worker *worker = rig_worker(scene->rig, worker_writeout, NULL, scene->fileh, flags, 0);

        worker_wait_call(worker);
        look_around(scene);
        return worker;
}

/* --- writeouts ------------------------------------------------------------------------------------------------------------------------------------ */

/* what an absent user writes, to a page that he may write without a fault, is in the writeout that began before */
static void check_waits(struct rig *rig, unsigned flags) {
        struct worker *writeout;
        struct scene scene;

        scene_start(&scene, rig);
        restart_without(&scene);
        writeout = begin_writeout(&scene, flags);
        assert_false(worker_is_done(writeout));
        assert_states(scene.fileh, 3, "DDL");
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 3, 1, 301), 0);
        assert_int_equal(*rig_word(scene.map, 3, 1), 301);
        user_open_way(&scene.other);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        if (flags & BF_WRITEOUT_STORE) {
                uint64_t word = 0;

                assert_int_equal(rig_file_word(scene.path, 3), 300);
                assert_int_equal(tempfile_read(scene.path, 3 * RIG_PAGE + 8, &word, sizeof(word)), 0);
                assert_int_equal(word, 301);
        }
        assert_states(scene.fileh, 3, flags & BF_WRITEOUT_MARKSTORED ? "LLL" : "DDL");
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 4, 2, 402), 0); /* and now it is seen */
        assert_states(scene.fileh, 4, "D");
}

static void test_a_writeout_waits(void **state) {
        check_waits(rig_here(state), RIG_STORE_MARK);
}

static void test_storing_waits(void **state) {
        check_waits(rig_here(state), BF_WRITEOUT_STORE);
}

static void test_marking_waits(void **state) {
        check_waits(rig_here(state), BF_WRITEOUT_MARKSTORED);
}

/* one who was killed is not waited for */
static void test_killed_while_absent(void **state) {
        struct worker *writeout;
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        writeout = begin_writeout(&scene, RIG_STORE_MARK);
        assert_false(worker_is_done(writeout));
        child_kill(scene.other.child);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        assert_int_equal(rig_file_word(scene.path, 4), 400);
}

/* nor the children he leaves behind */
static void test_killed_with_a_child(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *writeout;
        struct scene scene;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        scene_start(&scene, rig);
        assert_int_equal(user_do(&scene.other, ORDER_FORK, (uint64_t) fds[0], (uint64_t) fds[1], 0), 0);
        child_kill(scene.other.child);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        daemonproc_kill(&rig->daemon);
        daemon_start(rig);
        *rig_word(scene.map, 3, 0) = 301;
        writeout = begin_writeout(&scene, RIG_STORE_MARK);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        assert_int_equal(rig_file_word(scene.path, 3), 301);
        close(fds[1]);
        close(fds[0]);
}

/* nor who closed while no daemon was there */
static void test_closed_while_absent(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        user_close_way(&scene.other);
        daemonproc_kill(&scene.rig->daemon);
        assert_int_equal(user_do(&scene.other, ORDER_UNMAP, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_CLOSE, 0, 0, 0), 0);
        daemon_start(scene.rig);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 4), 400);
}

/* whoever is not back in time: nothing is stored, all is dirty still, and it can be asked again */
static void test_one_who_never_comes(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene;

        scene_start(&scene, rig);
        user_close_way(&scene.other);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--pool", "64M", "--room-timeout", "0.1", NULL);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EBUSY);
        assert_non_null(strstr(bf_errmsg(), "has not come back"));
        assert_int_equal(rig_file_word(scene.path, 3), 3);
        assert_states(scene.fileh, 3, "DDL");
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), -EBUSY);
        assert_states(scene.fileh, 3, "DDL");
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_N_DIRTY, 0, 0, 0), 2);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 3), 300);
}

/* over two restarts: who was absent in the whole life of a daemon is missed by the one after it */
static void test_absent_twice(void **state) {
        struct worker *writeout;
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        daemonproc_kill(&scene.rig->daemon);
        daemon_start(scene.rig);
        writeout = begin_writeout(&scene, RIG_STORE_MARK);
        assert_false(worker_is_done(writeout));
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 3, 0, 333), 0);
        user_open_way(&scene.other);
        worker_join(writeout);
        assert_int_equal(writeout->result, 0);
        assert_int_equal(rig_file_word(scene.path, 3), 333);
}

/* --- what need not wait --------------------------------------------------------------------------------------------------------------------------- */

/* pages are dropped under an absent user: he never sees what is not there, or writes it */
static void test_dropping_under_an_absent_user(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        rig_reclaim(scene.client, 1);
        assert_states(scene.fileh, 3, "DDE");
        assert_int_equal(bf_invalidate(scene.fileh, 3 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
        assert_states(scene.fileh, 3, "LDE");
        user_begin(&scene.other, ORDER_WRITE, 3, 1, 301);
        look_around(&scene);
        assert_false(user_has_answered(&scene.other));
        assert_int_equal(*rig_word(scene.map, 3, 1), 3);
        user_open_way(&scene.other);
        assert_int_equal(user_end(&scene.other), 0);
        assert_states(scene.fileh, 3, "DDE");
        assert_int_equal(*rig_word(scene.map, 3, 1), 301);
        assert_int_equal(user_do(&scene.other, ORDER_READ, 5, 0, 0), 5);
}

static void test_discard_under_an_absent_user(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, 4, 0), 4);
        user_begin(&scene.other, ORDER_READ, 4, 0, 0);
        user_open_way(&scene.other);
        assert_int_equal(user_end(&scene.other), 4);
}

/* --- closing -------------------------------------------------------------------------------------------------------------------------------------- */

/* the first one back closes before the second one is back: what is dirty stays */
static void test_the_first_back_closes(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 1);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, 2 * RIG_PAGE);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_N_DIRTY, 0, 0, 0), 2);
        assert_int_equal(user_do(&scene.other, ORDER_READ, 3, 0, 0), 300);
        assert_int_equal(user_do(&scene.other, ORDER_WRITEOUT, RIG_STORE_MARK, 0, 0), 0);
        assert_int_equal(rig_file_word(scene.path, 3), 300);
        assert_int_equal(rig_file_word(scene.path, 4), 400);
}

/* and if the last one absent dies, it goes as it should */
static void test_the_last_absent_dies(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 1);
        child_kill(scene.other.child);
        while (rig_pool_stat(scene.client).filehs > 0)
                usleep(1000);
        rig_wait_resident(scene.client, 0);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, 0);
}

/* the one who has nothing but absent users is left to the next daemon, like those with clients */
static void test_ended_while_it_lingers(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        rig_disconnect(scene.rig, scene.client);
        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        daemon_start(scene.rig);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_N_DIRTY, 0, 0, 0), 2);
        assert_int_equal(user_do(&scene.other, ORDER_READ, 3, 0, 0), 300);
}

/* who opens it while nobody has it open joins those who are absent */
static void test_opened_while_it_lingers(void **state) {
        struct scene scene;

        scene_start(&scene, rig_here(state));
        restart_without(&scene);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        scene_open(&scene);
        assert_int_equal(*rig_word(scene.map, 4, 0), 400);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 6, 0, 600), 0);
        assert_int_equal(*rig_word(scene.map, 6, 0), 600);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 1);
}

/* --- opening before anyone is back ---------------------------------------------------------------------------------------------------------------- */

static void open_shared(struct worker *worker) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED };
        const char *path = worker->at;

        worker->result = bf_open(worker->object, path, O_RDWR, &opts, (struct bf_fileh **) (uintptr_t) worker->a);
}

/* Nobody but the other user has it open, page 4 dirty, and he is absent at a new daemon, of which this process is a client. */
static void scene_start_alone(struct scene *scene, struct rig *rig) {
        *scene = (struct scene) { .rig = rig, .path = rig_identity(rig, "data", N_PAGES) };
        daemon_start(rig);
        user_start(&scene->other, rig, "other", scene->path);
        assert_int_equal(user_do(&scene->other, ORDER_OPEN, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene->other, ORDER_WRITE, 4, 0, 400), 0);
        user_close_way(&scene->other);
        daemonproc_kill(&rig->daemon);
        daemon_start(rig);
        scene->client = rig_client(rig);
}

static struct worker *begin_open(struct scene *scene) {
        struct worker *worker = rig_worker(scene->rig, open_shared, (void *) (uintptr_t) scene->path, scene->client, (uintptr_t) &scene->fileh, 0);

        worker_wait_call(worker);
        for (unsigned i = 0; i < LOOKS / 5; i++) /* it is held for seconds only */
                (void) rig_pool_stat(scene->client);
        return worker;
}

/* who opens it then joins those who come back */
static void test_opened_before_anyone_is_back(void **state) {
        struct worker *opener;
        struct scene scene;

        scene_start_alone(&scene, rig_here(state));
        opener = begin_open(&scene);
        assert_false(worker_is_done(opener));
        user_open_way(&scene.other);
        worker_join(opener);
        assert_int_equal(opener->result, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 4, 0), 400);
        *rig_word(scene.map, 6, 0) = 600;
        assert_int_equal(user_do(&scene.other, ORDER_READ, 6, 0, 0), 600);
        assert_int_equal(rig_pool_stat(scene.client).filehs, 1);
}

/* nobody else waits: private handles, other files, other sizes of blocks */
static void test_other_opens_do_not_wait(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED, .block_size = 2 * RIG_PAGE };
        struct worker *opener;
        struct bf_fileh *fileh;
        struct scene scene;

        scene_start_alone(&scene, rig);
        opener = begin_open(&scene);
        (void) rig_open(scene.client, scene.path, O_RDWR, 0);
        (void) rig_open(scene.client, rig_identity(rig, "another", N_PAGES), O_RDWR, BF_SHARED);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDWR, &opts, &fileh), 0);
        assert_false(worker_is_done(opener));
        user_open_way(&scene.other);
        worker_join(opener);
        assert_int_equal(opener->result, 0);
}

/* those who have died meanwhile are waited for in vain, but not for long */
static void test_opened_when_nobody_comes_back(void **state) {
        struct worker *opener;
        struct scene scene;

        scene_start_alone(&scene, rig_here(state));
        child_kill(scene.other.child);
        opener = begin_open(&scene);
        worker_join(opener);
        assert_int_equal(opener->result, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 4, 0), 4);
}

/* one who waits for it and dies leaves nothing behind */
static void test_killed_while_it_opens(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "data", N_PAGES) };
        struct user third = { .uid = 0 };

        daemon_start(rig);
        user_start(&scene.other, rig, "other", scene.path);
        user_start(&third, rig, "third", scene.path);
        assert_int_equal(user_do(&scene.other, ORDER_OPEN, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 4, 0, 400), 0);
        user_close_way(&scene.other);
        daemonproc_kill(&rig->daemon);
        daemon_start(rig);
        scene.client = rig_client(rig);
        user_begin(&third, ORDER_OPEN, 0, 0, 0);
        while (rig_pool_stat(scene.client).peers < 2)
                usleep(1000);
        for (unsigned i = 0; i < LOOKS / 5; i++) /* it is held for seconds only */
                (void) rig_pool_stat(scene.client);
        assert_false(user_has_answered(&third));
        child_kill(third.child);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_N_DIRTY, 0, 0, 0), 1);
        assert_int_equal(user_do(&scene.other, ORDER_UNMAP, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_CLOSE, 0, 0, 0), 0);
        while (rig_pool_stat(scene.client).filehs > 0)
                usleep(1000);
}

/* what daemons leave for each other goes with the last of it */
static void test_nothing_is_left_behind(void **state) {
        struct rig *rig = rig_here(state);
        const char *left = rig_path(rig, "socket.shared");
        struct scene scene;

        scene_start(&scene, rig);
        assert_int_equal(access(left, F_OK), 0);
        assert_int_equal(user_do(&scene.other, ORDER_UNMAP, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_CLOSE, 0, 0, 0), 0);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        rig_disconnect(rig, scene.client);
        child_kill(scene.other.child);
        scene.client = rig_client(rig);
        while (rig_pool_stat(scene.client).filehs > 0 || rig_pool_stat(scene.client).peers > 1)
                usleep(1000);
        rig_disconnect(rig, scene.client);
        assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        if (access(left, F_OK) == 0) { /* it ended before it had noticed that this client is gone: the next one does it */
                daemon_start(rig);
                assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        }
        assert_int_equal(access(left, F_OK), -1);
}

/* --- users of other uids -------------------------------------------------------------------------------------------------------------------------- */

/* a reader of another uid who does not come back holds up nobody who writes; but he, too, is one to come back */
static void test_an_absent_reader(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "data", N_PAGES), .other = { .is_reader = true, .uid = OTHER_UID } };

        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
        assert_int_equal(chmod(rig->dir, 0755), 0);
        assert_int_equal(chmod(scene.path, 0644), 0);
        daemon_start(rig);
        user_start(&scene.other, rig, "other", scene.path);
        scene_open(&scene);
        *rig_word(scene.map, 3, 0) = 300;
        *rig_word(scene.map, 4, 0) = 400;
        assert_int_equal(user_do(&scene.other, ORDER_OPEN, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_READ, 3, 0, 0), 300);
        restart_without(&scene);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        *rig_word(scene.map, 3, 0) = 333;
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_READ, 3, 0, 0), 333);
}

/* a reader is back first: that the file has a writer, and of which uid, is known all the same, and a writer of another uid gets pages of his own */
static void test_a_foreign_writer_in_the_gap(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "data", N_PAGES), .other = { .uid = OTHER_UID } };
        struct bf_fileh *foreign;

        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
        assert_int_equal(chmod(rig->dir, 0777), 0);
        assert_int_equal(chmod(scene.path, 0666), 0);
        daemon_start(rig);
        user_start(&scene.other, rig, "other", scene.path);
        scene.client = rig_client(rig);
        assert_int_equal(user_do(&scene.other, ORDER_OPEN, 0, 0, 0), 0);
        assert_int_equal(user_do(&scene.other, ORDER_WRITE, 3, 0, 300), 0);
        scene.fileh = rig_open(scene.client, scene.path, O_RDONLY, BF_SHARED);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        user_close_way(&scene.other);
        daemonproc_kill(&rig->daemon);
        daemon_start(rig);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        foreign = rig_open(scene.client, scene.path, O_RDWR, BF_SHARED);
        assert_int_equal(rig_stat(foreign).dirty_bytes, 0);
        assert_int_equal(bf_close(foreign), 0);
        user_open_way(&scene.other);
        assert_int_equal(user_do(&scene.other, ORDER_WRITEOUT, RIG_STORE_MARK, 0, 0), 0);
        assert_int_equal(rig_file_word(scene.path, 3), 300);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_writeout_waits),
                RIG_TEST(test_storing_waits),
                RIG_TEST(test_marking_waits),
                RIG_TEST(test_killed_while_absent),
                RIG_TEST(test_killed_with_a_child),
                RIG_TEST(test_closed_while_absent),
                RIG_TEST(test_one_who_never_comes),
                RIG_TEST(test_absent_twice),
                RIG_TEST(test_dropping_under_an_absent_user),
                RIG_TEST(test_discard_under_an_absent_user),
                RIG_TEST(test_the_first_back_closes),
                RIG_TEST(test_the_last_absent_dies),
                RIG_TEST(test_ended_while_it_lingers),
                RIG_TEST(test_opened_while_it_lingers),
                RIG_TEST(test_opened_before_anyone_is_back),
                RIG_TEST(test_other_opens_do_not_wait),
                RIG_TEST(test_opened_when_nobody_comes_back),
                RIG_TEST(test_killed_while_it_opens),
                RIG_TEST(test_nothing_is_left_behind),
                RIG_TEST(test_an_absent_reader),
                RIG_TEST(test_a_foreign_writer_in_the_gap),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("restart of a shared file's daemon", tests, NULL, NULL);
}
