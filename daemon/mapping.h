/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_MAPPING_H
#define BF_MAPPING_H

/*
 * A mapping: a range of one client's address space that shows a window of a fileh; and what can be done to a page there. It turns blocks into
 * addresses and back. Where the client has changed its address space behind our back, what is asked here fails, and that is the client's loss alone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "uffd.h"

struct fileh;

/* address, offset and length are whole blocks, as long as the client has not moved parts of it */
struct mapping {
        struct fileh *fileh;
        uint64_t peer; /* whose it is */
        pid_t pid;     /* the same, for messages; 0: nobody knows */
        int uffd;      /* borrowed from the handle */
        bool readonly; /* a private mapping of a read-only memory: it can be shown pages, not given new ones */
        uint64_t address;
        uint64_t offset;
        uint64_t length;
        uint64_t shown_address; /* where and how long it was when its client told of it: mremap(2) can move it, and take it apart into whole pages (remap.h) */
        uint64_t shown_length;
};

uint64_t mapping_block(const struct mapping *mapping, uint64_t address);
uint64_t mapping_address(const struct mapping *mapping, uint64_t block);
/* All of the block? */
bool mapping_shows(const struct mapping *mapping, uint64_t block);
/* All of these n blocks? */
bool mapping_shows_run(const struct mapping *mapping, uint64_t first, uint64_t n);

/* Is it where its client had it, and whole? */
bool mapping_is_in_place(const struct mapping *mapping);

/* Fills n blocks that are not in the memory yet, and shows them. -EEXIST: something is in the memory. */
int mapping_fill(struct mapping *mapping, uint64_t block, uint64_t n, const void *buf, enum uffd_copy how);

/* Shows n blocks that are in the memory. -EFAULT: one is not. */
int mapping_show(struct mapping *mapping, uint64_t block, uint64_t n, bool writable);

/* Shows the page at that address, of a block that is in the memory, and has a thread that waits for it go on. Was it shown already? */
bool mapping_showed_page(struct mapping *mapping, uint64_t address, bool writable);

/* Write-protects the blocks from first on that it shows, or un-protects them. */
int mapping_protect(struct mapping *mapping, uint64_t first, uint64_t n, bool protect);

/* Who touches the block gets SIGBUS, and who waits for it. */
void mapping_poison(struct mapping *mapping, uint64_t block);

/* Who waits for the block asks again. */
void mapping_wake(struct mapping *mapping, uint64_t block);

/* A fault there was answered: it began and ended then. */
void mapping_trace_fault(const struct mapping *mapping, uint64_t block, bool write, uint64_t began, uint64_t ended);

/* The same of one that has waited since then, by latency_now(): for waiters_end(). */
void mapping_wake_waiter(struct mapping *mapping, uint64_t block, uint64_t since);

#endif
