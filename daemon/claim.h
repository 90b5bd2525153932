/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CLAIM_H
#define BF_CLAIM_H

/*
 * Who has the memory of a shared fileh, as the kernel keeps count of it. Each user's descriptor is an open file description of its own, and bears a lock
 * of that description on one byte far behind any content: a write lock for one who may write, else a read lock. The lock lives exactly as long as some
 * descriptor or mapping of that description, whatever becomes of the user or the daemon.
 *
 * The byte says which daemon set it (its generation, see ledger.h), and for which of its users (the place). A daemon that takes the memory up moves the
 * lock of each user who has come back to a byte of its own; what is locked of earlier generations belongs to users who are absent: they have the memory
 * mapped, and this daemon does not know where. One whom it knew and has lost sight of is absent, too.
 */

#include <stdbool.h>
#include <stdint.h>

/* The user of this descriptor (borrowed) is present: the lock is at this place, and nowhere else. A negative errno: it has no lock; -EAGAIN: another one
 * has a lock there, which no daemon has made. */
int claim_set_present(int fd, bool is_writer, uint64_t generation, uint32_t place);

/* He is absent from now on. */
void claim_set_absent(int fd, bool is_writer, uint64_t generation, uint32_t place);

/* He has the memory no more, or will let go of it at once. */
void claim_drop(int fd);

enum claim_kind {
        CLAIM_WRITER,
        CLAIM_ANY,
};

/* Is anyone of that kind absent? fd: the daemon's own, for reading and writing. */
bool claim_is_anyone_absent(int fd, uint64_t generation, enum claim_kind kind);

#endif
