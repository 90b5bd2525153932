/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PEER_HOST_H
#define BF_PEER_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "commons.h"
#include "crew.h"
#include "loop.h"
#include "report.h"
#include "wire.h"

struct peer;

/* What all peers need, and whom they tell that they are gone. */
struct peer_host {
        struct loop *loop;
        struct commons *commons;
        struct crew *crew;
        int lend_fd; /* /dev/userfaultfd; -1: nothing to lend */
        bool is_direct; /* clients are told to open files for direct I/O */
        const char *const *allow_nbd; /* uri.h; it may change; NULL: no server */
        int (*report)(struct peer_host *host, const struct peer *peer, enum report_kind kind, int *ret_fd, uint64_t *ret_length); /* makes one for that peer */
        int (*trace)(struct peer_host *host, const struct wire_trace *wanted, int *ret_fd); /* a socket for a client, who hears what happens */
        void (*gone)(struct peer_host *host, struct peer *peer, const char *why); /* frees the peer */
};

#endif
