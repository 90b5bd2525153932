/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests and replies against a daemon played by this test: replies find their callers whatever their order, and an end or a wrong reply fails
 * all. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"
#include "session.h"

struct stage {
        struct session session;
        pthread_t keeper;
        int daemon; /* the other end */
};

/* A request of this test: a RECLAIM, whose reply bears a number. */
struct request {
        struct stage *stage;
        pthread_t thread;
        uint64_t bytes;
        int r;
        uint64_t reply;
        size_t reply_size;
};

static void *stage_keep(void *data) {
        struct stage *stage = data;

        session_receive(&stage->session);
        return NULL;
}

static int stage_setup(void **state) {
        static struct stage stage;
        int fds[2];

        assert_int_equal(process_init(), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        stage.daemon = fds[1];
        session_init(&stage.session, fds[0], strdup("the test"));
        assert_int_equal(pthread_create(&stage.keeper, NULL, stage_keep, &stage), 0);
        *state = &stage;
        return 0;
}

static int stage_teardown(void **state) {
        struct stage *stage = *state;

        session_end(&stage->session);
        pthread_join(stage->keeper, NULL);
        session_fini(&stage->session);
        close(stage->daemon);
        return 0;
}

static void *request_run(void *data) {
        struct request *request = data;
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_RECLAIM, 0);
        msg.reclaim.bytes = request->bytes;
        request->r = session_call(&request->stage->session, &msg, NULL, 0, &reply);
        request->reply_size = reply.size;
        request->reply = reply.size > 0 ? reply.msg.reclaim_reply.bytes : 0;
        chan_packet_close(&reply);
        return NULL;
}

static void request_start(struct stage *stage, struct request *request, uint64_t bytes) {
        *request = (struct request) { .stage = stage, .bytes = bytes, .r = 1 };
        assert_int_equal(pthread_create(&request->thread, NULL, request_run, request), 0);
}

/* What the daemon gets next. */
static struct chan_packet stage_receive(struct stage *stage) {
        struct chan_packet packet;

        assert_int_equal(chan_receive(stage->daemon, &packet), 1);
        assert_int_equal(wire_validate(WIRE_TO_DAEMON, &packet.msg, packet.size, packet.n_fds), WIRE_OK);
        return packet;
}

/* The reply to a request, with a number that only this request can expect. */
static union wire_msg reply_to(const struct chan_packet *packet) {
        union wire_msg reply;

        wire_init(&reply, packet->msg.header.id | WIRE_REPLY, packet->msg.header.serial);
        if (packet->msg.header.id == WIRE_RECLAIM)
                reply.reclaim_reply.bytes = packet->msg.reclaim.bytes + 1000;
        return reply;
}

static void stage_answer(struct stage *stage, const struct chan_packet *packet, int error) {
        union wire_msg reply = reply_to(packet);

        reply.reply.error = error;
        assert_int_equal(chan_send(stage->daemon, &reply, NULL, 0), 0);
}

static void test_any_order(void **state) {
        struct stage *stage = *state;
        struct request requests[3];
        struct chan_packet packets[3];

        for (uint64_t i = 0; i < 3; i++) {
                request_start(stage, &requests[i], i);
                packets[i] = stage_receive(stage);
        }
        for (size_t i = 3; i-- > 0;)
                stage_answer(stage, &packets[i], 0);
        for (uint64_t i = 0; i < 3; i++) {
                pthread_join(requests[i].thread, NULL);
                assert_int_equal(requests[i].r, 0);
                assert_int_equal(requests[i].reply, i + 1000);
        }
}

static void test_errno(void **state) {
        struct stage *stage = *state;
        struct request request;
        struct chan_packet packet;

        request_start(stage, &request, 7);
        packet = stage_receive(stage);
        stage_answer(stage, &packet, -EPERM);
        pthread_join(request.thread, NULL);
        assert_int_equal(request.r, -EPERM);
        assert_false(session_is_lost(&stage->session));
}

static void check_is_lost(struct stage *stage) {
        struct request request;

        request_start(stage, &request, 7);
        pthread_join(request.thread, NULL);
        assert_int_equal(request.r, -ENOTCONN);
        assert_int_equal(request.reply_size, 0);
        assert_true(session_is_lost(&stage->session));
        assert_false(session_is_ending(&stage->session));
}

/* Sends a reply that is wrong in one way to one of two requests: both fail, and the daemon sees the end. */
static void check_wrong_reply(struct stage *stage, void (*spoil)(union wire_msg *reply), const int *fds, unsigned n_fds) {
        struct request requests[2];
        struct chan_packet packet;
        union wire_msg reply;

        request_start(stage, &requests[0], 1);
        packet = stage_receive(stage);
        reply = reply_to(&packet);
        request_start(stage, &requests[1], 2);
        packet = stage_receive(stage);
        if (spoil)
                spoil(&reply);
        assert_int_equal(chan_send(stage->daemon, &reply, fds, n_fds), 0);
        for (size_t i = 0; i < 2; i++) {
                pthread_join(requests[i].thread, NULL);
                assert_int_equal(requests[i].r, -ENOTCONN);
                assert_int_equal(requests[i].reply_size, 0);
        }
        check_is_lost(stage);
        assert_int_equal(chan_receive(stage->daemon, &packet), 0);
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
        struct stage *stage = *state;

        check_wrong_reply(stage, spoil_positive_error, NULL, 0);
        stage_teardown(state);
        stage_setup(state);
        check_wrong_reply(stage, spoil_huge_error, NULL, 0);
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

static void test_daemon_ends(void **state) {
        struct stage *stage = *state;
        struct request requests[2];

        for (size_t i = 0; i < 2; i++) {
                request_start(stage, &requests[i], i);
                (void) stage_receive(stage);
        }
        assert_int_equal(shutdown(stage->daemon, SHUT_RDWR), 0);
        for (size_t i = 0; i < 2; i++) {
                pthread_join(requests[i].thread, NULL);
                assert_int_equal(requests[i].r, -ENOTCONN);
        }
        check_is_lost(stage);
}

/* A request that cannot be sent leaves nothing behind. */
static void test_not_sent(void **state) {
        struct stage *stage = *state;
        struct chan_packet reply, packet;
        struct request request;
        union wire_msg msg;
        int fds[2] = { -1, -1 };

        wire_init(&msg, WIRE_OPEN, 0);
        assert_int_equal(session_call(&stage->session, &msg, fds, 2, &reply), -EBADF);
        assert_int_equal(reply.size, 0);
        assert_int_equal(stage->session.n_calls, 0);
        request_start(stage, &request, 1);
        packet = stage_receive(stage);
        stage_answer(stage, &packet, 0);
        pthread_join(request.thread, NULL);
        assert_int_equal(request.r, 0);
}

#define N_CROWD (2 * WIRE_REQUESTS_MAX)
#define N_CROWD_CALLS 25

static void *crowd_run(void *data) {
        struct request *request = data;
        int r = 0;

        for (unsigned i = 0; i < N_CROWD_CALLS && r == 0; i++) {
                request_run(request);
                r = request->r != 0 || request->reply != request->bytes + 1000;
        }
        request->r = r;
        return NULL;
}

/* Twice as many threads as requests may be under way: the daemon, which at first answers none, never has more than those. */
static void test_crowd(void **state) {
        struct stage *stage = *state;
        struct request requests[N_CROWD];
        struct chan_packet held[WIRE_REQUESTS_MAX + 1];
        unsigned n_held = 0, seed = 1;

        for (size_t i = 0; i < N_CROWD; i++) {
                requests[i] = (struct request) { .stage = stage, .bytes = i };
                assert_int_equal(pthread_create(&requests[i].thread, NULL, crowd_run, &requests[i]), 0);
        }
        while (n_held < WIRE_REQUESTS_MAX)
                held[n_held++] = stage_receive(stage);
        assert_int_equal(fcntl(stage->daemon, F_SETFL, O_NONBLOCK), 0);
        for (unsigned n_answered = 0; n_answered < N_CROWD * N_CROWD_CALLS;) {
                unsigned i;

                if (chan_receive(stage->daemon, &held[n_held]) == 1)
                        assert_true(++n_held <= WIRE_REQUESTS_MAX);
                if (n_held < (unsigned) rand_r(&seed) % WIRE_REQUESTS_MAX || n_held == 0)
                        continue;
                i = (unsigned) rand_r(&seed) % n_held;
                stage_answer(stage, &held[i], 0);
                held[i] = held[--n_held];
                n_answered++;
        }
        for (size_t i = 0; i < N_CROWD; i++) {
                pthread_join(requests[i].thread, NULL);
                assert_int_equal(requests[i].r, 0);
        }
}

/* Those that wait to be sent are woken by the end, too. */
static void test_crowd_at_the_end(void **state) {
        struct stage *stage = *state;
        struct request requests[2 * WIRE_REQUESTS_MAX];

        for (size_t i = 0; i < 2 * WIRE_REQUESTS_MAX; i++)
                request_start(stage, &requests[i], i);
        for (size_t i = 0; i < WIRE_REQUESTS_MAX; i++)
                (void) stage_receive(stage);
        assert_int_equal(shutdown(stage->daemon, SHUT_RDWR), 0);
        for (size_t i = 0; i < 2 * WIRE_REQUESTS_MAX; i++) {
                pthread_join(requests[i].thread, NULL);
                assert_int_equal(requests[i].r, -ENOTCONN);
        }
}

struct opening {
        struct stage *stage;
        struct chan_packet reply;
        int r;
};

static void *opening_run(void *data) {
        struct opening *opening = data;
        int fds[2] = { STDERR_FILENO, STDERR_FILENO };
        union wire_msg msg;

        wire_init(&msg, WIRE_OPEN, 0);
        opening->r = session_call(&opening->stage->session, &msg, fds, 2, &opening->reply);
        return NULL;
}

/* An OPEN whose reply comes with two descriptors, to a process that has room for them or not. */
static void check_opening(struct stage *stage, struct opening *opening, bool has_room) {
        int fds[2] = { STDERR_FILENO, STDERR_FILENO };
        struct rlimit limit, low;
        struct chan_packet packet;
        union wire_msg reply;
        pthread_t thread;

        *opening = (struct opening) { .stage = stage };
        assert_int_equal(pthread_create(&thread, NULL, opening_run, opening), 0);
        packet = stage_receive(stage);
        reply = reply_to(&packet);
        reply.open_reply.handle = 42;
        chan_packet_close(&packet);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        low = (struct rlimit) { .rlim_cur = has_room ? limit.rlim_cur : 3, .rlim_max = limit.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(chan_send(stage->daemon, &reply, fds, 2), 0);
        pthread_join(thread, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* With a reply come its descriptors; and if there is no room for them, the reply alone, so that the caller can put things right. */
static void test_descriptors(void **state) {
        unsigned n = count_descriptors();
        struct stage *stage = *state;
        struct opening opening;

        check_opening(stage, &opening, true);
        assert_int_equal(opening.r, 0);
        assert_int_equal(opening.reply.n_fds, 2);
        assert_true(fcntl(opening.reply.fds[0], F_GETFD) & FD_CLOEXEC);
        chan_packet_close(&opening.reply);

        check_opening(stage, &opening, false);
        assert_int_equal(opening.r, -EMFILE);
        assert_int_equal(opening.reply.msg.open_reply.handle, 42);
        assert_int_equal(opening.reply.n_fds, 0);
        assert_false(session_is_lost(&stage->session));
        assert_int_equal(count_descriptors(), n);
}

static void test_child(void **state) {
        struct stage *stage = *state;
        int status;
        pid_t pid;

        assert_int_equal(session_check(&stage->session), 0);
        pid = fork();
        if (pid == 0)
                _exit(session_check(&stage->session) == -ENOTCONN ? 0 : 1);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(session_check(&stage->session), 0);
}

static void test_end(void **state) {
        struct stage *stage = *state;
        struct chan_packet packet;

        session_end(&stage->session);
        assert_int_equal(chan_receive(stage->daemon, &packet), 0);
        assert_true(session_is_ending(&stage->session));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_any_order),
                TEST(test_errno),
                TEST(test_wrong_size),
                TEST(test_wrong_serial),
                TEST(test_wrong_id),
                TEST(test_wrong_direction),
                TEST(test_wrong_errors),
                TEST(test_wrong_reserved),
                TEST(test_wrong_descriptors),
                TEST(test_daemon_ends),
                TEST(test_not_sent),
                TEST(test_crowd),
                TEST(test_crowd_at_the_end),
                TEST(test_descriptors),
                TEST(test_child),
                TEST(test_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
