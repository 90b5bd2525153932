/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SIM_GHOSTS_H
#define SIM_GHOSTS_H

/*
 * Ghosts: blocks that were dropped lately, when, and from which queue. Four bytes each. A block's place is a bucket of 16, a line of the CPU's cache, the
 * latest first: so one that comes pushes out one that is about as old as the table is long. 16 bits of the block's hash tell it from others: one in some
 * thousand is taken for another, which does no harm.
 */

#include <stdbool.h>
#include <stdint.h>

#define GHOSTS_BUCKET 16

struct ghost {
        uint16_t tag;  /* 0: none */
        uint16_t when; /* bit 15: it was proven; the rest: a time that wraps */
};

struct ghosts {
        struct ghost (*buckets)[GHOSTS_BUCKET];
        uint32_t n_buckets;
};

/* Room for n blocks at least. 0 or -ENOMEM. */
int ghosts_init(struct ghosts *ghosts, uint32_t n);
void ghosts_fini(struct ghosts *ghosts);

/* hash: of whatever names the block. */
void ghosts_add(struct ghosts *ghosts, uint64_t hash, uint16_t when);

/* Forgets it as well. False: it is not there. */
bool ghosts_take(struct ghosts *ghosts, uint64_t hash, uint16_t *ret_when);

#endif
