/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"
#include "session_rig.h"

#define REPLY_OFFSET 1000

static void *rig_keep(void *data) {
        struct rig *rig = data;

        while (session_receive(&rig->session))
                continue;
        session_suspend(&rig->session);
        return NULL;
}

/* Connects the two ends, and returns the session's. */
static int rig_connect(struct rig *rig) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        rig->daemon = fds[1];
        return fds[0];
}

static void rig_start_keeper(struct rig *rig) {
        assert_int_equal(pthread_create(&rig->keeper, NULL, rig_keep, rig), 0);
        rig->is_kept = true;
}

int rig_setup(void **state) {
        static struct rig rig;

        assert_int_equal(process_init(), 0);
        session_init(&rig.session, rig_connect(&rig), strdup("the test"));
        rig_start_keeper(&rig);
        *state = &rig;
        return 0;
}

int rig_teardown(void **state) {
        struct rig *rig = *state;

        session_end(&rig->session);
        if (rig->is_kept)
                rig_await_suspension(rig);
        session_fini(&rig->session);
        close(rig->daemon);
        return 0;
}

void rig_await_suspension(struct rig *rig) {
        assert_int_equal(pthread_join(rig->keeper, NULL), 0);
        rig->is_kept = false;
}

void rig_end_daemon(struct rig *rig) {
        assert_int_equal(shutdown(rig->daemon, SHUT_RDWR), 0);
        rig_await_suspension(rig);
}

void rig_resume(struct rig *rig) {
        session_set_state(&rig->session, SESSION_REVIVING);
        close(rig->daemon);
        session_resume(&rig->session, rig_connect(rig));
        rig_start_keeper(rig);
}

void rig_await_calls(struct rig *rig, unsigned n) {
        unsigned n_calls;

        do {
                pthread_mutex_lock(&rig->session.lock);
                n_calls = rig->session.n_calls;
                pthread_mutex_unlock(&rig->session.lock);
        } while (n_calls != n && usleep(1000) == 0);
}

struct chan_packet rig_receive(struct rig *rig) {
        struct chan_packet packet;

        assert_int_equal(chan_receive(rig->daemon, &packet), 1);
        assert_int_equal(wire_validate(WIRE_TO_DAEMON, &packet.msg, packet.size, packet.n_fds), WIRE_OK);
        return packet;
}

union wire_msg rig_reply_to(const struct chan_packet *packet) {
        union wire_msg reply;

        wire_init(&reply, packet->msg.header.id | WIRE_REPLY, packet->msg.header.serial);
        if (packet->msg.header.id == WIRE_RECLAIM)
                reply.reclaim_reply.bytes = packet->msg.reclaim.bytes + REPLY_OFFSET;
        return reply;
}

void rig_answer(struct rig *rig, const struct chan_packet *packet, int error) {
        union wire_msg reply = rig_reply_to(packet);

        reply.reply.error = error;
        assert_int_equal(chan_send(rig->daemon, &reply, NULL, 0), 0);
}

void request_init(struct request *request, struct rig *rig, uint64_t bytes) {
        *request = (struct request) { .rig = rig };
        wire_init(&request->call.msg, WIRE_RECLAIM, 0);
        request->call.msg.reclaim.bytes = bytes;
}

void request_init_handle(struct request *request, struct rig *rig, enum wire_id id, const uint32_t *handle) {
        *request = (struct request) { .rig = rig, .call.handle = handle };
        wire_init(&request->call.msg, id, 0);
}

void request_run(struct request *request) {
        request->r = session_call(&request->rig->session, &request->call);
}

static void *request_main(void *data) {
        request_run(data);
        return NULL;
}

void request_start(struct request *request) {
        assert_int_equal(pthread_create(&request->thread, NULL, request_main, request), 0);
}

void request_join(struct request *request) {
        assert_int_equal(pthread_join(request->thread, NULL), 0);
}

bool request_has_reply(const struct request *request) {
        return request->call.reply.msg.reclaim_reply.bytes == request->call.msg.reclaim.bytes + REPLY_OFFSET;
}

void request_check_reply(struct request *request) {
        const struct call *call = &request->call;

        request_join(request);
        assert_int_equal(request->r, 0);
        assert_int_equal(call->reply.msg.header.id, call->msg.header.id | WIRE_REPLY);
        if (call->msg.header.id == WIRE_RECLAIM)
                assert_true(request_has_reply(request));
}

void request_check_failure(struct request *request, int error) {
        request_join(request);
        assert_int_equal(request->r, error);
        assert_int_equal(request->call.reply.size, 0);
}
