/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backing.h"

static int backing_check_flags(int fd, bool readonly) {
        int flags = fcntl(fd, F_GETFL), mode;

        if (flags < 0)
                return -errno;
        if (flags & (O_APPEND | O_PATH))
                return -EINVAL;
        mode = flags & O_ACCMODE;
        return mode == O_RDWR || (readonly && mode == O_RDONLY) ? 0 : -EBADF;
}

int backing_check(int fd, bool readonly, struct backing *ret) {
        struct statx st;
        int r;

        r = backing_check_flags(fd, readonly);
        if (r < 0)
                return r;
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &st) < 0)
                return -errno;
        if (S_ISREG(st.stx_mode))
                *ret = (struct backing) { makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino };
        else if (S_ISBLK(st.stx_mode)) /* many nodes may name one device */
                *ret = (struct backing) { makedev(st.stx_rdev_major, st.stx_rdev_minor), 0 };
        else
                return -ENODEV;
        return 0;
}
