/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that share a file with an honest one and speak the protocol by themselves: they keep its memory without a word, half come back, lock it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rawpeer.h"
#include "watchdog.h"

#define GENERATION_2 ((UINT64_C(1) << 62) + (UINT64_C(2) << 32)) /* where the locks begin that the second daemon makes (daemon/claim.c) */

struct sharer {
        int line;
        uint32_t flags;
        uint32_t handle;
        int file, uffd, memory, ledger;
};

/* The honest one has page 3 dirty. */
struct scene {
        struct rig *rig;
        int device;
        const char *path;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static void daemon_start(struct rig *rig) {
        rig_daemon(rig, "--room-timeout", "0.1", NULL);
}

static struct scene start(void **state) {
        struct scene scene = { .rig = rig_here(state), .path = rig_path(rig_here(state), "raw") };

        daemon_start(scene.rig);
        close(rawpeer_greet(scene.rig, &scene.device));
        close(rawpeer_open_backing(scene.rig));
        scene.client = rig_client(scene.rig);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, BF_SHARED);
        scene.map = rig_map(scene.fileh, 0, RAWPEER_PAGES);
        *rig_word(scene.map, 3, 0) = 300;
        return scene;
}

static int sharer_ask(struct sharer *sharer, enum wire_id id, const int *fds, unsigned n_fds, struct chan_packet *ret_reply) {
        union wire_msg msg;

        wire_init(&msg, id, 0);
        if (n_fds > 0) {
                msg.header.flags = sharer->flags;
                msg.open.size = RAWPEER_PAGES * RIG_PAGE;
                msg.open.block_size = RIG_PAGE;
        } else
                msg.handle.handle = sharer->handle;
        return rawpeer_call(sharer->line, &msg, fds, n_fds, ret_reply);
}

static struct sharer sharer_open(const struct scene *scene, uint32_t flags) {
        struct sharer sharer = { .line = rawpeer_greet(scene->rig, NULL), .flags = flags | WIRE_OPEN_SHARED, .uffd = rawpeer_uffd(scene->device) };
        struct chan_packet reply;

        sharer.file = open(scene->path, (flags & WIRE_OPEN_READONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        assert_true(sharer.file >= 0);
        assert_int_equal(sharer_ask(&sharer, WIRE_OPEN, (int[]) { sharer.file, sharer.uffd }, 2, &reply), 0);
        sharer.handle = reply.msg.open_reply.handle;
        sharer.memory = chan_packet_take(&reply, 0);
        sharer.ledger = chan_packet_take(&reply, 1);
        return sharer;
}

static void sharer_adopt(struct sharer *sharer, const struct scene *scene) {
        struct chan_packet reply;

        close(sharer->line);
        sharer->line = rawpeer_greet(scene->rig, NULL);
        assert_int_equal(sharer_ask(sharer, WIRE_ADOPT, (int[]) { sharer->file, sharer->uffd, sharer->memory, sharer->ledger }, 4, &reply), 0);
        sharer->handle = reply.msg.open_reply.handle;
}

/* All but the line. */
static void sharer_let_go(struct sharer *sharer) {
        close(sharer->file);
        close(sharer->uffd);
        close(sharer->memory);
        close(sharer->ledger);
}

/* The daemon has heard that the sharer's connection has ended. */
static void hang_up(struct scene *scene, struct sharer *sharer) {
        close(sharer->line);
        while (rig_pool_stat(scene->client).peers > 1)
                usleep(1000);
}

static void restart(struct scene *scene) {
        daemonproc_kill(&scene->rig->daemon);
        daemon_start(scene->rig);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, RIG_PAGE);
}

static void end(struct scene *scene) {
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene->path, 3), 300);
        close(scene->device);
}

/* whom the daemon has lost sight of may have it mapped: he is missed as one who does not come back from another daemon */
static void test_disconnected_without_a_word(void **state) {
        struct scene scene = start(state);
        struct sharer sharer = sharer_open(&scene, 0);

        hang_up(&scene, &sharer);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EBUSY);
        assert_states(scene.fileh, 3, "D");
        sharer_adopt(&sharer, &scene);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EBUSY); /* not all is shown */
        *rig_word(scene.map, 3, 0) = 300;
        hang_up(&scene, &sharer);
        sharer_let_go(&sharer);
        end(&scene);
}

/* the last who has it is disconnected: nothing is dropped before he lets go of it */
static void test_the_last_is_disconnected(void **state) {
        struct scene scene = start(state);
        struct sharer sharer = sharer_open(&scene, 0);

        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        hang_up(&scene, &sharer);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, RIG_PAGE);
        sharer_adopt(&sharer, &scene);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, RIG_PAGE);
        hang_up(&scene, &sharer);
        sharer_let_go(&sharer);
        while (rig_pool_stat(scene.client).filehs > 0)
                usleep(1000);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, 0);
        close(scene.device);
}

/* who says that he closes it is believed */
static void test_closed_and_kept(void **state) {
        struct scene scene = start(state);
        struct sharer sharer = sharer_open(&scene, 0);
        struct chan_packet reply;

        assert_int_equal(sharer_ask(&sharer, WIRE_CLOSE, NULL, 0, &reply), 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        *rig_word(scene.map, 3, 0) = 301;
        restart(&scene);
        *rig_word(scene.map, 3, 0) = 300;
        end(&scene);
        close(sharer.line);
        sharer_let_go(&sharer);
}

/* who is back, but has not shown all, is waited for like one who is not; but not if he dies half way */
static void test_not_all_is_shown(void **state) {
        struct scene scene = start(state);
        struct sharer sharers[2] = { sharer_open(&scene, 0), sharer_open(&scene, 0) };
        struct chan_packet reply;

        restart(&scene);
        for (unsigned i = 0; i < 2; i++)
                sharer_adopt(&sharers[i], &scene);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), -EBUSY);
        assert_int_equal(sharer_ask(&sharers[0], WIRE_SHOWN, NULL, 0, &reply), 0);
        assert_int_equal(sharer_ask(&sharers[0], WIRE_SHOWN, NULL, 0, &reply), 0);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), -EBUSY);
        assert_states(scene.fileh, 3, "D");
        close(sharers[1].line);
        sharer_let_go(&sharers[1]);
        while (rig_pool_stat(scene.client).peers > 2)
                usleep(1000);
        end(&scene);
        close(sharers[0].line);
        sharer_let_go(&sharers[0]);
}

/* of a handle that is no one's */
static void test_shown_of_nothing(void **state) {
        struct scene scene = start(state);
        struct sharer sharer = sharer_open(&scene, 0), other = { .line = rawpeer_greet(scene.rig, NULL), .handle = sharer.handle };
        struct chan_packet reply;

        assert_int_equal(sharer_ask(&other, WIRE_SHOWN, NULL, 0, &reply), -ENOENT);
        assert_int_equal(sharer_ask(&sharer, WIRE_SHOWN, NULL, 0, &reply), 0); /* it came from no other daemon: there is nothing to show */
        close(other.line);
        close(sharer.line);
        sharer_let_go(&sharer);
        while (rig_pool_stat(scene.client).peers > 1)
                usleep(1000);
        end(&scene);
}

/* a reader locks the memory itself, where claims are to be: no writer can be counted then, and so no new one is let in; those who are there go on */
static void test_locks_of_a_reader(void **state) {
        struct scene scene = start(state);
        struct sharer sharer = sharer_open(&scene, WIRE_OPEN_READONLY);
        struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = GENERATION_2 };
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = BF_SHARED, .block_size = RIG_PAGE };
        struct bf_fileh *fileh;

        assert_int_equal(fcntl(sharer.memory, F_OFD_SETLK, &lock), 0);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_close(fileh), 0);
        restart(&scene);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDWR, &opts, &fileh), -EBUSY);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDONLY, &opts, &fileh), 0);
        end(&scene);
        close(sharer.line);
        sharer_let_go(&sharer);
        assert_int_equal(bf_open(scene.client, scene.path, O_RDWR, &opts, &fileh), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_disconnected_without_a_word),
                RIG_TEST(test_the_last_is_disconnected),
                RIG_TEST(test_closed_and_kept),
                RIG_TEST(test_not_all_is_shown),
                RIG_TEST(test_shown_of_nothing),
                RIG_TEST(test_locks_of_a_reader),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("peers that share a file", tests, NULL, NULL);
}
