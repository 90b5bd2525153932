/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BLOCKSORT_H
#define BF_BLOCKSORT_H

/* Block numbers in ascending order, sorted a slice at a time: no single call takes long, however many there are. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocksort {
        uint64_t *blocks;
        size_t n;
        size_t n_room;
        struct blocksort_slice *slices; /* a heap by the next block, once merging */
        size_t n_slices;
};

void blocksort_init(struct blocksort *sort);
void blocksort_fini(struct blocksort *sort);

/* -ENOMEM. Not after blocksort_merge(). */
int blocksort_add(struct blocksort *sort, uint64_t block);

/* All are in; they can be taken in order. -ENOMEM. */
int blocksort_merge(struct blocksort *sort);

/* The least one left; false: none is. */
bool blocksort_peek(const struct blocksort *sort, uint64_t *ret_block);
void blocksort_pop(struct blocksort *sort);

#endif
