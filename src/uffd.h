/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_UFFD_H
#define BF_UFFD_H

/* Everything the library asks of userfaultfd. It knows neither handles nor the daemon's messages. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A userfaultfd that does not block, is close-on-exec, and has BF_UFFD_FEATURES.
 * device: /dev/userfaultfd as lent by the daemon, borrowed; or -1. may_be_user_only: one that serves no faults inside system calls will do.
 * -EPERM; -ENOSYS the kernel lacks something; -EMFILE, -ENFILE, -ENOMEM. Each sets bf_errmsg().
 */
int uffd_new(int device, bool may_be_user_only, int *ret_fd);

/* Registers a range for missing and minor faults, and, if protect, for write-protect faults. */
int uffd_register(int fd, void *address, size_t length, bool protect);

/* Who waits there faults again. */
void uffd_wake(int fd, void *address, size_t length);

/* 1 a fault at that address, 0 none is waiting, or a negative errno. */
int uffd_read_fault(int fd, uintptr_t *ret_address);

/* Answers a fault with SIGBUS, and so for everyone who touches that page later in this mapping. page_size: of the memory. The caller has made
 * sure that the mapping is there, and stays there meanwhile: other memory in its place would lose its content. */
void uffd_refuse(int fd, uintptr_t address, size_t page_size);

#endif
