/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NBD_LINES_H
#define BF_NBD_LINES_H

/* The connections of a link to its server: when one is made, when it is made again, and which is used next. Part of a link (nbd_link.h), and used by its thread alone. */

#include <stdbool.h>
#include <stdint.h>

#include "nbd_line.h"

/* Connections to a server that offers several. */
#define NBD_LINES_MAX 4

struct nbd_lines_params {
        const char *uri; /* borrowed */
        bool may_read_files;
        uint64_t timeout_usec;
        uint64_t size_min; /* what the export must have the first time, and it must be writable if that is said; later it must have what it had then */
        bool must_be_writable;

        void (*on_done)(struct nbd_line *line, struct nbd_order *order, int error); /* see nbd_line.h */
        void (*on_status)(void *owner);                                             /* lines->status or lines->export has changed */
        void (*on_closed)(void *owner, struct nbd_orders *orders, bool was_ready);  /* a connection is gone, on which these were under way */
        void *owner;                                                                /* of each line, too */
};

struct nbd_lines {
        struct nbd_lines_params params;
        struct nbd_line list[NBD_LINES_MAX];
        int status; /* -EINPROGRESS; 0: there was a connection; or why there was none the first time */
        struct nbd_export export;
        int lost_error; /* why there is no connection, as it was told last; 0: there is one, or was none yet */
        uint64_t pause_usec;
        uint64_t paused_till;
};

void nbd_lines_init(struct nbd_lines *lines, const struct nbd_lines_params *params);
void nbd_lines_fini(struct nbd_lines *lines); /* nothing is under way */

/* There are connections, or they are being made; there is one that can be used. */
bool nbd_lines_is_any(const struct nbd_lines *lines);
bool nbd_lines_is_ready(const struct nbd_lines *lines);

/* The one with the most room; NULL: none has any. */
struct nbd_line *nbd_lines_best(struct nbd_lines *lines);

/* Notes what has become of them. */
void nbd_lines_look(struct nbd_lines *lines);

/* Makes one, if one is needed: there is something to do that they have no room for. Not too soon after a failure. */
void nbd_lines_connect(struct nbd_lines *lines, bool has_work);

/* When one of these is to be called again if nothing happens before; UINT64_MAX: never. */
uint64_t nbd_lines_due(const struct nbd_lines *lines, bool has_work);

#endif
