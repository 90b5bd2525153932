/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_IDTABLE_H
#define BF_IDTABLE_H

/* Small numbers for pointers: 1, 2, 3, …; 0 is never given. A number is given again once it is free, the last freed one last. */

#include <stdint.h>

struct idtable {
        struct idtable_slot *slots;
        uint32_t n_slots;
        uint32_t free_first; /* queue of free slots, 0: empty */
        uint32_t free_last;
        uint32_t n_used;
};

void idtable_init(struct idtable *table);
void idtable_fini(struct idtable *table);

/* The new number, or 0 if there is no memory. */
uint32_t idtable_add(struct idtable *table, void *pointer);
void idtable_remove(struct idtable *table, uint32_t id);

/* NULL for a number that is not in use. */
void *idtable_get(const struct idtable *table, uint32_t id);

/* The next number in use after id (0: the first), or 0. */
uint32_t idtable_next(const struct idtable *table, uint32_t id);

#endif
