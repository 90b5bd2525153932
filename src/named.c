/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "errmsg.h"
#include "named.h"
#include "wire.h"

bool named_is(const char *path) {
        static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" };

        for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
                if (path && strncmp(path, schemes[i], strlen(schemes[i])) == 0)
                        return true;
        return false;
}

/* The daemon reads it more than once, and so takes it only if it cannot change. */
static int named_fill(int fd, const char *name) {
        size_t n = strlen(name);
        ssize_t written = write(fd, name, n);

        if (written != (ssize_t) n)
                return written < 0 ? -errno : -EIO;
        return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -errno : 0;
}

int named_open(const char *name, int oflag, int *ret_fd) {
        int fd, r;

        if (oflag != O_RDONLY && oflag != O_RDWR)
                return errmsg_set(-EINVAL, "cannot open " ERRMSG_NAME ": the flags may be O_RDONLY or O_RDWR, and O_CLOEXEC, but no others", name);
        if (strlen(name) > WIRE_NAME_MAX)
                return errmsg_fail(-ENAMETOOLONG, NULL, "cannot open %s", name);
        fd = memfd_create("bigfile-name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        r = fd < 0 ? -errno : named_fill(fd, name);
        if (r < 0) {
                if (fd >= 0)
                        close(fd);
                return errmsg_fail(r, NULL, "cannot open %s", name);
        }
        *ret_fd = fd;
        return 0;
}

const char *named_hint(int error) {
        switch (error) {
        case -EPERM:
                return "bigfiled does not allow this server: its administrator would have to, see --allow-nbd";
        case -EACCES:
                return "the user that bigfiled runs as may not connect to it";
        case -EROFS:
                return "the server exports it for reading only";
        case -EOPNOTSUPP:
                return "the server wants TLS (nbds:), or this bigfiled was built without libnbd";
        case -ENOMEM:
        case -EBUSY:
        case -EUSERS:
        case -EMFILE:
                return NULL;
        default:
                return "bigfiled could not connect to it: its log says more";
        }
}
