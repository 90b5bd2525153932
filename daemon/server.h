/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SERVER_H
#define BF_SERVER_H

/* The daemon as clients see it: it listens, keeps the peers, and carries the pagers' replies to them. */

#include <stdbool.h>

#include "commons.h"
#include "crew.h"
#include "loop.h"
#include "reports.h"
#include "status.h"

struct server;

struct server_params {
        struct loop *loop; /* these three are borrowed */
        struct commons *commons;
        struct crew *crew;
        int listen_fd;  /* taken; -1: it serves private_fd alone */
        int private_fd; /* taken; the server quits the loop when that peer is gone; -1: none */
        int lend_fd;    /* taken; /dev/userfaultfd, or -1 */
        bool is_direct; /* files are to be opened for direct I/O */
        const char *const *allow_nbd; /* see peer.h; borrowed */
        int (*settings)(void *owner, struct report *report); /* writes what is set, as struct report_setting; NULL: nobody knows */
        void *settings_owner;
        struct status *status; /* borrowed; told when clients come and go, or were answered; NULL: none */
};

/* On failure nothing is taken. */
int server_new(const struct server_params *params, struct server **ret);

/* Disconnects all peers. */
void server_free(struct server *server);

#endif
