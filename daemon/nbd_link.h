/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NBD_LINK_H
#define BF_NBD_LINK_H

/*
 * A thread that has one export of an NBD server: the connections to it, the requests, which go over whichever of them has the least to do, and what comes after one is lost.
 * What was under way then is sent again, by a connection that is made anew, over and over, with pauses; what cannot be sent for too long fails with EIO. It knows no
 * pager: whose requests they are is told that some have ended.
 *
 * What a server has taken, but not flushed, may be gone with it. So when a connection is lost after such writes, the next sync fails with EIO, whatever
 * the server says by then.
 */

#include <stdbool.h>
#include <stdint.h>

#include "nbd_line.h"

struct nbd_link;

struct nbd_link_params {
        const char *uri; /* copied */
        bool may_read_files;
        uint64_t timeout_usec; /* how long a request waits for a connection */
        uint64_t size_min;     /* what the export must have at least */
        bool must_be_writable;
        void (*on_news)(void *owner); /* by the link's thread: requests have ended, or nbd_link_status() has changed, or all is over */
        void *owner;
};

/* Its thread runs, and connects. */
int nbd_link_new(const struct nbd_link_params *params, struct nbd_link **ret);

/* -EINPROGRESS: it has not been connected yet. 0: it was; it may have lost the connection since. Another negative errno: the first time failed. */
int nbd_link_status(struct nbd_link *link, struct nbd_export *ret_export);

/* The order is the link's until nbd_link_take(). */
void nbd_link_give(struct nbd_link *link, struct nbd_order *order);

/* Those that have ended since. False: the thread is over, as it was told to be, and nbd_link_free() does not wait. on_news() is called again for what comes after this. */
bool nbd_link_take(struct nbd_link *link, struct nbd_orders *ended);

/* No request is under way. The thread ends soon, which is news. */
void nbd_link_stop(struct nbd_link *link);
void nbd_link_free(struct nbd_link *link);

#endif
