/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errmsg.h"
#include "process.h"
#include "session.h"

#define ERRNO_MAX 4095

/* A request without a reply yet. It is on the stack of the thread that waits; who takes it off the list, under the lock, sets is_done. */
struct call {
        struct call *next;
        uint32_t serial;
        unsigned reply_id;
        bool is_done;
        int r;
        struct chan_packet *reply;
        pthread_cond_t done;
};

#define BEGINS_WITH_ERRNO(type) static_assert(offsetof(struct type, error) == offsetof(struct wire_reply, error), "every reply begins with an errno")

BEGINS_WITH_ERRNO(wire_hello_reply);
BEGINS_WITH_ERRNO(wire_open_reply);
BEGINS_WITH_ERRNO(wire_stat_reply);
BEGINS_WITH_ERRNO(wire_pool_stat_reply);
BEGINS_WITH_ERRNO(wire_reclaim_reply);

void session_init(struct session *session, int socket, char *daemon) {
        *session = (struct session) { .process = process_id(), .daemon = daemon, .socket = socket };
        pthread_mutex_init(&session->lock, NULL);
        pthread_cond_init(&session->has_room, NULL);
}

void session_fini(struct session *session) {
        assert(!session->calls);
        pthread_cond_destroy(&session->has_room);
        pthread_mutex_destroy(&session->lock);
        close(session->socket);
        free(session->daemon);
}

int session_check(const struct session *session) {
        if (session->process == process_id())
                return 0;
        return errmsg_set(-ENOTCONN, "this process was forked from the one that connected to %s: it has to connect itself", session->daemon);
}

static struct call **session_find(struct session *session, uint32_t serial) {
        struct call **link = &session->calls;

        while (*link && (*link)->serial != serial)
                link = &(*link)->next;
        return link;
}

/* Takes the call off the list: its thread goes on with r. */
static void session_finish(struct session *session, struct call **link, int r) {
        struct call *call = *link;

        *link = call->next;
        session->n_calls--;
        call->r = r;
        call->is_done = true;
        pthread_cond_signal(&call->done);
        pthread_cond_signal(&session->has_room);
}

static int session_enter(struct session *session, struct call *call) {
        while (!session->is_lost && session->n_calls == WIRE_REQUESTS_MAX)
                pthread_cond_wait(&session->has_room, &session->lock);
        if (session->is_lost)
                return -ENOTCONN;
        do
                call->serial = ++session->last_serial;
        while (*session_find(session, call->serial));
        call->next = session->calls;
        session->calls = call;
        session->n_calls++;
        return 0;
}

int session_call(struct session *session, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply) {
        struct call call = { .reply_id = msg->header.id | WIRE_REPLY, .reply = ret_reply, .done = PTHREAD_COND_INITIALIZER };
        int r;

        ret_reply->size = 0;
        ret_reply->n_fds = 0;
        pthread_mutex_lock(&session->lock);
        r = session_enter(session, &call);
        pthread_mutex_unlock(&session->lock);
        if (r < 0)
                return r;

        msg->header.serial = call.serial;
        r = chan_send(session->socket, msg, fds, n_fds);
        if (r == -EPIPE)
                session_give_up(session); /* the keeper fails this call with all others */

        pthread_mutex_lock(&session->lock);
        if (r < 0 && r != -EPIPE && !call.is_done)
                session_finish(session, session_find(session, call.serial), r);
        while (!call.is_done)
                pthread_cond_wait(&call.done, &session->lock);
        pthread_mutex_unlock(&session->lock);
        pthread_cond_destroy(&call.done);
        return call.r;
}

int session_call_simple(struct session *session, union wire_msg *msg) {
        struct chan_packet reply;
        int r;

        r = session_call(session, msg, NULL, 0, &reply);
        chan_packet_close(&reply);
        return r;
}

/* Gives a reply, with its descriptors, to the call it belongs to. false: it is not valid, or belongs to none. */
static bool session_deliver(struct session *session, struct chan_packet *packet, bool fds_are_lost) {
        unsigned n_fds = fds_are_lost ? packet->msg.header.n_fds : packet->n_fds;
        struct call **link;
        bool is_expected;
        int error;

        if (wire_validate(WIRE_TO_CLIENT, &packet->msg, packet->size, n_fds) != WIRE_OK)
                return false;
        error = packet->msg.reply.error;
        if (error > 0 || error < -ERRNO_MAX)
                return false;
        pthread_mutex_lock(&session->lock);
        link = session_find(session, packet->msg.header.serial);
        is_expected = *link && (*link)->reply_id == packet->msg.header.id;
        if (is_expected) {
                *(*link)->reply = *packet;
                session_finish(session, link, error == 0 && fds_are_lost ? -EMFILE : error);
        }
        pthread_mutex_unlock(&session->lock);
        return is_expected;
}

static void session_lose(struct session *session) {
        pthread_mutex_lock(&session->lock);
        session->is_lost = true;
        while (session->calls)
                session_finish(session, &session->calls, -ENOTCONN);
        pthread_cond_broadcast(&session->has_room);
        pthread_mutex_unlock(&session->lock);
        session_give_up(session); /* who is about to send, too */
}

void session_receive(struct session *session) {
        bool go_on;

        do {
                struct chan_packet packet;
                int r = chan_receive(session->socket, &packet);

                go_on = (r == 1 || r == -EMFILE) && session_deliver(session, &packet, r == -EMFILE);
                if (r == 1 && !go_on)
                        chan_packet_close(&packet);
        } while (go_on);
        session_lose(session);
}

void session_end(struct session *session) {
        pthread_mutex_lock(&session->lock);
        session->is_ending = true;
        pthread_mutex_unlock(&session->lock);
        session_give_up(session);
}

void session_give_up(struct session *session) {
        (void) shutdown(session->socket, SHUT_RDWR);
}

bool session_is_lost(struct session *session) {
        bool is_lost;

        pthread_mutex_lock(&session->lock);
        is_lost = session->is_lost;
        pthread_mutex_unlock(&session->lock);
        return is_lost;
}

bool session_is_ending(struct session *session) {
        bool is_ending;

        pthread_mutex_lock(&session->lock);
        is_ending = session->is_ending;
        pthread_mutex_unlock(&session->lock);
        return is_ending;
}
