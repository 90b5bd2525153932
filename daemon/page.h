/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGE_H
#define BF_PAGE_H

/*
 * Pages: what the pager remembers of a block that is in RAM or on its way. 32 bytes each, named by a number of 32 bits (0: none) and linked by such
 * numbers, so that a small page costs little. Lists of pages keep their order of insertion. Pure bookkeeping: no memory of clients, no kernel
 * feature.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"

struct page_links {
        uint32_t prev;
        uint32_t next;
};

struct page {
        uint64_t block : 48;
        uint64_t age : 16; /* the end of the time, by pool_clock(), when it was last touched */
        union {
                struct page_links order; /* order->lists[page->list] -> page->order */
                uint32_t unspill;      /* number of the load in pager->loads, while PAGE_UNSPILLING */
        };
        union {
                struct page_links dirty; /* fileh->dirty, storing or unsynced -> page->dirty, while state_is_dirty() or PAGE_UNSYNCED */
                uint32_t load;           /* number of the load in pager->loads, while PAGE_LOADING */
        };
        uint32_t fileh;  /* number in pager->filehs */
        uint16_t error;  /* why the load failed, while PAGE_FAILED, or PAGE_SPILLED if not 0 */
        uint8_t state;   /* enum page_state; assigned by fileh_set_state() alone */
        uint8_t list : 2;    /* enum order_list */
        bool is_proven : 1;  /* order.c */
        bool is_guess : 1;   /* DIRTY, but perhaps not written (guess.c) */
        bool has_room : 1;   /* its bytes are counted in the pool */
        bool is_seen : 1;    /* its content was found in the memory, while that is adopted */
};

/* All pages of one pager. */
struct pages {
        struct page **chunks;
        uint32_t n_chunks;
        uint32_t free; /* page->order.next links the free ones */
};

void pages_init(struct pages *pages);
void pages_fini(struct pages *pages);

/* The number of a new page, zeroed; 0 if there is no memory. */
uint32_t pages_new(struct pages *pages);
void pages_free(struct pages *pages, uint32_t id);
struct page *pages_get(const struct pages *pages, uint32_t id);

/* Which of its links a list goes through. */
enum pagelist_link {
        PAGELIST_ORDER,
        PAGELIST_DIRTY,
};

struct pagelist {
        uint32_t first;
        uint32_t last;
        uint32_t n;
        enum pagelist_link link;
};

void pagelist_init(struct pagelist *list, enum pagelist_link link);
void pagelist_push_first(struct pagelist *list, struct pages *pages, uint32_t id);
void pagelist_push_last(struct pagelist *list, struct pages *pages, uint32_t id);
void pagelist_remove(struct pagelist *list, struct pages *pages, uint32_t id);

/* Moves all of from to the end of list; from is empty then. Both go through the same links. */
void pagelist_append(struct pagelist *list, struct pages *pages, struct pagelist *from);

#endif
