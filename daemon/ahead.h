/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_AHEAD_H
#define BF_AHEAD_H

/* Reading ahead of threads that touch blocks in order (stream.h), and showing what was read in the mapping through which they do, so that they do not fault. */

#include <stdbool.h>
#include <stdint.h>

#include "stream.h"

struct fileh;
struct mapping;

/* A block was touched that is EMPTY: what is to be read with it, and after it. */
struct ahead_plan {
        uint64_t first; /* these blocks, itself among them, at once, if that can be */
        uint64_t n;
        struct stream_plan rest; /* the others in the background */
};

void ahead_on_miss(struct mapping *mapping, uint64_t block, bool write, struct ahead_plan *ret_plan);

/* Is it a block that tells how far a thread is? Then it was read ahead, perhaps, but is not to be shown before it is touched: */
bool ahead_is_trap(const struct fileh *fileh, uint64_t block);
void ahead_on_trap(struct mapping *mapping, uint64_t block);

/* Begins to read the rest. is_alone: the block was not read with its neighbours, they are of the rest, too. */
void ahead_begin(struct mapping *mapping, const struct ahead_plan *plan, bool is_alone);

/* Nothing is read for that mapping any more. */
void ahead_forget_mapping(struct fileh *fileh, const struct mapping *mapping);

#endif
