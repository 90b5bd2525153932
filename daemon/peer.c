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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "account.h"
#include "backing.h"
#include "chan.h"
#include "inject.h"
#include "log.h"
#include "peer.h"
#include "uffd.h"
#include "uri.h"

/* Messages of one peer handled in a row: then others have their turn. */
#define PEER_MESSAGES_IN_A_ROW 16

/* So many clients more than a user may have can wait to be told so. */
#define PEER_REFUSALS_MAX 16

/* Groups of one user that are looked at. */
#define PEER_GROUPS_MAX 256

/* A reply that waits until the client reads. */
struct peer_out {
        STAILQ_ENTRY(peer_out) entry; /* peer->out -> out->entry */
        struct pager_reply reply;
};

struct peer {
        struct peer_host *host;
        uint64_t id;
        int fd;
        int pidfd; /* -1: the process is not to be seen from here */
        struct ucred cred;
        char name[48];
        struct log_about about;
        uint64_t since; /* by latency_now() */
        struct account *account; /* of its user */
        bool is_refused;         /* he has too many: it is told so, and no more */
        bool shows;              /* a handle that it had with another daemon, and its mappings: no limit of the user's takes them from him */
        struct loop_event *readable;
        struct loop_event *writable;
        struct loop_event *exited;
        bool has_greeted;
        unsigned n_requests; /* without a reply sent */
        unsigned n_handles;  /* open, or asked for */
        unsigned n_mappings; /* the same */
        STAILQ_HEAD(, peer_out) out;
        unsigned n_handles_of[COMMONS_PAGERS_MAX];                /* of the handles, those at each pager */
        struct pager_farewell *farewells[COMMONS_PAGERS_MAX]; /* for those that it has asked anything of */
        const char *failure; /* why it is to go */
};

static void peer_fail(struct peer *peer, const char *why) {
        if (!peer->failure)
                peer->failure = why;
}

static void peer_settle(struct peer *peer) {
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

static void peer_on_writable(void *owner) {
        struct peer *peer = owner;
        struct peer_out *out;

        while ((out = STAILQ_FIRST(&peer->out)) && peer_send(peer, &out->reply) == 0) {
                STAILQ_REMOVE_HEAD(&peer->out, entry);
                free(out);
        }
        if (out)
                loop_event_arm(peer->writable);
        peer_settle(peer);
}

/* How many replies can wait is bounded by how many requests a peer may have under way. */
static void peer_queue(struct peer *peer, struct pager_reply *reply) {
        struct peer_out *out = malloc(sizeof(*out));

        if (!out) {
                peer_close_fds(reply);
                peer_fail(peer, "no memory for a reply");
                return;
        }
        out->reply = *reply;
        STAILQ_INSERT_TAIL(&peer->out, out, entry);
        loop_event_arm(peer->writable);
}

/* Takes the reply's descriptors. */
static void peer_answer(struct peer *peer, struct pager_reply *reply) {
        if (!STAILQ_EMPTY(&peer->out) || peer_send(peer, reply) == -EAGAIN)
                peer_queue(peer, reply);
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
static void peer_count_at(struct peer *peer, unsigned pager, int change) {
        peer->n_handles_of[pager] += (unsigned) change;
        crew_count(peer->host->crew, pager, change);
}

static void peer_count_reply(struct peer *peer, const union wire_msg *msg) {
        bool failed = msg->reply.error < 0;

        switch (msg->header.id & ~WIRE_REPLY) {
        case WIRE_ADOPT:
                peer->shows |= !failed;
                peer_count_handles(peer, failed);
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

static void peer_refuse(struct peer *peer, const union wire_msg *request, int error) {
        struct pager_reply reply = { .n_fds = 0 };

        wire_init(&reply.msg, request->header.id | WIRE_REPLY, request->header.serial);
        reply.msg.reply.error = error;
        peer_count_reply(peer, &reply.msg);
        peer_answer(peer, &reply);
}

/* --- what a peer asks --------------------------------------------------------------------------------------------------------------------------- */

/* A user has too much. It is said in the log once: he could ask again and again. */
static int peer_refuse_more(struct peer *peer, enum account_item item, const char *what, const char *option) {
        if (account_may_warn(peer->account, item))
                log_about(LOG_LEVEL_WARNING, &peer->about, "uid %u has %llu %s and gets no more (see --%s)", (unsigned) peer->cred.uid,
                          (unsigned long long) peer->host->commons->accounts.limits.max[item], what, option);
        return -EUSERS;
}

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

/* The pager's reply comes later. On failure nothing of the request is taken. */
static int peer_ask(struct peer *peer, unsigned pager, const struct request *request) {
        struct pager_thread *thread = crew_thread(peer->host->crew, pager);

        if (!thread)
                return -ENOENT;
        if (!peer->farewells[pager])
                peer->farewells[pager] = pager_farewell_new();
        return peer->farewells[pager] ? pager_thread_request(thread, request) : -ENOMEM;
}

static void peer_close(struct peer *peer, const int *fds, unsigned n_fds) {
        if (n_fds > 0)
                pager_thread_close(crew_any(peer->host->crew, peer->cred.uid), fds, n_fds);
}

static struct request peer_request(const struct peer *peer, const struct chan_packet *packet) {
        return (struct request) {
                .peer = peer->id,
                .msg = packet->msg,
                .uid = peer->cred.uid,
                .file_fd = -1,
                .uffd = -1,
                .memory_fd = -1,
                .ledger_fd = -1,
                .spill_fd = -1,
                .direct_fd = -1,
        };
}

/* About a handle: its number says where it is. */
static void peer_on_request(struct peer *peer, struct chan_packet *packet) {
        struct request request = peer_request(peer, packet);
        int r = peer_ask(peer, commons_number_pager(request.msg.handle.handle), &request);

        if (r < 0)
                peer_refuse(peer, &request.msg, r);
}

/* A file that the daemon connects to, with the rights of its own: the administrator says which ones. */
static int peer_judge_name(struct peer *peer, int fd, struct request *request) {
        const char *const *allowed = peer->host->allow_nbd;
        enum uri_verdict verdict;
        char uri[URI_MAX];
        int r;

        r = uri_read(fd, uri);
        if (r < 0 || !uri_is_known(uri))
                return -EINVAL;
        verdict = allowed ? uri_judge(uri, *allowed) : URI_ALLOWED_AS_SAID;
        if (verdict == URI_REFUSED)
                log_about(LOG_LEVEL_WARNING, &peer->about, "client (%s) may not open %s (see --allow-nbd)", peer->name, uri);
        if (verdict == URI_REFUSED)
                return -EACCES;
        request->identity = uri_identity(uri);
        request->may_read_files = verdict == URI_ALLOWED_AS_SAID;
        return 0;
}

static int peer_judge_file(struct peer *peer, const struct chan_packet *packet, struct request *request) {
        struct backing backing;
        int r;

        if (packet->msg.header.flags & WIRE_OPEN_NAMED)
                return peer_judge_name(peer, packet->fds[0], request);
        r = backing_check(packet->fds[0], packet->msg.header.flags & WIRE_OPEN_READONLY, &backing);
        if (r == 0)
                request->identity = (struct file_identity) { backing.device, backing.inode };
        return r;
}

/* What direct I/O needs, or else it is done without. */
static int peer_take_direct(struct chan_packet *packet, struct request *request) {
        unsigned flags = packet->msg.header.flags, last = packet->n_fds - 1;
        int r;

        request->is_direct_refused = flags & WIRE_OPEN_DIRECT_REFUSED;
        if (!(flags & WIRE_OPEN_DIRECT))
                return 0;
        r = backing_check_direct(packet->fds[last], flags & WIRE_OPEN_READONLY, &(struct backing) { request->identity.device, request->identity.inode });
        if (r == -EOPNOTSUPP)
                request->is_direct_refused = true;
        else if (r == 0)
                request->direct_fd = chan_packet_take(packet, last);
        return r == -EOPNOTSUPP ? 0 : r;
}

/* The descriptors of OPEN and ADOPT, taken out of the packet into the request if they are what they should be. What another daemon allowed is not
 * refused. */
static int peer_take_files(struct peer *peer, struct chan_packet *packet, struct request *request) {
        bool is_adopt = packet->msg.header.id == WIRE_ADOPT;
        unsigned n_fds = packet->n_fds - !!(packet->msg.header.flags & WIRE_OPEN_DIRECT); /* without that one */
        int r;

        if (n_fds < (is_adopt ? 4 : 2) || n_fds > (is_adopt ? 5 : 2))
                return -EINVAL;
        if (peer->n_handles > WIRE_HANDLES_MAX)
                return -EMFILE;
        if (account_is_over(peer->account, ACCOUNT_HANDLES) && !is_adopt)
                return peer_refuse_more(peer, ACCOUNT_HANDLES, "handles", "uid-handles");
        r = peer_judge_file(peer, packet, request);
        if (r == 0)
                r = uffd_check(packet->fds[1]);
        if (r == 0)
                r = peer_take_direct(packet, request);
        if (r < 0)
                return r;
        r = served_of_token(&peer->host->commons->served, packet->fds[0], crew_choose(peer->host->crew, peer->cred.uid), &request->served);
        if (r < 0)
                return r;
        request->file_fd = chan_packet_take(packet, 0);
        request->uffd = chan_packet_take(packet, 1);
        if (is_adopt) {
                request->memory_fd = chan_packet_take(packet, 2);
                request->ledger_fd = chan_packet_take(packet, 3);
                if (n_fds > 4)
                        request->spill_fd = chan_packet_take(packet, 4);
        }
        return 0;
}

/* Who shares a file is served where the others are. */
static int peer_find_pager(struct peer *peer, struct request *request, unsigned *ret_pager) {
        unsigned pager = crew_choose(peer->host->crew, peer->cred.uid);

        if (request->msg.header.flags & WIRE_OPEN_SHARED) {
                request->route = directory_route(&peer->host->commons->directory, &request->identity, pager);
                if (!request->route)
                        return -ENOMEM;
                pager = request->route->pager;
        }
        *ret_pager = pager;
        return 0;
}

static int peer_forward_open(struct peer *peer, struct request *request) {
        int fds[WIRE_FDS_MAX], r;
        unsigned pager;

        r = peer_find_pager(peer, request, &pager);
        if (r == 0) {
                r = peer_ask(peer, pager, request);
                if (r == 0)
                        peer_count_at(peer, pager, 1);
        }
        if (r < 0) {
                peer_close(peer, fds, request_take_fds(request, fds));
                request_release(peer->host->commons, request);
        }
        return r;
}

static void peer_on_open(struct peer *peer, struct chan_packet *packet) {
        struct request request = peer_request(peer, packet);
        int r;

        peer->n_handles++;
        account_add(peer->account, ACCOUNT_HANDLES, 1);
        r = peer_take_files(peer, packet, &request);
        if (r == 0)
                r = peer_forward_open(peer, &request);
        if (r < 0)
                peer_refuse(peer, &packet->msg, r);
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
                .about = &about,
                .token = packet->n_fds > 0 ? packet->fds[0] : -1,
                .pager = crew_choose(peer->host->crew, peer->cred.uid),
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

/* Other groups that its process was in when it connected; of very many, none. */
static unsigned peer_groups(const struct peer *peer, gid_t groups[static PEER_GROUPS_MAX]) {
        socklen_t length = PEER_GROUPS_MAX * sizeof(gid_t);

        return getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0 ? 0 : (unsigned) (length / sizeof(gid_t));
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

        if (peer_is_privileged(peer))
                r = peer_ask(peer, oldest < COMMONS_PAGERS_MAX ? oldest : 0, &request);
        if (r < 0)
                peer_refuse(peer, &packet->msg, r);
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

static void (*const peer_handlers[N_WIRE_IDS])(struct peer *peer, struct chan_packet *packet) = {
        [WIRE_HELLO] = peer_on_hello,
        [WIRE_OPEN] = peer_on_open,
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
        [WIRE_ADOPT] = peer_on_open,
        [WIRE_SHOWN] = peer_on_shown,
        [WIRE_SERVE] = peer_on_serve,
        [WIRE_LOOKUP] = peer_on_lookup,
        [WIRE_REPORT] = peer_on_report,
};

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
                peer_handlers[packet->msg.header.id](peer, packet);
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
        struct peer_out *out;
        int fd = peer->fd;

        while ((out = STAILQ_FIRST(&peer->out))) {
                STAILQ_REMOVE_HEAD(&peer->out, entry);
                peer_close_fds(&out->reply);
                free(out);
        }
        peer_say_farewell(peer);
        counters_add(&peer->host->commons->counters, COUNTER_PEERS, -1);
        peer_destroy(peer);
        close(fd); /* after its events: the pager may open something at that number at once */
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
        return peer->cred.uid == 0 || peer->cred.uid == geteuid();
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
