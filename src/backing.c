/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing.h"
#include "errmsg.h"
#include "wire.h"

#define BACKING_NEW_MODE 0666

static const char *backing_kind(mode_t mode) {
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return "a directory";
        case S_IFIFO:
                return "a pipe";
        case S_IFSOCK:
                return "a socket";
        case S_IFCHR:
                return "a character device";
        default:
                return "no file";
        }
}

/* 0, or the errno for something that cannot be a big file. */
static int backing_check_kind(mode_t mode, const char *name) {
        if (S_ISREG(mode) || S_ISBLK(mode))
                return 0;
        return errmsg_set(S_ISDIR(mode) ? -EISDIR : -ENODEV,
                          "cannot open " ERRMSG_NAME ": it is %s (only regular files and block devices can be big files)", name, backing_kind(mode));
}

int backing_open(const char *path, int oflag, int *ret_fd) {
        struct stat st;
        int fd, r;

        if (oflag & ~(O_ACCMODE | O_CREAT) || (oflag & O_ACCMODE) == O_WRONLY || (oflag & O_ACCMODE) == O_ACCMODE)
                return errmsg_set(-EINVAL, "cannot open " ERRMSG_NAME ": the flags may be O_RDONLY or O_RDWR, O_CREAT and O_CLOEXEC, but no others", path);
        if (stat(path, &st) == 0) {
                r = backing_check_kind(st.st_mode, path);
                if (r < 0)
                        return r;
        }
        do
                fd = open(path, oflag | O_CLOEXEC, BACKING_NEW_MODE);
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
                return errmsg_fail(-errno, NULL, "cannot open %s", path);
        *ret_fd = fd;
        return 0;
}

static int backing_check_flags(int flags, const char *name) {
        if (flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
                return errmsg_set(-EBADF, "cannot open " ERRMSG_NAME ": the descriptor is not open for reading", name);
        if (flags & O_APPEND)
                return errmsg_set(-EINVAL, "cannot open " ERRMSG_NAME ": the descriptor has O_APPEND, so all would be written to its end", name);
        return 0;
}

int backing_check(int fd, const char *name, struct backing *ret_backing) {
        struct backing backing;
        struct stat st;
        int flags, r;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fstat(fd, &st) < 0)
                return errmsg_fail(-errno, NULL, "cannot open %s", name);
        r = backing_check_kind(st.st_mode, name);
        if (r < 0)
                return r;
        r = backing_check_flags(flags, name);
        if (r < 0)
                return r;
        r = backing_size(fd, name, &backing.size);
        if (r < 0)
                return r;
        backing.is_readonly = (flags & O_ACCMODE) == O_RDONLY;
        *ret_backing = backing;
        return 0;
}

int backing_open_direct(int fd, bool readonly) {
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
}

int backing_size(int fd, const char *name, uint64_t *ret_size) {
        struct stat st;
        uint64_t size;

        if (fstat(fd, &st) < 0)
                return errmsg_fail(-errno, NULL, "cannot tell the size of %s", name);
        size = (uint64_t) st.st_size;
        if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
                return errmsg_fail(-errno, NULL, "cannot tell the size of %s", name);
        if (size > WIRE_FILE_MAX)
                return errmsg_fail(-EFBIG, NULL, "cannot open %s", name);
        *ret_size = size;
        return 0;
}
