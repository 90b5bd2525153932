/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BACKING_H
#define BF_BACKING_H

/* The file behind a handle: opens it with this process's rights, and judges whether it can be a big file. Each failure sets bf_errmsg(). */

#include <stdbool.h>
#include <stdint.h>

struct backing {
        bool is_readonly;
        uint64_t size;
};

/* oflag: O_RDONLY or O_RDWR, with O_CREAT or not. A pipe or the like is never opened: that could wait for ever, or set something off. */
int backing_open(const char *path, int oflag, int *ret_fd);

/* Looks at an open file; name is for messages. Errors as bf_open_fd() has them. */
int backing_check(int fd, const char *name, struct backing *ret_backing);

/* The size in bytes, now. */
/* The same file, opened for direct I/O; -1: that is not to be had. */
int backing_open_direct(int fd, bool readonly);

int backing_size(int fd, const char *name, uint64_t *ret_size);

#endif
