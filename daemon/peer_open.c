/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "backing.h"
#include "peer_open.h"
#include "peer_own.h"
#include "uffd.h"
#include "uri.h"

/* A file that the daemon connects to, with the rights of its own: the administrator says which ones. */
static int peer_judge_name(struct peer *peer, int fd, struct request *request) {
        const char *const *allowed = peer->host->allow_nbd;
        enum uri_verdict verdict;
        char uri[URI_MAX];
        int r;

        r = uri_read(fd, uri);
        if (r < 0 || !uri_is_known(uri))
                return -EINVAL;
        verdict = uri_judge(uri, allowed ? *allowed : NULL);
        if (verdict == URI_REFUSED)
                log_about(LOG_LEVEL_WARNING, &peer->about, "client (%s) may not open %s (see --allow-nbd)", peer->name, uri);
        if (verdict == URI_REFUSED)
                return -EPERM;
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

/* A file that a process of the same user serves is best where that one is asked: another thread's way there is longer, and what comes from him is copied once more. */
static unsigned peer_choose_pager(struct peer *peer, const struct request *request) {
        if (request->served)
                return crew_choose_beside(peer->host->crew, peer->cred.uid, request->served->pager);
        return crew_choose(peer->host->crew, peer->cred.uid);
}

/* Who shares a file is served where the others are. */
static int peer_find_pager(struct peer *peer, struct request *request, unsigned *ret_pager) {
        unsigned pager = peer_choose_pager(peer, request);

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

void peer_open(struct peer *peer, struct chan_packet *packet) {
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
