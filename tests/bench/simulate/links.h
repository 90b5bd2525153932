/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SIM_LINKS_H
#define SIM_LINKS_H

/* Lists of blocks, by their numbers. A block is on one list at most. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LINKS_NONE UINT32_MAX

struct link {
        uint32_t prev;
        uint32_t next;
};

struct links {
        struct link *of; /* each block's */
        uint32_t first;  /* came last */
        uint32_t last;
        uint32_t n;
};

/* All lists over the same blocks share the links; who made them frees them. */
static inline void links_init(struct links *list, struct link *of) {
        *list = (struct links){ .of = of, .first = LINKS_NONE, .last = LINKS_NONE };
}

static inline void links_push(struct links *list, uint32_t block) {
        list->of[block] = (struct link){ .prev = LINKS_NONE, .next = list->first };
        if (list->first != LINKS_NONE)
                list->of[list->first].prev = block;
        else
                list->last = block;
        list->first = block;
        list->n++;
}

static inline void links_push_last(struct links *list, uint32_t block) {
        list->of[block] = (struct link){ .prev = list->last, .next = LINKS_NONE };
        if (list->last != LINKS_NONE)
                list->of[list->last].next = block;
        else
                list->first = block;
        list->last = block;
        list->n++;
}

static inline void links_remove(struct links *list, uint32_t block) {
        struct link link = list->of[block];

        if (link.prev != LINKS_NONE)
                list->of[link.prev].next = link.next;
        else
                list->first = link.next;
        if (link.next != LINKS_NONE)
                list->of[link.next].prev = link.prev;
        else
                list->last = link.prev;
        list->n--;
}

/* The list is not empty. */
static inline uint32_t links_pop(struct links *list) {
        uint32_t block = list->last;

        links_remove(list, block);
        return block;
}

#endif
