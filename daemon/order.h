/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ORDER_H
#define BF_ORDER_H

/*
 * Which page leaves RAM first, of those of one pager. A page that is in RAM, or on its way, is on one of two lists, the new and the proven; or, if it is dirty and
 * has come to the end of its list, parked, to be spilled, or on none. What the rules are is said in order.c. Pure: it knows pages, not what they are of.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ghosts.h"
#include "page.h"

enum order_policy {
        ORDER_PROVEN, /* what is loaded again soon after it was dropped stays for longer than what is loaded once */
        ORDER_LRU,    /* what was not touched for the longest goes first, as far as touches are seen: those that fault */
        N_ORDER_POLICIES,
};

/* page->list */
enum order_list {
        ORDER_NOWHERE,
        ORDER_NEW,
        ORDER_KEPT, /* proven */
        ORDER_PARKED,
        N_ORDER_LISTS,
};

/* What happened in this window, and faintly in earlier ones. Pages of 4096 bytes. */
struct order_counts {
        uint64_t n_loads;
        uint64_t n_found;       /* remembered when they were loaded */
        uint64_t n_dropped[2];  /* new, proven */
        uint64_t n_back;        /* of the proven */
};

struct order {
        enum order_policy policy;
        struct pages *pages; /* borrowed */
        struct pagelist lists[N_ORDER_LISTS];
        uint64_t n[N_ORDER_LISTS];         /* bytes in them */
        uint32_t n_loading[N_ORDER_LISTS]; /* pages that are not there yet */

        /* What is learned. */
        struct ghosts ghosts;
        uint64_t size;    /* bytes that it has or could have */
        uint64_t new_max; /* bytes: the share of the new */
        uint64_t time;    /* in loads; shown in units */
        uint64_t unit;    /* loads */
        uint64_t n_window;
        struct order_counts counts;
        uint16_t lately[2];
        bool is_filling;
        bool is_settled;
};

/* The pool: its size, and what is free of it. */
struct order_room {
        uint64_t bytes;
        uint64_t free;
};

void order_init(struct order *order, struct pages *pages, enum order_policy policy, uint64_t pool_bytes);
void order_fini(struct order *order);
void order_set_policy(struct order *order, enum order_policy policy);

/* A page of so many bytes is to be loaded, or was just now. name: a number of its block's that it will have again, neighbours' numbers differing in their last bits only. age: the time now. */
void order_load(struct order *order, uint32_t id, uint64_t name, uint32_t bytes, uint16_t age, const struct order_room *room);

/* It waits for its load from now on; and no more. */
void order_begin_loading(struct order *order, uint32_t id);
void order_end_loading(struct order *order, uint32_t id);

/* A page that is there already. */
void order_enter(struct order *order, uint32_t id, uint32_t bytes, uint16_t age);

/* It was touched, and that was seen. */
void order_touch(struct order *order, uint32_t id, uint32_t bytes, uint16_t age);

/* It leaves its list, if it is on one; evicted: for want of room, and is remembered. */
void order_remove(struct order *order, uint32_t id, uint32_t bytes);
void order_evict(struct order *order, uint32_t id, uint64_t name, uint32_t bytes);

/* It is clean again and was on none of the first two lists. */
void order_return(struct order *order, uint32_t id, uint32_t bytes);

/* Dirty pages to be spilled, the one that waits for the longest first. is_oldest: it was there before. */
void order_park(struct order *order, uint32_t id, uint32_t bytes, bool is_oldest);

/* The page that leaves first, whatever its state; 0: there is none, or all are loading. */
uint32_t order_victim(const struct order *order);

/* It cannot, for now. */
void order_pass_over(struct order *order, uint32_t id);

const char *order_policy_name(enum order_policy policy);

#endif
