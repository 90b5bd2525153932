/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A process that serves a file and answers what nobody asked, or nothing; and requests about served files that cannot be. Who touches the file gets an error, and nobody else
 * suffers. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "provide.h"
#include "rawpeer.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 16

struct scene {
        struct rig *rig;
        struct bystander bystander;
        int line;
        int token, socket, area; /* of the file it serves */
        struct bf_client *client;
        struct bf_fileh *fileh; /* somebody else's */
        uint64_t *map;
};

static int request_serve(int line, uint64_t size, uint64_t block_size, const char *name, int token, struct chan_packet *ret_reply) {
        union wire_msg msg;

        wire_init(&msg, WIRE_SERVE, 0);
        msg.serve.size = size;
        msg.serve.block_size = block_size;
        memset(msg.serve.name, 'x', sizeof(msg.serve.name));
        if (name)
                memcpy(msg.serve.name, name, strlen(name) + 1);
        return rawpeer_call(line, &msg, &token, token >= 0, ret_reply);
}

static struct scene start_of(void **state, uint64_t size, uint64_t block_size) {
        struct scene scene = { .rig = rig_here(state) };
        struct chan_packet reply;

        rig_daemon(scene.rig, "--pagers", "2", NULL);
        bystander_begin(scene.rig, &scene.bystander);
        scene.line = rawpeer_greet(scene.rig, NULL);
        assert_int_equal(request_serve(scene.line, size, block_size, "bad", -1, &reply), 0);
        assert_int_equal(reply.n_fds, 3);
        scene.token = reply.fds[0];
        scene.socket = reply.fds[1];
        scene.area = reply.fds[2];
        scene.client = rig_client(scene.rig);
        assert_int_equal(bf_open(scene.client, "ops:bad", O_RDWR, NULL, &scene.fileh), 0);
        scene.map = rig_map(scene.fileh, 0, size / RIG_PAGE);
        return scene;
}

static struct scene start(void **state) {
        return start_of(state, N_PAGES * RIG_PAGE, RIG_PAGE);
}

static void end(struct scene *scene) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_POOL_STAT, 0);
        assert_int_equal(rawpeer_call(scene->line, &msg, NULL, 0, &reply), 0);
        close(scene->line);
        close(scene->token);
        close(scene->socket);
        close(scene->area);
        rig_disconnect(scene->rig, scene->client);
        bystander_assert_well(scene->rig, &scene->bystander);
}

/* Somebody touches the page: what is asked then. */
static struct worker *touch(const struct scene *scene, uint64_t page, struct provide_ask *ret_ask) {
        struct worker *worker = rig_worker(scene->rig, worker_read, (void *) (uintptr_t) rig_word(scene->map, page, 0), NULL, 0, 0);

        assert_int_equal(chan_receive_bytes(scene->socket, ret_ask, sizeof(*ret_ask)), sizeof(*ret_ask));
        assert_int_equal(ret_ask->op, PROVIDE_LOAD);
        assert_int_equal(ret_ask->offset, page * RIG_PAGE);
        assert_int_equal(ret_ask->length, RIG_PAGE);
        return worker;
}

static void answer(const struct scene *scene, const struct provide_answer *answer, size_t size) {
        assert_int_equal(chan_send_bytes(scene->socket, answer, size), 0);
}

static struct provide_answer right_answer(const struct provide_ask *ask) {
        return (struct provide_answer) { .kind = PROVIDE_DONE, .slot = ask->slot, .number = ask->number, .n_done = ask->length };
}

static void assert_failed(struct worker *worker, int error) {
        worker_join(worker);
        assert_int_equal(worker->hit.signo, SIGBUS);
        assert_int_equal(worker->hit.error, error);
}

static void test_right_answers(void **state) {
        struct scene scene = start(state);
        struct provide_ask ask;
        struct provide_answer a;
        struct worker *worker;
        char *area = mmap(NULL, provide_slot_bytes(RIG_PAGE) * provide_n_slots(RIG_PAGE), PROT_READ | PROT_WRITE, MAP_SHARED, scene.area, 0);

        assert_ptr_not_equal(area, MAP_FAILED);
        worker = touch(&scene, 5, &ask);
        *(uint64_t *) (area + ask.slot * provide_slot_bytes(RIG_PAGE)) = 555;
        a = right_answer(&ask);
        answer(&scene, &a, sizeof(a));
        worker_join(worker);
        assert_int_equal(worker->value, 555);
        worker = touch(&scene, 6, &ask);
        a = (struct provide_answer) { .kind = PROVIDE_DONE, .slot = ask.slot, .number = ask.number, .error = -ENODATA };
        answer(&scene, &a, sizeof(a));
        assert_failed(worker, ENODATA);
        *(volatile uint64_t *) (area + ask.slot * provide_slot_bytes(RIG_PAGE)) = 0; /* it is the process's own as long as it lives */
        munmap(area, provide_slot_bytes(RIG_PAGE) * provide_n_slots(RIG_PAGE));
        assert_int_equal(*rig_word(scene.map, 5, 0), 555);
        end(&scene);
}

enum wrong { WRONG_SLOT, WRONG_SLOT_FAR, WRONG_NUMBER, WRONG_POSITIVE, WRONG_WILD, WRONG_TOO_MUCH, WRONG_TOO_LITTLE, WRONG_KIND, WRONG_SHORT, WRONG_NOTHING, N_WRONG };

static void answer_wrong(const struct scene *scene, const struct provide_ask *ask, enum wrong wrong) {
        struct provide_answer a = right_answer(ask);

        a.slot += wrong == WRONG_SLOT ? 1 : wrong == WRONG_SLOT_FAR ? 0x7fffffff : 0;
        a.number += wrong == WRONG_NUMBER;
        a.error = wrong == WRONG_POSITIVE ? 1 : wrong == WRONG_WILD ? -5000 : 0;
        a.n_done += wrong == WRONG_TOO_MUCH;
        a.n_done -= wrong == WRONG_TOO_LITTLE;
        a.kind = wrong == WRONG_KIND ? 77 : a.kind;
        if (wrong == WRONG_NOTHING)
                chan_end_sending(scene->socket);
        else
                answer(scene, &a, wrong == WRONG_SHORT ? 4 : sizeof(a));
}

/* Each ends it: who waits gets EIO, and who comes after him, until the file is served again. */
static void test_wrong_answers(void **state) {
        struct scene scene = start(state);

        for (enum wrong wrong = 0; wrong < N_WRONG; wrong++) {
                struct chan_packet reply;
                struct provide_ask ask;
                struct worker *worker = touch(&scene, wrong, &ask);

                answer_wrong(&scene, &ask, wrong);
                assert_failed(worker, EIO);
                assert_int_equal(chan_receive_bytes(scene.socket, &ask, sizeof(ask)), 0);
                assert_int_equal(bf_load(scene.fileh, 15 * RIG_PAGE, RIG_PAGE), -EIO);
                close(scene.socket);
                close(scene.area);
                close(scene.token);
                assert_int_equal(request_serve(scene.line, N_PAGES * RIG_PAGE, RIG_PAGE, "bad", -1, &reply), 0);
                scene.token = reply.fds[0];
                scene.socket = reply.fds[1];
                scene.area = reply.fds[2];
        }
        end(&scene);
}

/* A slow one holds up who waits for it, and nobody else; it may answer in any order. */
static void test_no_answer(void **state) {
        struct scene scene = start(state);
        struct provide_ask asks[4];
        struct worker *workers[4];

        for (unsigned i = 0; i < 4; i++)
                workers[i] = touch(&scene, i, &asks[i]);
        assert_int_equal(rig_pool_stat(scene.client).pool_bytes > 0, 1);
        for (unsigned i = 4; i > 0; i--) {
                struct provide_answer a = right_answer(&asks[i - 1]);

                assert_false(worker_is_done(workers[i - 1]));
                answer(&scene, &a, sizeof(a));
                worker_join(workers[i - 1]);
                assert_int_equal(workers[i - 1]->hit.signo, 0);
        }
        end(&scene);
}

/* More threads than there can be are no threads. */
static void test_many_threads(void **state) {
        struct scene scene = start(state);
        struct provide_answer a = { .kind = PROVIDE_THREAD };
        struct provide_ask ask;
        struct worker *worker;

        for (unsigned i = 0; i < 5 * PROVIDE_THREADS_MAX; i++) {
                a.number = i + 1000000;
                while (chan_send_bytes(scene.socket, &a, sizeof(a)) == -EAGAIN)
                        assert_int_equal(rig_pool_stat(scene.client).pool_bytes > 0, 1);
        }
        worker = touch(&scene, 5, &ask);
        a = right_answer(&ask);
        answer(&scene, &a, sizeof(a));
        worker_join(worker);
        assert_int_equal(worker->hit.signo, 0);
        end(&scene);
}

static int request_lookup(int line, const char *name) {
        struct chan_packet reply;
        union wire_msg msg;
        int r;

        wire_init(&msg, WIRE_LOOKUP, 0);
        memset(msg.lookup.name, 'x', sizeof(msg.lookup.name));
        if (name)
                memcpy(msg.lookup.name, name, strlen(name) + 1);
        r = rawpeer_call(line, &msg, NULL, 0, &reply);
        chan_packet_close(&reply);
        return r;
}

static void test_requests_that_cannot_be(void **state) {
        struct scene scene = start(state);
        int fd = rawpeer_open_backing(scene.rig);
        struct chan_packet reply;

        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, NULL, -1, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, WIRE_FILE_MAX + 1, RIG_PAGE, "x", -1, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, 0, "x", -1, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, 256, "x", -1, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, PROVIDE_BLOCK_MAX + 1, "x", -1, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, "x", fd, &reply), -EINVAL);
        assert_int_equal(request_serve(scene.line, N_PAGES * RIG_PAGE, RIG_PAGE, "bad", -1, &reply), -EEXIST);
        assert_int_equal(request_serve(scene.line, N_PAGES * RIG_PAGE, RIG_PAGE, "bad", scene.token, &reply), -EBUSY);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, "bad", scene.token, &reply), -EINVAL);
        assert_int_equal(request_lookup(scene.line, NULL), -EINVAL);
        assert_int_equal(request_lookup(scene.line, ""), -ENOENT);
        assert_int_equal(request_lookup(scene.line, "bad"), 0);
        close(fd);
        end(&scene);
}

/* The token is what the daemon made it, whoever has it. */
static void test_token(void **state) {
        struct scene scene = start(state);
        char byte = 0;

        assert_true(pwrite(scene.token, &byte, 1, 0) < 0);
        assert_true(ftruncate(scene.token, 0) < 0);
        assert_true(ftruncate(scene.token, 1 << 20) < 0);
        assert_ptr_equal(mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, scene.token, 0), MAP_FAILED);
        assert_true(ftruncate(scene.area, 0) < 0);
        end(&scene);
}

/* No more than one user may have; nor by a token of one that he served before. */
static void test_too_many(void **state) {
        struct scene scene = start(state);
        static int sockets[WIRE_SERVED_MAX];
        struct chan_packet reply;
        int token, r;

        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, "", -1, &reply), 0);
        token = chan_packet_take(&reply, 0);
        chan_packet_close(&reply);
        do
                r = request_serve(scene.line, RIG_PAGE, RIG_PAGE, "", token, &reply);
        while (r == -EBUSY); /* it is served until the end of the socket was seen */
        assert_int_equal(r, 0);
        chan_packet_close(&reply);
        for (unsigned i = 0; i < WIRE_SERVED_MAX - 1; i++) {
                do
                        r = request_serve(scene.line, RIG_PAGE, RIG_PAGE, "", -1, &reply);
                while (r == -EUSERS && i == WIRE_SERVED_MAX - 2); /* the one above is there until its end was seen */
                assert_int_equal(r, 0);
                sockets[i] = chan_packet_take(&reply, 1);
                chan_packet_close(&reply);
        }
        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, "", -1, &reply), -EUSERS);
        assert_int_equal(request_serve(scene.line, RIG_PAGE, RIG_PAGE, "", token, &reply), -EUSERS);
        close(token);
        for (unsigned i = 0; i < WIRE_SERVED_MAX - 1; i++)
                close(sockets[i]);
        end(&scene);
}

/* A file of blocks of many pages. */
#define LARGE_BLOCK (64 * RIG_PAGE)
#define N_HANDLES 4 /* of which some are another pager's than the one that asks */
#define SECRET UINT64_C(0x5ec2e75ec2e75ec2)

static void make_buffers_dirty(struct scene *scene) {
        const char *path = rig_path(scene->rig, "secret");
        uint64_t words[RIG_PAGE / sizeof(uint64_t)];

        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                words[i] = SECRET;
        assert_int_equal(tempfile_make_sparse(path, 16 * LARGE_BLOCK), 0);
        for (uint64_t page = 0; page < 16 * LARGE_BLOCK / RIG_PAGE; page++)
                assert_int_equal(tempfile_write(path, page * RIG_PAGE, words, sizeof(words)), 0);
        for (unsigned i = 0; i < N_HANDLES; i++) {
                struct bf_fileh *fileh = rig_open(scene->client, path, O_RDONLY, 0);

                assert_int_equal(bf_load(fileh, 0, 16 * LARGE_BLOCK), 0);
                assert_int_equal(bf_close(fileh), 0);
        }
}

static void answer_next(const struct scene *scene, enum provide_op op, struct provide_ask *ret_ask) {
        struct provide_answer a;

        assert_int_equal(chan_receive_bytes(scene->socket, ret_ask, sizeof(*ret_ask)), sizeof(*ret_ask));
        assert_int_equal(ret_ask->op, op);
        a = right_answer(ret_ask);
        answer(scene, &a, sizeof(a));
}

static unsigned count_secrets(const struct scene *scene) {
        size_t n = provide_area_bytes(LARGE_BLOCK);
        const uint64_t *area = mmap(NULL, n, PROT_READ, MAP_SHARED, scene->area, 0);
        unsigned count = 0;

        assert_ptr_not_equal(area, MAP_FAILED);
        for (size_t i = 0; i < n / sizeof(*area); i += RIG_PAGE / sizeof(*area))
                count += area[i] == SECRET;
        munmap((void *) (uintptr_t) area, n);
        return count;
}

/* Of a block of which some pages are to be stored the process gets these alone, and not what others had in the daemon's buffers before. */
static void test_nothing_but_what_is_to_be_stored(void **state) {
        const struct bf_open_opts small_pages = { .size = sizeof(small_pages), .block_size = RIG_PAGE };
        struct scene scene = start_of(state, 4 * LARGE_BLOCK, LARGE_BLOCK);
        struct bf_fileh *filehs[N_HANDLES];
        struct provide_ask ask;
        struct worker *worker;

        for (unsigned i = 0; i < N_HANDLES; i++) {
                uint64_t *map;

                assert_int_equal(bf_open(scene.client, "ops:bad", O_RDWR, &small_pages, &filehs[i]), 0);
                map = rig_map(filehs[i], 0, 64);
                worker = rig_worker(scene.rig, worker_write, (void *) (uintptr_t) rig_word(map, 0, 0), NULL, 1, 0);
                answer_next(&scene, PROVIDE_LOAD, &ask);
                worker_join(worker);
                *rig_word(map, 62, 0) = 1;
        }
        make_buffers_dirty(&scene);
        for (unsigned i = 0; i < N_HANDLES; i++) {
                worker = rig_worker(scene.rig, worker_writeout, NULL, filehs[i], BF_WRITEOUT_STORE, 0);
                answer_next(&scene, PROVIDE_STORE, &ask);
                assert_int_equal(ask.page_size, RIG_PAGE);
                worker_join(worker);
                assert_int_equal(worker->result, 0);
        }
        assert_int_equal(count_secrets(&scene), 0);
        end(&scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_right_answers),
                RIG_TEST(test_wrong_answers),
                RIG_TEST(test_no_answer),
                RIG_TEST(test_many_threads),
                RIG_TEST(test_requests_that_cannot_be),
                RIG_TEST(test_token),
                RIG_TEST(test_too_many),
                RIG_TEST(test_nothing_but_what_is_to_be_stored),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("bad_provider", tests, NULL, NULL);
}
