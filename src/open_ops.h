/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPEN_OPS_H
#define BF_OPEN_OPS_H

/* Files that processes serve: bf_open_ops(), and opening one by its name. */

#include <stdbool.h>
#include <string.h>

#include "client.h"
#include "serve.h"

static inline bool open_ops_is_name(const char *path) {
        return strncmp(path, SERVE_PREFIX, strlen(SERVE_PREFIX)) == 0;
}

int open_ops_by_name(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret);

#endif
