/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PEER_OPEN_H
#define BF_PEER_OPEN_H

/* OPEN and ADOPT: judges the descriptors that came with it, and finds the pager that is to serve the file. */

struct chan_packet;
struct peer;

void peer_open(struct peer *peer, struct chan_packet *packet);

#endif
