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

/* The same file once more, for direct I/O, as its file system has it: in blocks of 4096 bytes at the most, and so that a write that a daemon left under way can be waited for (store_file.c),
 * which a block device has no way to. -EINVAL: it is something else; -EOPNOTSUPP. */
int backing_check_direct(int fd, bool readonly, const struct backing *file);

#endif
