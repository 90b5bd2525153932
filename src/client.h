/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CLIENT_H
#define BF_CLIENT_H

/* A client: finds or starts the daemon, connects, agrees on the protocol, and has what its handles share. It knows no handle's business. */

#include <stdbool.h>

#include "address.h"
#include "fileh.h"
#include "keeper.h"
#include "session.h"

struct bf_client {
        struct session session;
        struct handles handles;
        struct keeper keeper;
        bool is_private; /* the daemon is for this process alone */
        int uffd_device; /* /dev/userfaultfd, lent by the daemon; or -1 */
};

/* Connects to the daemon at the address. Errors as of bf_connect(), but for those of userfaultfd; each sets bf_errmsg(). */
int client_new(const struct address *address, struct bf_client **ret);

/* Its handles are closed. */
void client_free(struct bf_client *client);

/* A userfaultfd for one more handle. Sets bf_errmsg() on failure. */
int client_uffd_new(const struct bf_client *client, int *ret_fd);

/* 0; -EINVAL NULL; -ENOTCONN in a forked child. Sets bf_errmsg(). */
int client_check(const struct bf_client *client);

#endif
