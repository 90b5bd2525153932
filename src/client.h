/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CLIENT_H
#define BF_CLIENT_H

/* A client: a connection with a daemon, and what its handles share. It knows no handle's business. */

#include "address.h"
#include "dial.h"
#include "fileh.h"
#include "keeper.h"
#include "serve.h"
#include "session.h"

struct bf_client {
        struct dial dial;
        struct session session;
        struct handles handles;
        struct serves serves;
        struct keeper keeper;
};

/* Connects to the daemon at the address. Errors as of bf_connect(), but for those of userfaultfd; each sets bf_errmsg(). */
int client_new(const struct address *address, struct bf_client **ret);

/* Ends the connection, before client_free(): requests fail from now on. */
void client_stop(struct bf_client *client);

/* Its handles are closed. */
void client_free(struct bf_client *client);

/* A userfaultfd for one more handle. Sets bf_errmsg() on failure. */
int client_uffd_new(const struct bf_client *client, int *ret_fd);

/* 0; -EINVAL NULL; -ENOTCONN in a forked child. Sets bf_errmsg(). */
int client_check(const struct bf_client *client);

#endif
