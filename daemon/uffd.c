/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uffd.h"
#include "uffd_abi.h"

static_assert(sizeof(struct uffd_msg) == UFFD_EVENT_BYTES, "an event has the size the kernel gives it");

static struct uffd_fault uffd_fault_of(const struct uffd_msg *msg) {
        uint64_t flags = msg->arg.pagefault.flags;

        return (struct uffd_fault) {
                .address = msg->arg.pagefault.address,
                .write = flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP),
                .write_protected = flags & UFFD_PAGEFAULT_FLAG_WP,
                .thread = msg->arg.pagefault.feat.ptid,
        };
}

/* A privileged client can have made its userfaultfd so that forks are told. Reading of one has put a descriptor of the child's into this process. */
void uffd_event_parse(const void *bytes, struct uffd_event *ret_event) {
        struct uffd_msg msg;

        memcpy(&msg, bytes, sizeof(msg));
        ret_event->kind = UFFD_OTHER;
        switch (msg.event) {
        case UFFD_EVENT_PAGEFAULT:
                ret_event->kind = UFFD_FAULT;
                ret_event->fault = uffd_fault_of(&msg);
                break;
        case UFFD_EVENT_REMAP:
                ret_event->kind = UFFD_MOVE;
                ret_event->move = (struct uffd_move) { .from = msg.arg.remap.from, .to = msg.arg.remap.to, .length = msg.arg.remap.len };
                break;
        case UFFD_EVENT_FORK:
                close((int) msg.arg.fork.ufd);
                break;
        }
}

int uffd_check(int fd) {
        static const char expected[] = "anon_inode:[userfaultfd]";
        char path[64], target[sizeof(expected)];
        int flags = fcntl(fd, F_GETFL);
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target));
        if (n != (ssize_t) sizeof(expected) - 1 || memcmp(target, expected, sizeof(expected) - 1) != 0)
                return -EINVAL;
        return flags >= 0 && flags & O_NONBLOCK ? 0 : -EINVAL;
}

/* BIGFILED_TEST_UFFD_FEATURES: what the kernel is to have, for testing what an older one gets. */
int uffd_probe(uint64_t *ret_features) {
        struct uffdio_api api = { .api = UFFD_API };
        const char *pretended = getenv("BIGFILED_TEST_UFFD_FEATURES");
        int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), r;

        if (fd < 0)
                return -errno;
        r = ioctl(fd, UFFDIO_API, &api) < 0 ? -errno : 0;
        close(fd);
        if (r < 0)
                return r;
        *ret_features = pretended ? strtoull(pretended, NULL, 0) : api.features;
        return 0;
}

int uffd_open_device(int *ret_fd) {
        int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int uffd_wake(int fd, uint64_t address, uint64_t length) {
        struct uffdio_range range = { .start = address, .len = length };

        return ioctl(fd, UFFDIO_WAKE, &range) < 0 ? -errno : 0;
}

/* The kernel may stop half way: it says EAGAIN and how far it came. EAGAIN with nothing done is another matter. */
int uffd_copy(int fd, uint64_t address, const void *buf, uint64_t length, enum uffd_copy how) {
        static const uint64_t modes[] = {
                [UFFD_COPY_WRITABLE] = 0,
                [UFFD_COPY_PROTECTED] = UFFDIO_COPY_MODE_WP,
                [UFFD_COPY_QUIETLY] = UFFDIO_COPY_MODE_WP | UFFDIO_COPY_MODE_DONTWAKE,
        };

        for (uint64_t done = 0; done < length;) {
                struct uffdio_copy copy = {
                        .dst = address + done,
                        .src = (uint64_t) (uintptr_t) buf + done,
                        .len = length - done,
                        .mode = modes[how],
                };

                if (ioctl(fd, UFFDIO_COPY, &copy) < 0 && (errno != EAGAIN || copy.copy <= 0))
                        return -errno;
                done += (uint64_t) copy.copy;
        }
        return 0;
}

int uffd_continue(int fd, uint64_t address, uint64_t length, uint64_t page_size, bool protect) {
        bool was_mapped = false;

        for (uint64_t done = 0; done < length;) {
                struct uffdio_continue c = {
                        .range = { .start = address + done, .len = length - done },
                        .mode = protect ? UFFDIO_CONTINUE_MODE_WP : 0,
                };

                if (ioctl(fd, UFFDIO_CONTINUE, &c) == 0)
                        done = length;
                else if (errno == EAGAIN && c.mapped > 0)
                        done += (uint64_t) c.mapped;
                else if (errno == EEXIST) {
                        done += (c.mapped > 0 ? (uint64_t) c.mapped : 0) + page_size;
                        was_mapped = true;
                } else
                        return -errno;
        }
        return was_mapped ? uffd_wake(fd, address, length) : 0; /* the kernel wakes only for what it mapped */
}

int uffd_continue_page(int fd, uint64_t address, uint64_t page_size, bool protect) {
        struct uffdio_continue c = {
                .range = { .start = address, .len = page_size },
                .mode = protect ? UFFDIO_CONTINUE_MODE_WP : 0,
        };

        return ioctl(fd, UFFDIO_CONTINUE, &c) < 0 ? -errno : 0;
}

int uffd_protect(int fd, uint64_t address, uint64_t length, bool protect) {
        struct uffdio_writeprotect wp = {
                .range = { .start = address, .len = length },
                .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
        };

        return ioctl(fd, UFFDIO_WRITEPROTECT, &wp) < 0 ? -errno : 0;
}

/* A page that was write-protected where it was mapped and then left the memory leaves its protection behind in the page table, and there
 * UFFDIO_POISON finds the place taken. */
static void uffd_forget_protection(int fd, uint64_t address, uint64_t length) {
        struct uffdio_writeprotect wp = {
                .range = { .start = address, .len = length },
                .mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
        };

        (void) ioctl(fd, UFFDIO_WRITEPROTECT, &wp); /* fails where nothing can be protected */
}

int uffd_poison(int fd, uint64_t address, uint64_t length, uint64_t page_size) {
        uffd_forget_protection(fd, address, length);
        for (uint64_t done = 0; done < length;) {
                struct uffdio_poison p = { .range = { .start = address + done, .len = length - done } };

                if (ioctl(fd, UFFDIO_POISON, &p) == 0)
                        break;
                if (errno == EAGAIN && p.updated > 0)
                        done += (uint64_t) p.updated;
                else if (errno == EEXIST) /* mapped or poisoned already */
                        done += (p.updated > 0 ? (uint64_t) p.updated : 0) + page_size;
                else
                        return -errno;
        }
        return uffd_wake(fd, address, length);
}
