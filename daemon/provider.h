/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PROVIDER_H
#define BF_PROVIDER_H

/*
 * A process that serves a file, as the daemon talks to it: a socket, and an area of memory with a slot for each thing asked (provide.h). It belongs to one
 * pager, whose thread alone reads and writes there; others hand on to it what they ask, and get it back.
 *
 * When the process is gone, what was asked fails with -EIO, and so does all that is asked until another one serves the file.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pager.h"
#include "provide.h"
#include "ring.h"
#include "served.h"
#include "store.h"

/* Something asked. The caller's; it must live until done() was called, once, in the thread of the home pager, and never from inside provider_ask(). */
struct provider_ask {
        STAILQ_ENTRY(provider_ask) entry; /* served->provider->waiting -> ask->entry */
        struct pager_call call;           /* on its way to the other pager, or back */
        struct pager *home;
        struct served *served; /* held by the caller */
        enum provide_op op;
        void *buf;
        const struct store_loan *loan; /* of which buf is; NULL: of none */
        uint64_t offset; /* bytes, all inside the file */
        uint32_t length; /* and not more than provider_ask_max() */
        const uint64_t *mask; /* of a store of some pages alone: a bit for each, beginning with this one; NULL: all */
        uint64_t mask_first;
        uint32_t page_size;
        void (*done)(struct provider_ask *ask);

        /* how it ended: */
        int error;
        uint32_t n_done; /* bytes that are good */
};

void provider_ask(struct provider_ask *ask);

/* Lends the place in the area where that content would come to lie, if there is one just now: then it is not copied. In the thread of the served file's pager. */
bool provider_lend(struct served *served, uint64_t offset, uint32_t length, struct store_loan *ret_loan);
void provider_take_back(const struct store_loan *loan);

/* What can be asked at once from that byte on. */
uint32_t provider_ask_max(const struct served *served, uint64_t offset);

/* That peer serves the file from now on. In the thread of the served file's pager. *ret_fds: the socket and the area, the caller's. */
int provider_new(struct pager *pager, struct served *served, uint64_t peer, int ret_fds[static 2]);

/* That peer is gone; everything ends. */
void provider_forget_peer(struct pager *pager, uint64_t peer);
void provider_end_all(struct pager *pager);

#endif
