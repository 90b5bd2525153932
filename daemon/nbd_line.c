/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>

#include "nbd_line.h"

unsigned nbd_line_room(const struct nbd_line *line, unsigned max) {
        if (!line->is_ready || line->is_leaving || nbd_conn_state(line->conn) != NBD_CONN_READY)
                return 0;
        return max > line->n_under_way ? max - line->n_under_way : 0;
}

static void nbd_line_add(struct nbd_line *line, struct nbd_order *order) {
        order->line = line;
        LIST_INSERT_HEAD(&line->under_way, order, under_way);
        line->n_under_way++;
}

static void nbd_line_remove(struct nbd_order *order) {
        LIST_REMOVE(order, under_way);
        order->line->n_under_way--;
        order->line = NULL;
}

static void nbd_line_on_done(struct nbd_command *command, int error) {
        struct nbd_order *order = (struct nbd_order *) ((char *) command - offsetof(struct nbd_order, command));
        struct nbd_line *line = order->line;

        if (error == -ESHUTDOWN) { /* it goes with the others of this line */
                line->is_leaving = true;
                return;
        }
        nbd_line_remove(order);
        if (error == 0)
                order->n_done += order->n_asked;
        line->on_done(line, order, error);
}

static int nbd_line_begin(struct nbd_line *line, struct nbd_order *order) {
        char *buf = (char *) order->buf + order->n_done;
        uint64_t offset = order->offset + order->n_done;

        switch (order->kind) {
        case NBD_READ:
                return nbd_conn_read(line->conn, &order->command, buf, order->n_asked, offset);
        case NBD_WRITE:
                return nbd_conn_write(line->conn, &order->command, buf, order->n_asked, offset);
        case NBD_SYNC:
                return nbd_conn_flush(line->conn, &order->command);
        }
        return -EINVAL;
}

/* The order is the line's before it is sent: its end may be heard of at once. */
int nbd_line_send(struct nbd_line *line, struct nbd_order *order, uint32_t bytes_max) {
        uint32_t left = order->length - order->n_done;
        int r;

        order->command.done = nbd_line_on_done;
        order->n_asked = left < bytes_max ? left : bytes_max;
        nbd_line_add(line, order);
        r = nbd_line_begin(line, order);
        if (r == 0 || nbd_conn_state(line->conn) == NBD_CONN_DEAD)
                return 0;
        nbd_line_remove(order);
        return r;
}

void nbd_line_close(struct nbd_line *line, struct nbd_orders *orders) {
        struct nbd_order *order;

        nbd_conn_free(line->conn);
        line->conn = NULL;
        line->is_ready = false;
        line->is_leaving = false;
        while ((order = LIST_FIRST(&line->under_way))) {
                nbd_line_remove(order);
                STAILQ_INSERT_HEAD(orders, order, entry);
        }
}
