/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NOFORK_H
#define BF_NOFORK_H

/*
 * Descriptors that a forked child does not keep. The memory of a handle tells the daemon that somebody has it (PROTOCOL.md, Users of a shared handle): a child that
 * lives on after its parent died would be taken for one who can still write, and others would wait for it.
 *
 * They are closed by a handler of fork(): a child made by _Fork() or clone() keeps them until it execs or ends.
 */

/* The number of its entry, or -1: no memory for it, or too many; then a child keeps it. Before the first, nofork_init() (0 or -ENOMEM). */
int nofork_init(void);
int nofork_add(int fd);

/* fd is about to be closed. -1 is fine. */
void nofork_remove(int entry);

#endif
