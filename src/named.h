/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NAMED_H
#define BF_NAMED_H

/* Files that the daemon itself connects to: this process has their names alone. */

#include <stdbool.h>

bool named_is(const char *path);

/* A descriptor that passes the name to the daemon, in place of the file. Sets bf_errmsg(). */
int named_open(const char *name, int oflag, int *ret_fd);

/* What to do about it when the daemon does not open one; or NULL. */
const char *named_hint(int error);

#endif
