/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PEER_ASKS_H
#define BF_PEER_ASKS_H

/* What a peer asks: answered here, or handed to the pager that it concerns. */

struct chan_packet;
struct peer;

/* A valid message from who may say it. What it takes out of the packet is -1 there. */
void peer_asks_handle(struct peer *peer, struct chan_packet *packet);

#endif
