/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STORE_FILE_H
#define BF_STORE_FILE_H

/* The store for regular files and block devices: descriptors that clients opened. */

#include <stdbool.h>

#include "store.h"

/* Takes fd if it succeeds. */
int store_file_new(struct ring *ring, int fd, bool writable, struct store **ret);

/* The same file, opened for writing by another client: takes fd. */
void store_file_add_writer(struct store *store, int fd);

#endif
