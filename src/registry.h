/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REGISTRY_H
#define BF_REGISTRY_H

/*
 * All mappings of this process: who owns the memory at an address? For bf_munmap(), which is given no handle, and for bf_fault_error(), which runs
 * in a signal handler and so may take no lock and meet any mutation half done.
 *
 * It knows what a mapping is (a window of a file, a ledger), not how it is made.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registry_slot;

struct registry_entry {
        uint64_t process; /* process_id() of the process that has it */
        uintptr_t address;
        size_t length;
        uint64_t offset;     /* in the file, of its first byte */
        uint64_t block_size; /* of the file */
        void *owner;
        int ledger; /* borrowed until registry_remove() */
        int error;  /* why no page comes any more, a positive errno; 0: pages come */
};

/* What registry_find() saw, to be asked about again after the use of what it found. */
struct registry_ticket {
        struct registry_slot *slot;
        uint64_t seq;
};

/* -ENOMEM. */
int registry_add(const struct registry_entry *entry, struct registry_slot **ret_slot);
void registry_remove(struct registry_slot *slot);

/* From now on registry_find() shows this error with the entry. */
void registry_set_error(struct registry_slot *slot, int error);

/* Gives the owner of the entry that begins at this address to one caller only, until registry_unclaim(). The entry can still be found, but no longer
 * stands in the way of a newer one at this address. -EINVAL there is none, or another has claimed it; -ENOTCONN it belongs to the process that forked
 * this one. */
int registry_claim(uintptr_t address, void **ret_owner);
void registry_unclaim(struct registry_slot *slot);

/* The entry that holds this address, be it of this process or one inherited from the process that forked it. Async-signal-safe. */
bool registry_find(uintptr_t address, struct registry_entry *ret_entry, struct registry_ticket *ret_ticket);

/* Whether the entry found has been the same all the time since. Async-signal-safe. */
bool registry_is_current(const struct registry_ticket *ticket);

#endif
