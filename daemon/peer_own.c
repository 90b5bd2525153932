/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject.h"
#include "peer_own.h"

void peer_fail(struct peer *peer, const char *why) {
        if (!peer->failure)
                peer->failure = why;
}

void peer_settle(struct peer *peer) {
        if (peer->failure)
                peer->host->gone(peer->host, peer, peer->failure);
}

/* --- sending ------------------------------------------------------------------------------------------------------------------------------------ */

static void peer_close_fds(struct pager_reply *reply) {
        for (unsigned i = 0; i < reply->n_fds; i++)
                close(reply->fds[i]);
        reply->n_fds = 0;
}

/* 0; -EAGAIN: the client has to read first. */
static int peer_send(struct peer *peer, struct pager_reply *reply) {
        int r = chan_send(peer->fd, &reply->msg, reply->fds, reply->n_fds);

        if (r == -EAGAIN)
                return r;
        INJECT(PEER_ANSWERED);
        peer->n_requests--;
        peer_close_fds(reply);
        if (r < 0)
                peer_fail(peer, strerror(-r));
        return 0;
}

/* The first, whose descriptors are closed. */
static void peer_unqueue(struct peer *peer, struct peer_out *out) {
        STAILQ_REMOVE_HEAD(&peer->out, entry);
        account_sub(peer->account, ACCOUNT_REPLY_FDS, out->n_fds);
        free(out);
}

void peer_on_writable(void *owner) {
        struct peer *peer = owner;
        struct peer_out *out;

        while ((out = STAILQ_FIRST(&peer->out)) && peer_send(peer, &out->reply) == 0)
                peer_unqueue(peer, out);
        if (out)
                loop_event_arm(peer->writable);
        peer_settle(peer);
}

static void peer_refuse_to_queue(struct peer *peer, struct pager_reply *reply, const char *why) {
        peer_close_fds(reply);
        peer_fail(peer, why);
}

/* How many replies can wait is bounded by how many requests a peer may have under way, and what descriptors they bear by what one user may have in all of his. */
static void peer_queue(struct peer *peer, struct pager_reply *reply) {
        struct peer_out *out;

        if (account_left(peer->account, ACCOUNT_REPLY_FDS) < reply->n_fds) {
                peer_refuse_to_queue(peer, reply, "does not read the replies");
                return;
        }
        out = malloc(sizeof(*out));
        if (!out) {
                peer_refuse_to_queue(peer, reply, "no memory for a reply");
                return;
        }
        out->reply = *reply;
        out->n_fds = reply->n_fds;
        account_add(peer->account, ACCOUNT_REPLY_FDS, out->n_fds);
        STAILQ_INSERT_TAIL(&peer->out, out, entry);
        loop_event_arm(peer->writable);
}

/* Takes the reply's descriptors. */
void peer_answer(struct peer *peer, struct pager_reply *reply) {
        if (!STAILQ_EMPTY(&peer->out) || peer_send(peer, reply) == -EAGAIN)
                peer_queue(peer, reply);
}

void peer_drop_replies(struct peer *peer) {
        struct peer_out *out;

        while ((out = STAILQ_FIRST(&peer->out))) {
                peer_close_fds(&out->reply);
                peer_unqueue(peer, out);
        }
}

/* What a peer has is counted when it asks, and taken back if it does not get it. */
static void peer_count_handles(struct peer *peer, unsigned n_gone) {
        peer->n_handles -= n_gone;
        account_sub(peer->account, ACCOUNT_HANDLES, n_gone);
}

static void peer_count_mappings(struct peer *peer, unsigned n_gone) {
        peer->n_mappings -= n_gone;
        account_sub(peer->account, ACCOUNT_MAPPINGS, n_gone);
}

/* Where a pager has one handle of it more, or less. */
void peer_count_at(struct peer *peer, unsigned pager, int change) {
        peer->n_handles_of[pager] += (unsigned) change;
        crew_count(peer->host->crew, pager, change);
}

void peer_count_reply(struct peer *peer, const union wire_msg *msg) {
        bool failed = msg->reply.error < 0;

        switch (msg->header.id & ~WIRE_REPLY) {
        case WIRE_ADOPT:
                peer->shows |= !failed;
                peer_count_handles(peer, failed);
                if (failed && msg->reply.error != -EBUSY) /* then it is tried again */
                        log_about(LOG_LEVEL_WARNING, &peer->about, "client %llu (%s): a file that it had from another daemon cannot be taken up: %s (it is told; its changes are lost)",
                                  (unsigned long long) peer->id, peer->name, strerror(-msg->reply.error));
                break;
        case WIRE_OPEN:
                peer_count_handles(peer, failed);
                break;
        case WIRE_CLOSE:
                peer_count_handles(peer, !failed);
                break;
        case WIRE_MAP:
                peer_count_mappings(peer, failed);
                break;
        case WIRE_UNMAP:
                peer_count_mappings(peer, !failed);
                break;
        }
}

void peer_close(struct peer *peer, const int *fds, unsigned n_fds) {
        if (n_fds > 0)
                pager_thread_close(crew_any(peer->host->crew, peer->cred.uid), fds, n_fds);
}

void peer_refuse(struct peer *peer, const union wire_msg *request, int error) {
        struct pager_reply reply = { .n_fds = 0 };

        wire_init(&reply.msg, request->header.id | WIRE_REPLY, request->header.serial);
        reply.msg.reply.error = error;
        peer_count_reply(peer, &reply.msg);
        peer_answer(peer, &reply);
}

int peer_refuse_more(struct peer *peer, enum account_item item, const char *what, const char *option) {
        if (account_may_warn(peer->account, item))
                log_about(LOG_LEVEL_WARNING, &peer->about, "uid %u has %llu %s and gets no more (see --%s)", (unsigned) peer->cred.uid,
                          (unsigned long long) peer->host->commons->accounts.limits.max[item], what, option);
        return -EUSERS;
}

int peer_ask(struct peer *peer, unsigned pager, const struct request *request) {
        struct pager_thread *thread = crew_thread(peer->host->crew, pager);

        if (!thread)
                return -ENOENT;
        if (!peer->farewells[pager])
                peer->farewells[pager] = pager_farewell_new();
        return peer->farewells[pager] ? pager_thread_request(thread, request) : -ENOMEM;
}

struct request peer_request(const struct peer *peer, const struct chan_packet *packet) {
        return (struct request) {
                .peer = peer->id,
                .msg = packet->msg,
                .uid = peer->cred.uid,
                .pid = peer->cred.pid,
                .file_fd = -1,
                .uffd = -1,
                .memory_fd = -1,
                .ledger_fd = -1,
                .spill_fd = -1,
                .direct_fd = -1,
        };
}

unsigned peer_groups(const struct peer *peer, gid_t groups[static PEER_GROUPS_MAX]) {
        socklen_t length = PEER_GROUPS_MAX * sizeof(gid_t);

        return getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0 ? 0 : (unsigned) (length / sizeof(gid_t));
}
