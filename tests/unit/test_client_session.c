/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests and replies against a daemon played by this test: replies find their callers whatever their order, and a wrong one ends the connection. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "session_rig.h"

static void test_any_order(void **state) {
        struct rig *rig = *state;
        struct request requests[3];
        struct chan_packet packets[3];

        for (size_t i = 0; i < 3; i++) {
                request_init(&requests[i], rig, i);
                request_start(&requests[i]);
                packets[i] = rig_receive(rig);
        }
        for (size_t i = 3; i-- > 0;)
                rig_answer(rig, &packets[i], 0);
        for (size_t i = 0; i < 3; i++)
                request_check_reply(&requests[i]);
}

static void test_errno(void **state) {
        struct rig *rig = *state;
        struct request request;
        struct chan_packet packet;

        request_init(&request, rig, 7);
        request_start(&request);
        packet = rig_receive(rig);
        rig_answer(rig, &packet, -EPERM);
        request_join(&request);
        assert_int_equal(request.r, -EPERM);
        assert_true(session_is_connected(&rig->session));
}

/* A request bears the number that its handle has when it is sent. */
static void test_handle(void **state) {
        struct rig *rig = *state;
        struct request request;
        struct chan_packet packet;
        uint32_t handle = 42;

        request_init_handle(&request, rig, WIRE_DISCARD, &handle);
        request_start(&request);
        packet = rig_receive(rig);
        assert_int_equal(packet.msg.handle.handle, 42);
        rig_answer(rig, &packet, 0);
        request_check_reply(&request);

        session_set_handle(&rig->session, &handle, 0);
        request_start(&request);
        request_check_failure(&request, -ENOTCONN);
        assert_true(session_is_connected(&rig->session));
}

struct notice {
        pthread_t thread;
        unsigned n;
        int r;
        uint64_t bytes;
};

static void notice_reply(struct call *call, int r) {
        struct notice *notice = call->owner;

        *notice = (struct notice) { .thread = pthread_self(), .n = notice->n + 1, .r = r, .bytes = call->reply.msg.reclaim_reply.bytes };
}

/* Who has to know of a reply before what follows it is told once, by the thread that delivers them. */
static void test_on_reply(void **state) {
        struct rig *rig = *state;
        struct notice notice = { .n = 0 };
        struct request request;
        struct chan_packet packet;

        request_init(&request, rig, 7);
        request.call.on_reply = notice_reply;
        request.call.owner = &notice;
        request_start(&request);
        packet = rig_receive(rig);
        rig_answer(rig, &packet, -EPERM);
        request_join(&request);
        assert_int_equal(notice.n, 1);
        assert_int_equal(notice.r, -EPERM);
        assert_int_equal(notice.bytes, request.call.reply.msg.reclaim_reply.bytes);
        assert_true(pthread_equal(notice.thread, rig->keeper));
}

/* Sends a reply that is wrong in one way to one of two requests: the daemon sees the end, and both requests wait for another daemon. */
static void check_wrong_reply(struct rig *rig, void (*spoil)(union wire_msg *reply), const int *fds, unsigned n_fds) {
        struct request requests[2];
        struct chan_packet packet;
        union wire_msg reply;

        for (size_t i = 0; i < 2; i++) {
                request_init(&requests[i], rig, i);
                request_start(&requests[i]);
                packet = rig_receive(rig);
                if (i == 0)
                        reply = rig_reply_to(&packet);
        }
        if (spoil)
                spoil(&reply);
        assert_int_equal(chan_send(rig->daemon, &reply, fds, n_fds), 0);
        rig_await_suspension(rig);
        assert_int_equal(chan_receive(rig->daemon, &packet), 0);
        assert_false(session_is_connected(&rig->session));
        assert_false(session_is_ending(&rig->session));
        rig_await_calls(rig, 2);
        session_set_state(&rig->session, SESSION_LOST);
        for (size_t i = 0; i < 2; i++)
                request_check_failure(&requests[i], -ENOTCONN);
}

static void spoil_size(union wire_msg *reply) {
        reply->header.size -= 8;
}

static void spoil_serial(union wire_msg *reply) {
        reply->header.serial += 77;
}

static void spoil_id(union wire_msg *reply) {
        wire_init(reply, WIRE_DISCARD | WIRE_REPLY, reply->header.serial);
}

static void spoil_direction(union wire_msg *reply) {
        wire_init(reply, WIRE_RECLAIM, reply->header.serial);
}

static void spoil_positive_error(union wire_msg *reply) {
        reply->reply.error = 5;
}

static void spoil_huge_error(union wire_msg *reply) {
        reply->reply.error = -5000;
}

static void spoil_reserved(union wire_msg *reply) {
        reply->reclaim_reply.reserved = 1;
}

static void test_wrong_size(void **state) {
        check_wrong_reply(*state, spoil_size, NULL, 0);
}

static void test_wrong_serial(void **state) {
        check_wrong_reply(*state, spoil_serial, NULL, 0);
}

static void test_wrong_id(void **state) {
        check_wrong_reply(*state, spoil_id, NULL, 0);
}

static void test_wrong_direction(void **state) {
        check_wrong_reply(*state, spoil_direction, NULL, 0);
}

static void test_wrong_errors(void **state) {
        struct rig *rig = *state;

        check_wrong_reply(rig, spoil_positive_error, NULL, 0);
        rig_resume(rig);
        check_wrong_reply(rig, spoil_huge_error, NULL, 0);
}

static void test_wrong_reserved(void **state) {
        check_wrong_reply(*state, spoil_reserved, NULL, 0);
}

static unsigned count_descriptors(void) {
        unsigned n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* A descriptor with a reply that has none: the reply is wrong, and the descriptor is closed. */
static void test_wrong_descriptors(void **state) {
        unsigned n = count_descriptors();
        int fd = STDERR_FILENO;

        check_wrong_reply(*state, NULL, &fd, 1);
        assert_int_equal(count_descriptors(), n);
}

static void opening_init(struct request *opening, struct rig *rig, int fd) {
        *opening = (struct request) { .rig = rig, .call = { .fds = { fd, fd }, .n_fds = 2 } };
        wire_init(&opening->call.msg, WIRE_OPEN, 0);
}

/* A request that cannot be sent leaves nothing behind. */
static void test_not_sent(void **state) {
        struct rig *rig = *state;
        struct request request;
        struct chan_packet packet;

        opening_init(&request, rig, -1);
        request_run(&request);
        assert_int_equal(request.r, -EBADF);
        assert_int_equal(request.call.reply.size, 0);
        assert_int_equal(rig->session.n_calls, 0);
        request_init(&request, rig, 1);
        request_start(&request);
        packet = rig_receive(rig);
        rig_answer(rig, &packet, 0);
        request_check_reply(&request);
}

#define N_CROWD (2 * WIRE_REQUESTS_MAX)
#define N_CROWD_CALLS 25

static void *crowd_run(void *data) {
        struct request *request = data;
        int r = 0;

        for (unsigned i = 0; i < N_CROWD_CALLS && r == 0; i++) {
                request_run(request);
                r = request->r != 0 || !request_has_reply(request);
        }
        request->r = r;
        return NULL;
}

/* Twice as many threads as requests may be under way: the daemon, which at first answers none, never has more than those. */
static void test_crowd(void **state) {
        struct rig *rig = *state;
        struct request requests[N_CROWD];
        struct chan_packet held[WIRE_REQUESTS_MAX + 1];
        unsigned n_held = 0, seed = 1;

        for (size_t i = 0; i < N_CROWD; i++) {
                request_init(&requests[i], rig, i);
                assert_int_equal(pthread_create(&requests[i].thread, NULL, crowd_run, &requests[i]), 0);
        }
        while (n_held < WIRE_REQUESTS_MAX)
                held[n_held++] = rig_receive(rig);
        assert_int_equal(fcntl(rig->daemon, F_SETFL, O_NONBLOCK), 0);
        for (unsigned n_answered = 0; n_answered < N_CROWD * N_CROWD_CALLS;) {
                unsigned i;

                if (chan_receive(rig->daemon, &held[n_held]) == 1)
                        assert_true(++n_held <= WIRE_REQUESTS_MAX);
                if (n_held < (unsigned) rand_r(&seed) % WIRE_REQUESTS_MAX || n_held == 0)
                        continue;
                i = (unsigned) rand_r(&seed) % n_held;
                rig_answer(rig, &held[i], 0);
                held[i] = held[--n_held];
                n_answered++;
        }
        for (size_t i = 0; i < N_CROWD; i++)
                request_check_reply(&requests[i]);
}

/* An OPEN whose reply comes with two descriptors, to a process that has room for them or not. */
static void check_opening(struct rig *rig, struct request *opening, bool has_room) {
        int fds[2] = { STDERR_FILENO, STDERR_FILENO };
        struct rlimit limit, low;
        struct chan_packet packet;
        union wire_msg reply;

        opening_init(opening, rig, STDERR_FILENO);
        request_start(opening);
        packet = rig_receive(rig);
        reply = rig_reply_to(&packet);
        reply.open_reply.handle = 42;
        chan_packet_close(&packet);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = (struct rlimit) { .rlim_cur = has_room ? limit.rlim_cur : 3, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(chan_send(rig->daemon, &reply, fds, 2), 0);
        request_join(opening);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* With a reply come its descriptors; and if there is no room for them, the reply alone, so that the caller can put things right. */
static void test_descriptors(void **state) {
        unsigned n = count_descriptors();
        struct rig *rig = *state;
        struct request opening;

        check_opening(rig, &opening, true);
        assert_int_equal(opening.r, 0);
        assert_int_equal(opening.call.reply.n_fds, 2);
        assert_true(fcntl(opening.call.reply.fds[0], F_GETFD) & FD_CLOEXEC);
        chan_packet_close(&opening.call.reply);

        check_opening(rig, &opening, false);
        assert_int_equal(opening.r, -EMFILE);
        assert_int_equal(opening.call.reply.msg.open_reply.handle, 42);
        assert_int_equal(opening.call.reply.n_fds, 0);
        assert_true(session_is_connected(&rig->session));
        assert_int_equal(count_descriptors(), n);
}

static void test_child(void **state) {
        struct rig *rig = *state;
        int status;
        pid_t pid;

        assert_int_equal(session_check(&rig->session), 0);
        pid = fork();
        if (pid == 0)
                _exit(session_check(&rig->session) == -ENOTCONN ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(session_check(&rig->session), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_any_order),
                TEST(test_errno),
                TEST(test_handle),
                TEST(test_on_reply),
                TEST(test_wrong_size),
                TEST(test_wrong_serial),
                TEST(test_wrong_id),
                TEST(test_wrong_direction),
                TEST(test_wrong_errors),
                TEST(test_wrong_reserved),
                TEST(test_wrong_descriptors),
                TEST(test_not_sent),
                TEST(test_crowd),
                TEST(test_descriptors),
                TEST(test_child),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
