/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_UFFD_H
#define BF_UFFD_H

/*
 * Everything the daemon asks of userfaultfd, one function an ioctl. Each works on a range of one client's address space: its failure is about that
 * mapping, never about the daemon. It knows no pages and no states.
 *
 * Errors they share: -ESRCH the process is gone; -ENOENT the range is not mapped, or not registered any more; -EAGAIN the process is changing
 * its address space just now.
 */

#include <stdbool.h>
#include <stdint.h>

/* What a client's thread wants, as read from its userfaultfd. */
struct uffd_fault {
        uint64_t address;
        bool write;           /* else read */
        bool write_protected; /* the page is mapped there, and write-protected */
        uint32_t thread;      /* whose it is, as that one knows itself; 0: its client does not tell */
};

/* What it has done to its address space: mremap(2). It goes on when the event is read. */
struct uffd_move {
        uint64_t from;
        uint64_t to;
        uint64_t length;
};

struct uffd_event {
        enum {
                UFFD_FAULT,
                UFFD_MOVE,
                UFFD_OTHER, /* which none of our own clients asks for */
        } kind;
        union {
                struct uffd_fault fault;
                struct uffd_move move;
        };
};

/* A place for n events as the kernel writes them, and how to read one of them. */
#define UFFD_EVENT_BYTES 32u
void uffd_event_parse(const void *bytes, struct uffd_event *ret_event);

/* Is this descriptor a userfaultfd that does not block? 0; -EINVAL. */
int uffd_check(int fd);

/* The features the running kernel has (proto/uffd_features.h names those that are missing). -ENOSYS: no userfaultfd at all. */
int uffd_probe(uint64_t *ret_features);

/* /dev/userfaultfd, for lending to clients. */
int uffd_open_device(int *ret_fd);

/* Puts new pages at address, filled from buf. -EEXIST: a page is there already. */
enum uffd_copy {
        UFFD_COPY_WRITABLE,  /* and wakes who waits */
        UFFD_COPY_PROTECTED, /* the same */
        UFFD_COPY_QUIETLY,   /* write-protected; who waits is woken by uffd_protect() or uffd_wake() */
};
int uffd_copy(int fd, uint64_t address, const void *buf, uint64_t length, enum uffd_copy how);

/* Maps pages of page_size that are in the memory, and wakes who waits; those mapped already stay as they are. -EFAULT: a page is not in the memory. */
int uffd_continue(int fd, uint64_t address, uint64_t length, uint64_t page_size, bool protect);

/* The same of one page, and says whether it was mapped already: -EEXIST. */
int uffd_continue_page(int fd, uint64_t address, uint64_t page_size, bool protect);

/* Write-protects, or un-protects and wakes. */
int uffd_protect(int fd, uint64_t address, uint64_t length, bool protect);

/* From now on touching the range, in which no page is mapped, is SIGBUS; wakes who waits. */
int uffd_poison(int fd, uint64_t address, uint64_t length, uint64_t page_size);

/* Who waits there faults again. */
int uffd_wake(int fd, uint64_t address, uint64_t length);

#endif
