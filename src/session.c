/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errmsg.h"
#include "process.h"
#include "session.h"

#define ERRNO_MAX 4095

#define BEGINS_WITH_ERRNO(type) static_assert(offsetof(struct type, error) == offsetof(struct wire_reply, error), "every reply begins with an errno")

BEGINS_WITH_ERRNO(wire_hello_reply);
BEGINS_WITH_ERRNO(wire_open_reply);
BEGINS_WITH_ERRNO(wire_stat_reply);
BEGINS_WITH_ERRNO(wire_pool_stat_reply);
BEGINS_WITH_ERRNO(wire_reclaim_reply);
BEGINS_WITH_ERRNO(wire_report_reply);

#define BEGINS_WITH_HANDLE(type) static_assert(offsetof(struct type, handle) == offsetof(struct wire_handle, handle), "the handle is at one place")

BEGINS_WITH_HANDLE(wire_map);
BEGINS_WITH_HANDLE(wire_unmap);
BEGINS_WITH_HANDLE(wire_resize);
BEGINS_WITH_HANDLE(wire_range);

void session_init(struct session *session, int socket, char *daemon) {
        *session = (struct session) { .process = process_id(), .daemon = daemon, .socket = socket, .state = SESSION_CONNECTED };
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

/* --- calls, under the lock ------------------------------------------------------------------------------------------------------------------------ */

static struct call **session_find(struct session *session, uint32_t serial) {
        struct call **link = &session->calls;

        while (*link && (*link)->msg.header.serial != serial)
                link = &(*link)->next;
        return link;
}

/* Takes the call off the list: its thread goes on with r. */
static void session_finish(struct session *session, struct call **link, int r) {
        struct call *call = *link;

        *link = call->next;
        session->n_calls--;
        call->r = r;
        if (call->on_reply)
                call->on_reply(call, r);
        call->is_done = true;
        pthread_cond_signal(&call->done);
        pthread_cond_signal(&session->has_room);
}

static bool call_is_farewell(const struct call *call) {
        return call->msg.header.id == WIRE_UNMAP || call->msg.header.id == WIRE_CLOSE;
}

/* Whether a call has nothing to wait for while no daemon is there. */
static bool session_is_hopeless(const struct session *session, const struct call *call) {
        switch (session->state) {
        case SESSION_SUSPENDED:
                return session->is_ending || call_is_farewell(call);
        case SESSION_LOST:
                return true;
        default:
                return session->is_ending;
        }
}

/*
 * Sends a call. Under the lock, so that no request gets to a new daemon before that one knows its handle. This does not wait for long: a daemon always reads, and
 * as many requests as may be under way have room in the socket. A daemon that is gone is not news for here: session_receive() will see it.
 */
static void session_send(struct session *session, struct call **link) {
        struct call *call = *link;
        int r;

        if (call->handle)
                call->msg.handle.handle = *call->handle;
        r = call->handle && *call->handle == 0 ? -ENOTCONN : chan_send(session->socket, &call->msg, call->fds, call->n_fds);
        if (r < 0 && r != -EPIPE)
                session_finish(session, link, r);
        else
                call->is_sent = true;
}

static int session_enter(struct session *session, struct call *call) {
        while (session->n_calls == WIRE_REQUESTS_MAX && !session_is_hopeless(session, call))
                pthread_cond_wait(&session->has_room, &session->lock);
        if (session_is_hopeless(session, call))
                return -ENOTCONN;
        do
                call->msg.header.serial = ++session->last_serial;
        while (*session_find(session, call->msg.header.serial));
        call->next = session->calls;
        session->calls = call;
        session->n_calls++;
        return 0;
}

static int session_call_locked(struct session *session, struct call *call) {
        int r;

        r = session_enter(session, call);
        if (r < 0)
                return r;
        if (session->state == SESSION_CONNECTED)
                session_send(session, &session->calls);
        while (!call->is_done)
                pthread_cond_wait(&call->done, &session->lock);
        return call->r;
}

int session_call(struct session *session, struct call *call) {
        int r;

        call->reply.size = 0;
        call->reply.n_fds = 0;
        call->is_sent = call->is_done = false;
        pthread_cond_init(&call->done, NULL);
        pthread_mutex_lock(&session->lock);
        r = session_call_locked(session, call);
        pthread_mutex_unlock(&session->lock);
        pthread_cond_destroy(&call->done);
        return r;
}

/* --- the keeper's side ---------------------------------------------------------------------------------------------------------------------------- */

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
        is_expected = *link && (*link)->is_sent && ((*link)->msg.header.id | WIRE_REPLY) == packet->msg.header.id;
        if (is_expected) {
                (*link)->reply = *packet;
                session_finish(session, link, error == 0 && fds_are_lost ? -EMFILE : error);
        }
        pthread_mutex_unlock(&session->lock);
        return is_expected;
}

bool session_receive(struct session *session) {
        struct chan_packet packet;
        int r = chan_receive(session->socket, &packet);
        bool go_on = (r == 1 || r == -EMFILE) && session_deliver(session, &packet, r == -EMFILE);

        if (r == 1 && !go_on)
                chan_packet_close(&packet);
        return go_on;
}

static void session_finish_hopeless(struct session *session) {
        struct call **link = &session->calls;

        while (*link)
                if (session_is_hopeless(session, *link))
                        session_finish(session, link, -ENOTCONN);
                else
                        link = &(*link)->next;
        pthread_cond_broadcast(&session->has_room);
}

void session_set_state(struct session *session, enum session_state state) {
        pthread_mutex_lock(&session->lock);
        session->state = state;
        session_finish_hopeless(session);
        pthread_mutex_unlock(&session->lock);
}

void session_suspend(struct session *session) {
        session_give_up(session); /* the daemon may be there still, and have broken the protocol */
        pthread_mutex_lock(&session->lock);
        for (struct call *call = session->calls; call; call = call->next)
                call->is_sent = false;
        pthread_mutex_unlock(&session->lock);
        session_set_state(session, SESSION_SUSPENDED);
}

void session_resume(struct session *session, int socket) {
        struct call **link, *call;

        pthread_mutex_lock(&session->lock);
        close(session->socket);
        session->socket = socket;
        session->state = SESSION_CONNECTED;
        session->reason[0] = '\0';
        for (link = &session->calls; (call = *link);) {
                session_send(session, link);
                if (*link == call)
                        link = &call->next;
        }
        if (session->is_ending)
                (void) shutdown(socket, SHUT_RDWR);
        pthread_mutex_unlock(&session->lock);
}

void session_set_handle(struct session *session, uint32_t *handle, uint32_t number) {
        pthread_mutex_lock(&session->lock);
        *handle = number;
        pthread_mutex_unlock(&session->lock);
}

/* --- how it is ------------------------------------------------------------------------------------------------------------------------------------ */

void session_set_reason(struct session *session, const char *reason) {
        pthread_mutex_lock(&session->lock);
        snprintf(session->reason, sizeof(session->reason), "%s", reason);
        pthread_mutex_unlock(&session->lock);
}

void session_tell(struct session *session, char text[static SESSION_REASON_MAX]) {
        pthread_mutex_lock(&session->lock);
        if (snprintf(text, SESSION_REASON_MAX, "%s%s%s", session->daemon, session->reason[0] ? "; " : "", session->reason) < 0)
                text[0] = '\0';
        pthread_mutex_unlock(&session->lock);
}

void session_end(struct session *session) {
        pthread_mutex_lock(&session->lock);
        session->is_ending = true;
        pthread_mutex_unlock(&session->lock);
        session_give_up(session);
}

void session_give_up(struct session *session) {
        pthread_mutex_lock(&session->lock);
        (void) shutdown(session->socket, SHUT_RDWR);
        pthread_mutex_unlock(&session->lock);
}

bool session_is_connected(struct session *session) {
        bool is_connected;

        pthread_mutex_lock(&session->lock);
        is_connected = session->state == SESSION_CONNECTED;
        pthread_mutex_unlock(&session->lock);
        return is_connected;
}

bool session_is_ending(struct session *session) {
        bool is_ending;

        pthread_mutex_lock(&session->lock);
        is_ending = session->is_ending;
        pthread_mutex_unlock(&session->lock);
        return is_ending;
}
