/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errmsg.h"
#include "uffd.h"
#include "uffd_abi.h"
#include "uffd_features.h"

#define UFFD_DEVICE "/dev/userfaultfd"
#define UFFD_FLAGS (O_CLOEXEC | O_NONBLOCK)

#define NO_PERMISSION_HINT \
        "run bigfiled with the right to open " UFFD_DEVICE " and without --no-lend, so that it can lend it, or give this user that right"

/* Not permitted this way: the next way may be. Anything else ends the search. */
static bool uffd_is_refusal(int r) {
        return r == -EPERM || r == -EACCES || r == -ENOENT || r == -ENODEV || r == -ENXIO || r == -ENOSYS;
}

static int uffd_from_device(int device) {
        int fd = ioctl(device, USERFAULTFD_IOC_NEW, UFFD_FLAGS);

        return fd < 0 ? -errno : fd;
}

static int uffd_from_own_device(void) {
        int device = open(UFFD_DEVICE, O_RDWR | O_CLOEXEC), fd;

        if (device < 0)
                return -errno;
        fd = uffd_from_device(device);
        close(device);
        return fd;
}

static int uffd_from_syscall(int flags) {
        int fd = (int) syscall(SYS_userfaultfd, UFFD_FLAGS | flags);

        return fd < 0 ? -errno : fd;
}

/* A descriptor, or the error of the last way tried. */
static int uffd_open(int device, bool may_be_user_only) {
        int fd = -ENODEV;

        if (device >= 0)
                fd = uffd_from_device(device);
        if (uffd_is_refusal(fd))
                fd = uffd_from_own_device();
        if (uffd_is_refusal(fd))
                fd = uffd_from_syscall(0);
        if (uffd_is_refusal(fd) && may_be_user_only)
                fd = uffd_from_syscall(UFFD_USER_MODE_ONLY);
        return fd;
}

static int uffd_handshake(int fd, uint64_t features, uint64_t *ret_features) {
        struct uffdio_api api = { .api = UFFD_API, .features = features };

        if (ioctl(fd, UFFDIO_API, &api) < 0)
                return -errno;
        *ret_features = api.features;
        return 0;
}

/* Says which features the kernel lacks. The handshake is made once with a userfaultfd, so asking takes another one. */
static int uffd_fail_lacking(int device, bool may_be_user_only) {
        char names[UFFD_FEATURES_TEXT_MAX];
        uint64_t features = 0;
        int fd = uffd_open(device, may_be_user_only);

        if (fd >= 0) {
                (void) uffd_handshake(fd, 0, &features);
                close(fd);
        }
        (void) uffd_features_missing(features, names);
        return errmsg_set(-ENOSYS, "the userfaultfd of this kernel lacks %s: Linux 6.6 or newer is needed", names);
}

static int uffd_fail_open(int r) {
        switch (r) {
        case -ENOSYS:
                return errmsg_set(r, "this kernel has no userfaultfd: Linux 6.6 or newer, built with CONFIG_USERFAULTFD, is needed");
        case -EPERM:
        case -EACCES:
                return errmsg_fail(-EPERM, NO_PERMISSION_HINT, "cannot create a userfaultfd");
        default:
                return errmsg_fail(r, NULL, "cannot create a userfaultfd");
        }
}

int uffd_new(int device, bool may_be_user_only, int *ret_fd) {
        uint64_t features;
        int fd, r;

        fd = uffd_open(device, may_be_user_only);
        if (fd < 0)
                return uffd_fail_open(fd);
        r = uffd_handshake(fd, BF_UFFD_FEATURES, &features);
        if (r < 0) {
                close(fd);
                return r == -EINVAL ? uffd_fail_lacking(device, may_be_user_only) : uffd_fail_open(r);
        }
        *ret_fd = fd;
        return 0;
}

int uffd_register(int fd, void *address, size_t length, bool protect) {
        struct uffdio_register r = {
                .range = { .start = (uintptr_t) address, .len = length },
                .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | (protect ? UFFDIO_REGISTER_MODE_WP : 0),
        };

        return ioctl(fd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

void uffd_wake(int fd, void *address, size_t length) {
        struct uffdio_range range = { .start = (uintptr_t) address, .len = length };

        (void) ioctl(fd, UFFDIO_WAKE, &range);
}

int uffd_read_fault(int fd, uintptr_t *ret_address) {
        struct uffd_msg msg;
        ssize_t n;

        do {
                n = read(fd, &msg, sizeof(msg));
                if (n < 0 && errno != EINTR)
                        return errno == EAGAIN ? 0 : -errno;
        } while (n < 0 || (n == sizeof(msg) && msg.event != UFFD_EVENT_PAGEFAULT));
        if (n != sizeof(msg))
                return -EIO;
        *ret_address = (uintptr_t) msg.arg.pagefault.address;
        return 1;
}

static int uffd_poison(int fd, uintptr_t page, size_t page_size) {
        struct uffdio_poison poison = { .range = { .start = page, .len = page_size } };

        return ioctl(fd, UFFDIO_POISON, &poison) < 0 ? -errno : 0;
}

/*
 * A page can be poisoned only where nothing is mapped: not the page, which is there when this is about a write to a protected one, and not the mark
 * of its protection, which the kernel leaves behind when the page goes. The mark goes by un-protecting; the page must be gone by then, or somebody
 * could write to it. On a read-only handle nothing is protected and un-protecting fails, which is as well. If poisoning fails all the same, things
 * have changed since the fault: who waits is woken and, if need be, faults again.
 */
void uffd_refuse(int fd, uintptr_t address, size_t page_size) {
        uintptr_t page = address & ~((uintptr_t) page_size - 1);
        struct uffdio_writeprotect unprotect = { .range = { .start = page, .len = page_size }, .mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE };

        if (uffd_poison(fd, page, page_size) == -EEXIST) {
                (void) madvise((void *) page, page_size, MADV_DONTNEED);
                (void) ioctl(fd, UFFDIO_WRITEPROTECT, &unprotect);
                (void) uffd_poison(fd, page, page_size);
        }
        uffd_wake(fd, (void *) page, page_size);
}
