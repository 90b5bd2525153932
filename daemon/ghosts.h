/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_GHOSTS_H
#define BF_GHOSTS_H

/*
 * Ghosts: blocks that were dropped lately, when, and from where. Four bytes each. A block's place is a bucket of 16, a line of the CPU's cache, the latest
 * first: so one that comes pushes out one that is about as old as the table is long. 16 bits of the block's hash tell it from others: one in some thousands is
 * taken for another, which does no harm. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#define GHOSTS_BUCKET 16

struct ghost {
        uint16_t tag;  /* 0: none */
        uint16_t note; /* the caller's */
};

struct ghosts {
        struct ghost (*buckets)[GHOSTS_BUCKET]; /* NULL: none yet, or no memory */
        uint64_t n_buckets;
};

/* Room for n blocks at least. Takes its memory with the first one. */
void ghosts_init(struct ghosts *ghosts, uint64_t n);
void ghosts_fini(struct ghosts *ghosts);

/* hash: of whatever names the block, all its bits in play. Without memory nothing is remembered. */
void ghosts_add(struct ghosts *ghosts, uint64_t hash, uint16_t note);

/* Forgets it as well. False: it is not there. */
bool ghosts_take(struct ghosts *ghosts, uint64_t hash, uint16_t *ret_note);

#endif
