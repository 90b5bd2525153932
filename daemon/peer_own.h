/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PEER_OWN_H
#define BF_PEER_OWN_H

/* What a peer is, for those files that are about peers (peer*.c), and for nobody else. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account.h"
#include "chan.h"
#include "log.h"
#include "pager_thread.h"
#include "peer_host.h"
#include "request.h"

/* A reply that waits until the client reads. */
struct peer_out {
        STAILQ_ENTRY(peer_out) entry; /* peer->out -> out->entry */
        struct pager_reply reply;
        unsigned n_fds; /* that it had when it began to wait */
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

/* It is to go, for this reason; and is gone when peer_settle() is called, where the main loop called in: in between, nothing is freed. */
void peer_fail(struct peer *peer, const char *why);
void peer_settle(struct peer *peer);

/* Sends the reply, at once or when the client reads; takes its descriptors. */
void peer_answer(struct peer *peer, struct pager_reply *reply);
void peer_on_writable(void *owner); /* the client reads again */
void peer_drop_replies(struct peer *peer);

/* Answers a request with an error, and counts what it had asked for as gone. */
void peer_refuse(struct peer *peer, const union wire_msg *request, int error);

void peer_count_at(struct peer *peer, unsigned pager, int change);
void peer_count_reply(struct peer *peer, const union wire_msg *msg);

/* A user has too much of that, which the option limits: -EUSERS. It is said in the log once, as he could ask again and again. */
int peer_refuse_more(struct peer *peer, enum account_item item, const char *what, const char *option);

/* A request as it goes to a pager, without what came with it; and asks that pager, whose reply comes later. On failure nothing of the request is taken. */
struct request peer_request(const struct peer *peer, const struct chan_packet *packet);
int peer_ask(struct peer *peer, unsigned pager, const struct request *request);

/* Groups of its process when it connected, beside cred.gid; of very many, none. */
#define PEER_GROUPS_MAX 256
unsigned peer_groups(const struct peer *peer, gid_t groups[static PEER_GROUPS_MAX]);

/* May it see what others do, and cost them something? */
static inline bool peer_has_privilege(const struct peer *peer) {
        return peer->cred.uid == 0 || peer->cred.uid == geteuid();
}

/* Closes descriptors, which it takes, where that may take long. */
void peer_close(struct peer *peer, const int *fds, unsigned n_fds);

#endif
