/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_FUSE_SERVER_H
#define BENCH_FUSE_SERVER_H

/* A process that serves a copy of the file, which it has in memory, as the one file of a FUSE file system: through the page cache, as any other. */

#include <stddef.h>
#include <sys/types.h>

#include "reason.h"

struct content;

struct fuse_server {
        pid_t pid;
        char dir[32];   /* where it is mounted, for that process alone */
        char path[128]; /* of the file, from here */
};

/* Forks. 0; SUBJECT_HAS_NONE with a reason; or a negative errno. */
int fuse_server_start(struct fuse_server *server, const struct content *content, struct reason *reason);
void fuse_server_stop(struct fuse_server *server);

#endif
