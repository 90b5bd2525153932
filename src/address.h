/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ADDRESS_H
#define BF_ADDRESS_H

/* The address of a daemon, as given to bf_connect(), taken apart. Pure: it opens nothing. */

#include <stdint.h>

#define ADDRESS_DEFAULT_SOCKET "/run/bigfiled/bigfiled.sock"
#define ADDRESS_DEFAULT_POOL (UINT64_C(64) << 20)

/* Longer than any path the kernel takes. */
#define ADDRESS_PATH_MAX 4096

enum address_kind {
        ADDRESS_UNIX,    /* the socket at path */
        ADDRESS_SPAWN,   /* a private daemon: the program at path, or if that is empty, the usual one */
        ADDRESS_DEFAULT, /* the socket at path if somebody serves it, else a private daemon */
};

struct address {
        enum address_kind kind;
        char path[ADDRESS_PATH_MAX];
        uint64_t pool;              /* bytes */
        uint64_t room_timeout_usec; /* UINT64_MAX: the daemon's own, as in the next ones */
        uint64_t spill_size;        /* bytes */
        char spill_dir[ADDRESS_PATH_MAX]; /* "" */
};

/* text: as bf_connect() takes it, NULL included. socket: what $BIGFILED_SOCKET holds, a path, perhaps with "unix:" before it, or NULL. -EINVAL, and sets bf_errmsg(). */
int address_parse(const char *text, const char *socket, struct address *ret_address);

#endif
