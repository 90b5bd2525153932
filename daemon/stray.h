/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STRAY_H
#define BF_STRAY_H

/*
 * Faults in memory that the daemon knows nothing of, though it is registered with a handle's userfaultfd. It may be about to be unmapped, or about to be shown
 * to a daemon that has taken over: then the client wakes who waits. Or a client has grown a mapping by itself, or torn a block apart: then the
 * thread gets SIGBUS when the time is up that a load waits for room. Until then it is woken now and then, to see whether it still has that fault; it never spins.
 */

#include <stdint.h>

#include "handle.h"
#include "uffd.h"

struct pager;

void stray_fault(struct handle *handle, const struct uffd_fault *fault);

/* The handle is going. */
void stray_forget_handle(struct handle *handle);

/* The pager is ending. */
void stray_end(struct pager *pager);

#endif
