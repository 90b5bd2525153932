/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BACKING_H
#define BF_BACKING_H

/* Judges the descriptor of a file that a client passed. It never asks the file's device or server anything: that could hang. */

#include <stdbool.h>
#include <stdint.h>

struct backing {
        uint64_t device;
        uint64_t inode;
};

/* A regular file or block device, opened for what is asked. -ENODEV, -EBADF; -EINVAL: O_APPEND or O_PATH. */
int backing_check(int fd, bool readonly, struct backing *ret);

#endif
