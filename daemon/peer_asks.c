/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "peer_asks.h"
#include "peer_open.h"
#include "peer_own.h"

/* What is lent comes with the reply, or no reply that says yes: without it the client would look for the fault in its own rights. */
static int peer_judge_hello(struct peer *peer, const struct wire_hello *hello, struct pager_reply *reply) {
        if (hello->version != WIRE_VERSION)
                return -EPROTONOSUPPORT;
        if (peer->is_refused)
                return peer_refuse_more(peer, ACCOUNT_PEERS, "clients", "uid-peers");
        if (peer->host->lend_fd < 0)
                return 0;
        reply->fds[0] = fcntl(peer->host->lend_fd, F_DUPFD_CLOEXEC, 0);
        if (reply->fds[0] < 0)
                return -errno;
        reply->n_fds = 1;
        return 0;
}

static void peer_on_hello(struct peer *peer, struct chan_packet *packet) {
        const struct wire_hello *hello = &packet->msg.hello;
        struct pager_reply reply = { .n_fds = 0 };
        int r;

        if (peer->has_greeted) {
                peer_fail(peer, "it said HELLO twice");
                return;
        }
        r = peer_judge_hello(peer, hello, &reply);
        peer->has_greeted = r == 0;
        wire_init(&reply.msg, WIRE_HELLO | WIRE_REPLY, hello->header.serial);
        reply.msg.hello_reply.error = r;
        reply.msg.hello_reply.version = WIRE_VERSION;
        reply.msg.hello_reply.features = hello->features & WIRE_FEATURES;
        reply.msg.header.flags = peer->host->is_direct ? WIRE_HELLO_DIRECT : 0;
        reply.msg.hello_reply.pool_bytes = peer->host->commons->pool.bytes;
        peer_answer(peer, &reply);
        if (!peer->has_greeted)
                peer_fail(peer, r == -EPROTONOSUPPORT ? "it speaks another version of the protocol" : strerror(-r));
}

/* About a handle: its number says where it is. */
static void peer_on_request(struct peer *peer, struct chan_packet *packet) {
        struct request request = peer_request(peer, packet);
        int r = peer_ask(peer, commons_number_pager(request.msg.handle.handle), &request);

        if (r < 0)
                peer_refuse(peer, &request.msg, r);
}

static void peer_on_map(struct peer *peer, struct chan_packet *packet) {
        peer->n_mappings++;
        account_add(peer->account, ACCOUNT_MAPPINGS, 1);
        if (peer->n_mappings > WIRE_MAPPINGS_MAX)
                peer_refuse(peer, &packet->msg, -ENOMEM);
        else if (account_is_over(peer->account, ACCOUNT_MAPPINGS) && !peer->shows)
                peer_refuse(peer, &packet->msg, peer_refuse_more(peer, ACCOUNT_MAPPINGS, "mappings", "uid-mappings"));
        else
                peer_on_request(peer, packet);
}

static void peer_on_shown(struct peer *peer, struct chan_packet *packet) {
        peer->shows = false;
        peer_on_request(peer, packet);
}

/* --- files that it serves, or that others do ------------------------------------------------------------------------------------------------------- */

static bool peer_name_is_valid(const char name[static WIRE_SERVED_NAME_MAX]) {
        return memchr(name, '\0', WIRE_SERVED_NAME_MAX);
}

static int peer_claim(struct peer *peer, const struct chan_packet *packet, struct request *request) {
        const struct wire_serve *serve = &packet->msg.serve;
        struct served_about about = { .size = serve->size, .block_size = serve->block_size, .uid = peer->cred.uid, .gid = peer->cred.gid };
        const struct served_claim claim = {
                .peer = peer->id,
                .pid = peer->cred.pid,
                .about = &about,
                .token = packet->n_fds > 0 ? packet->fds[0] : -1,
                .pager = crew_choose_to_serve(peer->host->crew, peer->cred.uid),
        };

        if (!peer_name_is_valid(serve->name) || serve->size > WIRE_FILE_MAX || serve->block_size < PROVIDE_BLOCK_MIN || serve->block_size > PROVIDE_BLOCK_MAX)
                return -EINVAL;
        memcpy(about.name, serve->name, strlen(serve->name));
        return served_claim(&peer->host->commons->served, &claim, &request->served);
}

static void peer_on_serve(struct peer *peer, struct chan_packet *packet) {
        struct served_list *list = &peer->host->commons->served;
        struct request request = peer_request(peer, packet);
        int r;

        r = peer_claim(peer, packet, &request);
        if (r == 0) {
                r = peer_ask(peer, request.served->pager, &request);
                if (r == 0)
                        return;
                served_release(list, request.served, peer->id);
                served_put(list, request.served);
        }
        peer_refuse(peer, &packet->msg, r);
}

/* A descriptor of the token of that file, and what it says, into the reply. */
static int peer_look_up(struct peer *peer, const struct wire_lookup *lookup, struct pager_reply *reply) {
        struct served_list *list = &peer->host->commons->served;
        gid_t groups[PEER_GROUPS_MAX];
        const struct served_user user = { peer->cred.uid, peer->cred.gid, groups, peer_groups(peer, groups) };
        struct served *served;
        int r;

        if (!peer_name_is_valid(lookup->name))
                return -EINVAL;
        r = served_find(list, lookup->name, &user, &served);
        if (r < 0)
                return r;
        reply->fds[0] = fcntl(served->token, F_DUPFD_CLOEXEC, 0);
        r = reply->fds[0] < 0 ? -errno : 0;
        reply->n_fds = r == 0;
        reply->msg.lookup_reply.size = served->about.size;
        reply->msg.lookup_reply.block_size = served->about.block_size;
        served_put(list, served);
        return r;
}

static void peer_on_lookup(struct peer *peer, struct chan_packet *packet) {
        struct pager_reply reply = { .n_fds = 0 };

        wire_init(&reply.msg, WIRE_LOOKUP | WIRE_REPLY, packet->msg.header.serial);
        reply.msg.lookup_reply.error = peer_look_up(peer, &packet->msg.lookup, &reply);
        peer_answer(peer, &reply);
}

/* --- the daemon as a whole ------------------------------------------------------------------------------------------------------------------------ */

static void peer_on_pool_stat(struct peer *peer, struct chan_packet *packet) {
        struct commons *commons = peer->host->commons;
        const struct pool *pool = &commons->pool;
        struct pager_reply reply = { .n_fds = 0 };

        wire_init(&reply.msg, WIRE_POOL_STAT | WIRE_REPLY, packet->msg.header.serial);
        reply.msg.pool_stat_reply.pool_bytes = pool->bytes;
        reply.msg.pool_stat_reply.resident_bytes = pool_used(pool);
        reply.msg.pool_stat_reply.dirty_bytes = commons_counter(commons, COUNTER_DIRTY_BYTES);
        reply.msg.pool_stat_reply.peers = commons_counter(commons, COUNTER_PEERS);
        reply.msg.pool_stat_reply.filehs = commons_counter(commons, COUNTER_FILEHS);
        reply.msg.pool_stat_reply.mappings = commons_counter(commons, COUNTER_MAPPINGS);
        reply.msg.pool_stat_reply.faults = commons_counter(commons, COUNTER_FAULTS);
        reply.msg.pool_stat_reply.loads = commons_counter(commons, COUNTER_LOADS);
        reply.msg.pool_stat_reply.stores = commons_counter(commons, COUNTER_STORES);
        reply.msg.pool_stat_reply.evictions = commons_counter(commons, COUNTER_EVICTIONS);
        reply.msg.pool_stat_reply.spill_limit_bytes = commons_counter(commons, COUNTER_SPILL_LIMIT_BYTES);
        reply.msg.pool_stat_reply.spill_file_bytes = commons_counter(commons, COUNTER_SPILL_FILE_BYTES);
        reply.msg.pool_stat_reply.spilled_bytes = commons_counter(commons, COUNTER_SPILLED_BYTES);
        reply.msg.pool_stat_reply.spills = commons_counter(commons, COUNTER_SPILLS);
        reply.msg.pool_stat_reply.unspills = commons_counter(commons, COUNTER_UNSPILLS);
        peer_answer(peer, &reply);
}

/* It costs others their pages. The pager that has the oldest begins. */
static void peer_on_reclaim(struct peer *peer, struct chan_packet *packet) {
        struct request request = peer_request(peer, packet);
        unsigned oldest = commons_oldest(peer->host->commons, false);
        int r = -EPERM;

        if (peer_has_privilege(peer))
                r = peer_ask(peer, oldest < COMMONS_PAGERS_MAX ? oldest : 0, &request);
        if (r < 0)
                peer_refuse(peer, &packet->msg, r);
}

static void peer_on_reclaim_file(struct peer *peer, struct chan_packet *packet) {
        struct request request = peer_request(peer, packet);
        int r = peer_ask(peer, commons_number_pager(request.msg.reclaim_file.file), &request);

        if (r < 0)
                peer_refuse(peer, &request.msg, r);
}

/* Of what pagers have, each tells itself; unless it is stuck, perhaps for ever. */
static int peer_ask_report(struct peer *peer, const struct request *request) {
        struct pager_thread *thread = crew_thread(peer->host->crew, request->msg.report.pager);

        if (thread && pager_thread_is_in_kernel(thread))
                return -EBUSY;
        return peer_ask(peer, request->msg.report.pager, request);
}

static void peer_on_report(struct peer *peer, struct chan_packet *packet) {
        enum report_kind kind = (enum report_kind) packet->msg.report.kind;
        struct request request = peer_request(peer, packet);
        struct pager_reply reply = { .n_fds = 0 };
        int r;

        if (kind == REPORT_FILES || kind == REPORT_HANDLES) {
                r = peer_ask_report(peer, &request);
                if (r < 0)
                        peer_refuse(peer, &packet->msg, r);
                return;
        }
        wire_init(&reply.msg, WIRE_REPORT | WIRE_REPLY, packet->msg.header.serial);
        reply.msg.report_reply.pagers = atomic_load(&peer->host->commons->n_pagers);
        r = peer->host->report(peer->host, peer, kind, &reply.fds[0], &reply.msg.report_reply.length);
        reply.n_fds = r == 0;
        reply.msg.report_reply.error = r;
        peer_answer(peer, &reply);
}

static void peer_on_trace(struct peer *peer, struct chan_packet *packet) {
        struct pager_reply reply = { .n_fds = 0 };
        int r = -EPERM;

        if (peer_has_privilege(peer))
                r = peer->host->trace(peer->host, &packet->msg.trace, &reply.fds[0]);
        wire_init(&reply.msg, WIRE_TRACE | WIRE_REPLY, packet->msg.header.serial);
        reply.msg.reply.error = r;
        reply.n_fds = r == 0;
        peer_answer(peer, &reply);
}

static void (*const peer_handlers[N_WIRE_IDS])(struct peer *peer, struct chan_packet *packet) = {
        [WIRE_HELLO] = peer_on_hello,
        [WIRE_OPEN] = peer_open,
        [WIRE_CLOSE] = peer_on_request,
        [WIRE_MAP] = peer_on_map,
        [WIRE_UNMAP] = peer_on_request,
        [WIRE_RESIZE] = peer_on_request,
        [WIRE_WRITEOUT] = peer_on_request,
        [WIRE_DISCARD] = peer_on_request,
        [WIRE_INVALIDATE] = peer_on_request,
        [WIRE_LOAD] = peer_on_request,
        [WIRE_ADVISE] = peer_on_request,
        [WIRE_STAT] = peer_on_request,
        [WIRE_POOL_STAT] = peer_on_pool_stat,
        [WIRE_RECLAIM] = peer_on_reclaim,
        [WIRE_ADOPT] = peer_open,
        [WIRE_SHOWN] = peer_on_shown,
        [WIRE_SERVE] = peer_on_serve,
        [WIRE_LOOKUP] = peer_on_lookup,
        [WIRE_REPORT] = peer_on_report,
        [WIRE_RECLAIM_FILE] = peer_on_reclaim_file,
        [WIRE_TRACE] = peer_on_trace,
};

void peer_asks_handle(struct peer *peer, struct chan_packet *packet) {
        peer_handlers[packet->msg.header.id](peer, packet);
}
