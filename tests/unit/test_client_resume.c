/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests whose daemon goes: they wait for another one, which gets them again, and fail when there is none for too long or the client ends. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_rig.h"

#define N_CROWD (2 * WIRE_REQUESTS_MAX)

static void requests_start(struct request *requests, unsigned n, struct rig *rig) {
        for (unsigned i = 0; i < n; i++) {
                request_init(&requests[i], rig, i);
                request_start(&requests[i]);
        }
}

static void check_fails_at_once(struct rig *rig) {
        struct request request;

        request_init(&request, rig, 7);
        request_run(&request);
        assert_int_equal(request.r, -ENOTCONN);
        assert_int_equal(request.call.reply.size, 0);
}

/* Two requests that the daemon had, and one that came after it was gone: all wait. */
static void waiting_start(struct request requests[static 3], struct rig *rig) {
        requests_start(requests, 2, rig);
        for (size_t i = 0; i < 2; i++)
                (void) rig_receive(rig);
        rig_end_daemon(rig);
        assert_false(session_is_connected(&rig->session));
        assert_false(session_is_ending(&rig->session));
        request_init(&requests[2], rig, 2);
        request_start(&requests[2]);
        rig_await_calls(rig, 3);
}

/* For too long: what waits fails, and so does what comes. */
static void test_lost(void **state) {
        struct rig *rig = *state;
        struct request requests[3];

        waiting_start(requests, rig);
        session_set_state(&rig->session, SESSION_LOST);
        for (size_t i = 0; i < 3; i++)
                request_check_failure(&requests[i], -ENOTCONN);
        check_fails_at_once(rig);
        assert_false(session_is_connected(&rig->session));
        assert_false(session_is_ending(&rig->session));
}

static void test_resumed(void **state) {
        struct rig *rig = *state;
        struct request requests[3];
        struct chan_packet packet;

        waiting_start(requests, rig);
        rig_resume(rig);
        assert_true(session_is_connected(&rig->session));
        for (size_t i = 0; i < 3; i++) {
                packet = rig_receive(rig);
                rig_answer(rig, &packet, 0);
        }
        for (size_t i = 0; i < 3; i++)
                request_check_reply(&requests[i]);
}

/* A daemon that comes after all is as good as one that came in time. */
static void test_resumed_after_loss(void **state) {
        struct rig *rig = *state;
        struct request request;
        struct chan_packet packet;

        rig_end_daemon(rig);
        session_set_state(&rig->session, SESSION_LOST);
        check_fails_at_once(rig);
        rig_resume(rig);
        requests_start(&request, 1, rig);
        packet = rig_receive(rig);
        rig_answer(rig, &packet, 0);
        request_check_reply(&request);
}

/* An attempt that failed: what waits goes on waiting. */
static void test_attempt_failed(void **state) {
        struct rig *rig = *state;
        struct request requests[3];
        struct chan_packet packet;

        waiting_start(requests, rig);
        session_set_state(&rig->session, SESSION_REVIVING);
        session_set_state(&rig->session, SESSION_SUSPENDED);
        rig_await_calls(rig, 3);
        rig_resume(rig);
        for (size_t i = 0; i < 3; i++) {
                packet = rig_receive(rig);
                rig_answer(rig, &packet, 0);
        }
        for (size_t i = 0; i < 3; i++)
                request_check_reply(&requests[i]);
}

/* With another daemon, handles have other numbers; one that it has refused has none. */
static void test_handles(void **state) {
        struct rig *rig = *state;
        uint32_t handles[2] = { 1, 2 };
        struct request requests[2];
        struct chan_packet packet;

        for (size_t i = 0; i < 2; i++) {
                request_init_handle(&requests[i], rig, WIRE_DISCARD, &handles[i]);
                request_start(&requests[i]);
                packet = rig_receive(rig);
                assert_int_equal(packet.msg.handle.handle, i + 1);
        }
        rig_end_daemon(rig);
        session_set_handle(&rig->session, &handles[0], 0);
        session_set_handle(&rig->session, &handles[1], 12);
        rig_resume(rig);
        request_check_failure(&requests[0], -ENOTCONN);
        packet = rig_receive(rig);
        assert_int_equal(packet.msg.handle.handle, 12);
        rig_answer(rig, &packet, 0);
        request_check_reply(&requests[1]);
}

/* Nobody is there to say a farewell to: those under way fail when the daemon goes, those that come fail at once; the others wait. */
static void check_farewell(struct rig *rig, enum wire_id id) {
        struct request farewell, request;
        uint32_t handle = 1;

        request_init_handle(&farewell, rig, id, &handle);
        request_start(&farewell);
        (void) rig_receive(rig);
        requests_start(&request, 1, rig);
        (void) rig_receive(rig);
        rig_end_daemon(rig);
        request_check_failure(&farewell, -ENOTCONN);
        request_run(&farewell);
        assert_int_equal(farewell.r, -ENOTCONN);
        rig_await_calls(rig, 1);
        session_set_state(&rig->session, SESSION_LOST);
        request_check_failure(&request, -ENOTCONN);
}

static void test_farewells(void **state) {
        struct rig *rig = *state;

        check_farewell(rig, WIRE_UNMAP);
        rig_resume(rig);
        check_farewell(rig, WIRE_CLOSE);
}

/* A daemon that is taking up what the client has may know of the handle by now: it has to be told. */
static void test_farewell_while_reviving(void **state) {
        struct rig *rig = *state;
        struct request farewells[2];
        uint32_t handle = 5;
        struct chan_packet packet;

        rig_end_daemon(rig);
        session_set_state(&rig->session, SESSION_REVIVING);
        request_init_handle(&farewells[0], rig, WIRE_UNMAP, &handle);
        request_init_handle(&farewells[1], rig, WIRE_CLOSE, &handle);
        for (unsigned i = 0; i < 2; i++) {
                request_start(&farewells[i]);
                rig_await_calls(rig, i + 1);
        }
        rig_resume(rig);
        for (size_t i = 0; i < 2; i++) {
                packet = rig_receive(rig);
                assert_int_equal(packet.msg.handle.handle, 5);
                rig_answer(rig, &packet, 0);
        }
        for (size_t i = 0; i < 2; i++)
                request_check_reply(&farewells[i]);
}

/* ... and if that daemon goes as well, there is nobody again. */
static void test_farewell_to_nobody(void **state) {
        struct rig *rig = *state;
        struct request farewell;
        uint32_t handle = 5;

        rig_end_daemon(rig);
        session_set_state(&rig->session, SESSION_REVIVING);
        request_init_handle(&farewell, rig, WIRE_CLOSE, &handle);
        request_start(&farewell);
        rig_await_calls(rig, 1);
        session_set_state(&rig->session, SESSION_SUSPENDED);
        request_check_failure(&farewell, -ENOTCONN);
}

static void crowd_start(struct request requests[static N_CROWD], struct rig *rig) {
        requests_start(requests, N_CROWD, rig);
        for (size_t i = 0; i < WIRE_REQUESTS_MAX; i++)
                (void) rig_receive(rig);
}

/* Those that wait to be sent fail as well. */
static void test_crowd_lost(void **state) {
        struct rig *rig = *state;
        struct request requests[N_CROWD];

        crowd_start(requests, rig);
        rig_end_daemon(rig);
        rig_await_calls(rig, WIRE_REQUESTS_MAX);
        session_set_state(&rig->session, SESSION_LOST);
        for (size_t i = 0; i < N_CROWD; i++)
                request_check_failure(&requests[i], -ENOTCONN);
}

static void test_crowd_resumed(void **state) {
        struct rig *rig = *state;
        struct request requests[N_CROWD];
        struct chan_packet packet;

        crowd_start(requests, rig);
        rig_end_daemon(rig);
        rig_resume(rig);
        for (size_t i = 0; i < N_CROWD; i++) {
                packet = rig_receive(rig);
                rig_answer(rig, &packet, 0);
        }
        for (size_t i = 0; i < N_CROWD; i++)
                request_check_reply(&requests[i]);
}

/* A farewell that waits for room does not wait for another daemon. */
static void test_crowd_farewell(void **state) {
        struct rig *rig = *state;
        struct request requests[WIRE_REQUESTS_MAX], farewell;
        uint32_t handle = 1;

        requests_start(requests, WIRE_REQUESTS_MAX, rig);
        rig_await_calls(rig, WIRE_REQUESTS_MAX);
        request_init_handle(&farewell, rig, WIRE_UNMAP, &handle);
        request_start(&farewell);
        rig_end_daemon(rig);
        request_check_failure(&farewell, -ENOTCONN);
        rig_await_calls(rig, WIRE_REQUESTS_MAX);
        session_set_state(&rig->session, SESSION_LOST);
        for (size_t i = 0; i < WIRE_REQUESTS_MAX; i++)
                request_check_failure(&requests[i], -ENOTCONN);
}

static void check_tells(struct rig *rig, const char *expected) {
        char text[SESSION_REASON_MAX];

        session_tell(&rig->session, text);
        assert_string_equal(text, expected);
}

/* Why no daemon is there is told as long as none is. */
static void test_reason(void **state) {
        struct rig *rig = *state;

        check_tells(rig, "the test");
        rig_end_daemon(rig);
        check_tells(rig, "the test");
        session_set_reason(&rig->session, "it sleeps");
        check_tells(rig, "the test; it sleeps");
        rig_resume(rig);
        check_tells(rig, "the test");
}

/* This side ends it while the daemon is there. */
static void test_end(void **state) {
        struct rig *rig = *state;
        struct chan_packet packet;
        struct request request;

        requests_start(&request, 1, rig);
        (void) rig_receive(rig);
        session_end(&rig->session);
        request_check_failure(&request, -ENOTCONN);
        assert_int_equal(chan_receive(rig->daemon, &packet), 0);
        assert_true(session_is_ending(&rig->session));
        check_fails_at_once(rig);
}

/* ... or gone: nothing waits for another one any more. */
static void test_end_while_waiting(void **state) {
        struct rig *rig = *state;
        struct request requests[3];

        waiting_start(requests, rig);
        session_end(&rig->session);
        session_set_state(&rig->session, SESSION_SUSPENDED);
        for (size_t i = 0; i < 3; i++)
                request_check_failure(&requests[i], -ENOTCONN);
        check_fails_at_once(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_lost),
                TEST(test_resumed),
                TEST(test_resumed_after_loss),
                TEST(test_attempt_failed),
                TEST(test_handles),
                TEST(test_farewells),
                TEST(test_farewell_while_reviving),
                TEST(test_farewell_to_nobody),
                TEST(test_crowd_lost),
                TEST(test_crowd_resumed),
                TEST(test_crowd_farewell),
                TEST(test_reason),
                TEST(test_end),
                TEST(test_end_while_waiting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
