/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What ends a peer is noted where it is found (peer_fail) and carried out where the main loop called in (peer_settle): in between, nothing is freed.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "account.h"
#include "chan.h"
#include "closer.h"
#include "inject.h"
#include "log.h"
#include "peer.h"
#include "peer_asks.h"
#include "peer_own.h"

/* Messages of one peer handled in a row: then others have their turn. */
#define PEER_MESSAGES_IN_A_ROW 16

/* So many clients more than a user may have can wait to be told so. */
#define PEER_REFUSALS_MAX 16

/* --- replies of pagers ---------------------------------------------------------------------------------------------------------------------------- */

/* A handle that was asked for and not given, or is closed, is the pager's no more. */
static void peer_count_pager(struct peer *peer, const struct pager_reply *reply) {
        enum wire_id id = reply->msg.header.id & ~WIRE_REPLY;
        bool failed = reply->msg.reply.error < 0;

        if (((id == WIRE_OPEN || id == WIRE_ADOPT) && failed) || (id == WIRE_CLOSE && !failed))
                peer_count_at(peer, reply->pager, -1);
}

void peer_reply(struct peer *peer, const struct pager_reply *reply) {
        struct pager_reply copy = *reply;

        peer_count_reply(peer, &reply->msg);
        peer_count_pager(peer, reply);
        peer_answer(peer, &copy);
        peer_settle(peer);
}

/* --- receiving ---------------------------------------------------------------------------------------------------------------------------------- */

static void peer_on_packet(struct peer *peer, struct chan_packet *packet) {
        enum wire_verdict verdict = wire_validate(WIRE_TO_DAEMON, &packet->msg, packet->size, packet->n_fds);

        if (verdict != WIRE_OK)
                peer_fail(peer, wire_verdict_text(verdict));
        else if (!peer->has_greeted && packet->msg.header.id != WIRE_HELLO)
                peer_fail(peer, "it did not say HELLO first");
        else if (peer->n_requests >= WIRE_REQUESTS_MAX)
                peer_fail(peer, "it sends more requests than it may, or does not read the replies");
        else {
                INJECT(PEER_RECEIVED);
                peer->n_requests++;
                peer_asks_handle(peer, packet);
        }
}

/* What nobody took of it is closed elsewhere: it may be of a file that the client itself serves, and does not let go. */
static void peer_close_packet(struct peer *peer, struct chan_packet *packet) {
        for (unsigned i = 0; i < packet->n_fds; i++)
                if (packet->fds[i] >= 0)
                        peer_close(peer, &(int) { chan_packet_take(packet, i) }, 1);
}

static void peer_on_readable(void *owner) {
        struct peer *peer = owner;
        struct chan_packet packet;

        for (unsigned i = 0; i < PEER_MESSAGES_IN_A_ROW && !peer->failure; i++) {
                int r = chan_receive_all(peer->fd, &packet);

                if (r == -EAGAIN)
                        break;
                if (r == 1)
                        peer_on_packet(peer, &packet);
                else
                        peer_fail(peer, r == 0 ? "disconnected" : strerror(-r));
                peer_close_packet(peer, &packet);
        }
        peer_settle(peer);
}

/* A child of the client may hold the socket open: the end of the process counts, too. */
static void peer_on_exited(void *owner) {
        struct peer *peer = owner;

        peer_fail(peer, "its process has ended");
        peer_settle(peer);
}

/* --- its life ----------------------------------------------------------------------------------------------------------------------------------- */

static int peer_identify(struct peer *peer) {
        socklen_t length = sizeof(peer->cred);

        if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &peer->cred, &length) < 0)
                return -errno;
        snprintf(peer->name, sizeof(peer->name), "pid %d, uid %u", (int) peer->cred.pid, (unsigned) peer->cred.uid);
        peer->about = (struct log_about) { .pid = peer->cred.pid, .has_uid = true, .uid = peer->cred.uid };
        peer->pidfd = peer->cred.pid > 0 ? (int) syscall(SYS_pidfd_open, peer->cred.pid, 0) : -1;
        return 0;
}

/* A client that its user has too many of is told so when it says HELLO. But not ever more of them can be held until they do. */
static int peer_enter_account(struct peer *peer) {
        uint64_t max = peer->host->commons->accounts.limits.max[ACCOUNT_PEERS];

        peer->account = account_get(&peer->host->commons->accounts, peer->cred.uid);
        if (!peer->account)
                return -ENOMEM;
        account_add(peer->account, ACCOUNT_PEERS, 1);
        peer->is_refused = account_is_over(peer->account, ACCOUNT_PEERS);
        return peer->is_refused && account_count(peer->account, ACCOUNT_PEERS) - max > PEER_REFUSALS_MAX ? -EUSERS : 0;
}

static void peer_leave_account(struct peer *peer) {
        account_sub(peer->account, ACCOUNT_PEERS, 1);
        account_sub(peer->account, ACCOUNT_HANDLES, peer->n_handles);
        account_sub(peer->account, ACCOUNT_MAPPINGS, peer->n_mappings);
        account_put(peer->account);
}

static int peer_watch(struct peer *peer) {
        struct loop *loop = peer->host->loop;

        peer->readable = loop_on_readable(loop, peer->fd, peer_on_readable, peer);
        peer->writable = loop_on_writable(loop, peer->fd, peer_on_writable, peer);
        if (peer->pidfd >= 0)
                peer->exited = loop_on_readable(loop, peer->pidfd, peer_on_exited, peer);
        return peer->readable && peer->writable && (peer->exited || peer->pidfd < 0) ? 0 : -ENOMEM;
}

/* All but the socket. */
static void peer_destroy(struct peer *peer) {
        loop_event_free(peer->readable);
        loop_event_free(peer->writable);
        loop_event_free(peer->exited);
        if (peer->pidfd >= 0)
                close(peer->pidfd);
        for (unsigned i = 0; i < COMMONS_PAGERS_MAX; i++)
                pager_farewell_free(peer->farewells[i]);
        if (peer->account)
                peer_leave_account(peer);
        free(peer);
}

int peer_new(struct peer_host *host, uint64_t id, int fd, struct peer **ret) {
        struct peer *peer = calloc(1, sizeof(*peer));
        int r;

        if (!peer)
                return -ENOMEM;
        *peer = (struct peer) { .host = host, .id = id, .fd = fd, .pidfd = -1, .since = latency_now() };
        STAILQ_INIT(&peer->out);
        r = peer_identify(peer);
        if (r == 0)
                r = peer_enter_account(peer);
        if (r == 0)
                r = peer_watch(peer);
        if (r < 0) {
                peer_destroy(peer);
                return r;
        }
        counters_add(&host->commons->counters, COUNTER_PEERS, 1);
        *ret = peer;
        return 0;
}

static void peer_say_farewell(struct peer *peer) {
        served_release_all(&peer->host->commons->served, peer->id);
        for (unsigned i = 0; i < COMMONS_PAGERS_MAX; i++) {
                if (peer->farewells[i])
                        pager_thread_farewell(crew_thread(peer->host->crew, i), peer->farewells[i], peer->id);
                peer->farewells[i] = NULL;
                peer_count_at(peer, i, -(int) peer->n_handles_of[i]);
        }
}

void peer_free(struct peer *peer) {
        int fd = peer->fd;

        peer_drop_replies(peer);
        peer_say_farewell(peer);
        counters_add(&peer->host->commons->counters, COUNTER_PEERS, -1);
        peer_destroy(peer);
        chan_end(fd); /* which the client sees, however long closing takes */
        closer_close(fd); /* after its events: something may be opened at that number at once */
}

/* The kernel's name of it can be read without touching its memory, which it may hold up. */
static void peer_command(const struct peer *peer, char text[static 16]) {
        char path[40];
        FILE *file;
        size_t n = 0;

        snprintf(path, sizeof(path), "/proc/%d/comm", (int) peer->cred.pid);
        file = peer->cred.pid > 0 ? fopen(path, "re") : NULL;
        if (file) {
                n = fread(text, 1, 15, file);
                fclose(file);
        }
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
}

void peer_describe(const struct peer *peer, struct report_peer *ret) {
        *ret = (struct report_peer) {
                .id = peer->id,
                .pid = peer->cred.pid,
                .uid = peer->cred.uid,
                .since_nsec = peer->since,
                .handles = peer->n_handles,
                .mappings = peer->n_mappings,
                .requests = peer->n_requests,
        };
        peer_command(peer, ret->command);
}

uid_t peer_uid(const struct peer *peer) {
        return peer->cred.uid;
}

bool peer_is_privileged(const struct peer *peer) {
        return peer_has_privilege(peer);
}

uint64_t peer_id(const struct peer *peer) {
        return peer->id;
}

const char *peer_name(const struct peer *peer) {
        return peer->name;
}

const struct log_about *peer_about(const struct peer *peer) {
        return &peer->about;
}
