/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STORE_FILE_H
#define BF_STORE_FILE_H

/* The store for regular files and block devices: descriptors that clients opened. */

#include <stdbool.h>

#include "store.h"

struct views;

/* Takes fds if it succeeds. views: what the content is looked at through where it is in RAM; NULL: it is read. */
int store_file_new(struct ring *ring, struct views *views, const struct store_fds *fds, bool writable, struct store **ret);

#endif
