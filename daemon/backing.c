/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backing.h"

#define BACKING_ALIGN_MAX 4096u

static int backing_check_flags(int fd, bool readonly) {
        int flags = fcntl(fd, F_GETFL), mode;

        if (flags < 0)
                return -errno;
        if (flags & (O_APPEND | O_PATH))
                return -EINVAL;
        mode = flags & O_ACCMODE;
        return mode == O_RDWR || (readonly && mode == O_RDONLY) ? 0 : -EBADF;
}

static bool backing_is_aligned(const struct statx *st) {
        return st->stx_mask & STATX_DIOALIGN && st->stx_dio_mem_align > 0 && st->stx_dio_mem_align <= BACKING_ALIGN_MAX && st->stx_dio_offset_align > 0 &&
               st->stx_dio_offset_align <= BACKING_ALIGN_MAX;
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

int backing_check_direct(int fd, bool readonly, const struct backing *file) {
        struct backing backing = { 0 };
        struct statx st;
        int r;

        r = backing_check(fd, readonly, &backing);
        if (r < 0)
                return r;
        if (backing.device != file->device || backing.inode != file->inode || !(fcntl(fd, F_GETFL) & O_DIRECT))
                return -EINVAL;
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_DIOALIGN, &st) < 0)
                return -errno;
        return S_ISREG(st.stx_mode) && backing_is_aligned(&st) ? 0 : -EOPNOTSUPP;
}
