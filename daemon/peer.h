/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PEER_H
#define BF_PEER_H

/*
 * One connected client: its socket, who it is, what it has under way. It reads messages, has them validated, and hands them on to the pager; it
 * sends the replies. A client that breaks the protocol, sends too much or does not read is disconnected.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"
#include "peer_host.h"

/* Takes fd if it succeeds. The id is never that of another peer, not even of one that is gone. -EUSERS: its user has far more than he may; one who has
 * a few too many is told so first. */
int peer_new(struct peer_host *host, uint64_t id, int fd, struct peer **ret);

/* Its handles close. */
void peer_free(struct peer *peer);

uint64_t peer_id(const struct peer *peer);

/* "pid 12, uid 34", for messages. The text is the peer's. */
const char *peer_name(const struct peer *peer);

uid_t peer_uid(const struct peer *peer);

/* May it see what others do, and cost them something? */
bool peer_is_privileged(const struct peer *peer);

void peer_describe(const struct peer *peer, struct report_peer *ret);

/* The same for the log; the peer's. */
const struct log_about *peer_about(const struct peer *peer);

/* Sends a reply that a pager made; takes its descriptors. The peer may be gone after it. */
void peer_reply(struct peer *peer, const struct pager_reply *reply);

#endif
