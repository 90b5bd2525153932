/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGEMAP_H
#define BF_PAGEMAP_H

/*
 * From the number of a block to its page, for one fileh. The keys are the words of the ledger (block, state, errno: ledger.h), so the table that the
 * daemon searches is the one that clients read; beside it lies a private table of page numbers. Its size follows what is resident.
 * Pure: where the tables of words come from is the business of struct pagemap_memory.
 */

#include <stdbool.h>

#include "ledger.h"

struct pagemap_memory {
        struct ledger_header *header;
        /* A zeroed table of that many words. The one before it is in use until table_put(). */
        int (*table_get)(struct pagemap_memory *memory, uint64_t capacity, uint64_t **ret_words);
        void (*table_put)(struct pagemap_memory *memory, uint64_t capacity, uint64_t *words);
};

struct pagemap {
        struct pagemap_memory *memory; /* borrowed */
        uint64_t *words;
        uint32_t *ids; /* ids[i] is the page of words[i] */
        uint64_t capacity;
        uint64_t n_used;
        uint64_t table; /* how many tables there have been, this one included */
        bool is_beside; /* the ledger names another table */
};

int pagemap_init(struct pagemap *map, struct pagemap_memory *memory);
void pagemap_fini(struct pagemap *map);

/* The same beside a table that the ledger has already, with place for n blocks. The ledger goes on naming the other one until pagemap_take_over():
 * whoever looks, and whenever this process ends, one of the two is complete. */
int pagemap_init_beside(struct pagemap *map, struct pagemap_memory *memory, uint64_t n);
void pagemap_take_over(struct pagemap *map);

/* The page of a block, or 0. */
uint32_t pagemap_get(const struct pagemap *map, uint64_t block);

/* Adds a block that is not there. -ENOMEM. */
int pagemap_add(struct pagemap *map, uint64_t block, uint32_t id, enum page_state state);

/* Publishes the state (and errno) of a block that is there: one store, seen by clients at once. */
void pagemap_set(struct pagemap *map, uint64_t block, enum page_state state, int error);

/* Removes a block that is there. */
void pagemap_remove(struct pagemap *map, uint64_t block);

/* A walk over all pages that may rest between steps while pages come and go: it meets each page that is there all the time, some perhaps twice. */
struct pagemap_cursor {
        uint64_t table; /* 0: begin */
        uint64_t start;
        uint64_t n_left;
};

/* The next page, or 0 at the end. */
uint32_t pagemap_walk(const struct pagemap *map, struct pagemap_cursor *cursor);

#endif
