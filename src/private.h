/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PRIVATE_H
#define BF_PRIVATE_H

/* Starts a private daemon, connected to this process by a socket pair. It knows the daemon's command line, and nothing of what is said on the
 * socket. */

#include <stdint.h>

struct private {
        const char *program;        /* path of bigfiled */
        uint64_t pool;              /* bytes */
        uint64_t room_timeout_usec; /* UINT64_MAX: the daemon's own, as in the next one */
        uint64_t spill_size;        /* bytes */
        const char *spill_dir;      /* "": the daemon's own */
};

/* *ret_fd: this side of the socket; close-on-exec. The daemon ends when the other side is closed. -ENOENT and what else posix_spawn(3) says;
 * -EINVAL it refused the settings; -ENOSYS the kernel lacks what it needs; -ENOTCONN it did not start otherwise; each sets bf_errmsg(). */
int private_start(const struct private *settings, int *ret_fd);

#endif
