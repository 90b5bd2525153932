/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OUTBOX_H
#define BF_OUTBOX_H

/* Replies on their way from the pagers to the main thread. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "wire.h"

/* What comes out of a pager. */
struct pager_reply {
        uint64_t peer;
        unsigned pager; /* who made it */
        bool is_drop; /* no message: the peer is to be dropped */
        const char *why;
        union wire_msg msg;
        int fds[WIRE_FDS_MAX]; /* the receiver's */
        unsigned n_fds;
};

/* Allocated; the receiver frees it. */
struct outbox_item {
        STAILQ_ENTRY(outbox_item) entry; /* outbox->items -> item->entry */
        struct pager_reply reply;
};

struct outbox {
        pthread_mutex_t mutex; /* for a few instructions at a time */
        STAILQ_HEAD(, outbox_item) items;
        int fd; /* an eventfd: can be read when there are some */
};

int outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);

/* Takes the item. */
void outbox_put(struct outbox *outbox, struct outbox_item *item);

/* The next one, or NULL. */
struct outbox_item *outbox_next(struct outbox *outbox);

#endif
