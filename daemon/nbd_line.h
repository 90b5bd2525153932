/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NBD_LINE_H
#define BF_NBD_LINE_H

/* A connection, or the place for one, and the requests that are under way on it. Part of a link (nbd_link.h), and used by its thread alone. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "nbd_conn.h"

struct nbd_line;

enum nbd_order_kind {
        NBD_READ,
        NBD_WRITE,
        NBD_SYNC,
};

/* A request. Embedded by its owner. */
struct nbd_order {
        STAILQ_ENTRY(nbd_order) entry; /* of the list that it is in */
        enum nbd_order_kind kind;
        void *buf;
        uint64_t offset;
        uint32_t length;
        uint32_t n_done; /* bytes, at the end */
        int error;       /* the same */

        /* the link's own */
        LIST_ENTRY(nbd_order) under_way; /* line->under_way -> order->under_way */
        struct nbd_line *line;           /* NULL: it is not under way */
        struct nbd_command command;
        uint32_t n_asked;        /* bytes of what is under way */
        uint64_t n_taken_before; /* of a sync: writes that it is about */
        uint64_t deadline;       /* monotonic, microseconds: until when it waits for a connection */
};

STAILQ_HEAD(nbd_orders, nbd_order);

struct nbd_line {
        struct nbd_conn *conn; /* NULL: none */
        bool is_ready;         /* it has been found to be */
        bool is_leaving;       /* the server shuts down */
        uint64_t deadline;     /* until when it has to be ready */
        unsigned n_under_way;
        LIST_HEAD(, nbd_order) under_way;

        /* What was sent has ended; the order is not under way any more, and a large one is perhaps not done. error: 0, or what the server said. */
        void (*on_done)(struct nbd_line *line, struct nbd_order *order, int error);
        void *owner;
};

/* So many more requests can be sent, of max at a time. */
unsigned nbd_line_room(const struct nbd_line *line, unsigned max);

/* Sends the next bytes_max of it at the most. A negative errno: it is not under way. What does not get far as the connection ends is under way until nbd_line_close(). */
int nbd_line_send(struct nbd_line *line, struct nbd_order *order, uint32_t bytes_max);

/* Hands over what was under way. */
void nbd_line_close(struct nbd_line *line, struct nbd_orders *orders);

#endif
