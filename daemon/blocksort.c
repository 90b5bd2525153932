/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "blocksort.h"

/* Sorting so many takes less than a millisecond. */
#define BLOCKSORT_SLICE 4096

struct blocksort_slice {
        const uint64_t *next;
        const uint64_t *end;
};

void blocksort_init(struct blocksort *sort) {
        *sort = (struct blocksort) { 0 };
}

void blocksort_fini(struct blocksort *sort) {
        free(sort->blocks);
        free(sort->slices);
        blocksort_init(sort);
}

static int blocksort_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static void blocksort_sort_last_slice(struct blocksort *sort) {
        size_t first = (sort->n - 1) / BLOCKSORT_SLICE * BLOCKSORT_SLICE;

        qsort(sort->blocks + first, sort->n - first, sizeof(uint64_t), blocksort_compare);
}

int blocksort_add(struct blocksort *sort, uint64_t block) {
        assert(!sort->slices);
        if (sort->n == sort->n_room) {
                size_t n_room = sort->n_room ? sort->n_room * 2 : 64;
                uint64_t *blocks = reallocarray(sort->blocks, n_room, sizeof(*blocks));

                if (!blocks)
                        return -ENOMEM;
                sort->blocks = blocks;
                sort->n_room = n_room;
        }
        sort->blocks[sort->n++] = block;
        if (sort->n % BLOCKSORT_SLICE == 0)
                blocksort_sort_last_slice(sort);
        return 0;
}

static void blocksort_sift(struct blocksort *sort, size_t i) {
        for (;;) {
                size_t least = i;

                for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < sort->n_slices; child++)
                        if (*sort->slices[child].next < *sort->slices[least].next)
                                least = child;
                if (least == i)
                        return;
                struct blocksort_slice slice = sort->slices[i];
                sort->slices[i] = sort->slices[least];
                sort->slices[least] = slice;
                i = least;
        }
}

int blocksort_merge(struct blocksort *sort) {
        size_t n_slices = (sort->n + BLOCKSORT_SLICE - 1) / BLOCKSORT_SLICE;
        struct blocksort_slice *slices;

        if (n_slices == 0)
                return 0;
        slices = calloc(n_slices, sizeof(*slices));
        if (!slices)
                return -ENOMEM;
        if (sort->n % BLOCKSORT_SLICE != 0)
                blocksort_sort_last_slice(sort);
        for (size_t i = 0; i < n_slices; i++) {
                size_t end = (i + 1) * BLOCKSORT_SLICE;

                slices[i] = (struct blocksort_slice) { sort->blocks + i * BLOCKSORT_SLICE, sort->blocks + (end < sort->n ? end : sort->n) };
        }
        sort->slices = slices;
        sort->n_slices = n_slices;
        for (size_t i = n_slices / 2; i-- > 0;)
                blocksort_sift(sort, i);
        return 0;
}

bool blocksort_peek(const struct blocksort *sort, uint64_t *ret_block) {
        if (sort->n_slices == 0)
                return false;
        *ret_block = *sort->slices[0].next;
        return true;
}

void blocksort_pop(struct blocksort *sort) {
        assert(sort->n_slices > 0);
        if (++sort->slices[0].next == sort->slices[0].end)
                sort->slices[0] = sort->slices[--sort->n_slices];
        if (sort->n_slices > 0)
                blocksort_sift(sort, 0);
}
