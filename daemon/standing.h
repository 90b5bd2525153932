/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STANDING_H
#define BF_STANDING_H

/* Who of the pagers is to make room: the one whose pages were not used for the longest. Each lets the others know how old its own are. */

#include <stdbool.h>

struct pager;

/* Lets the others know. */
void standing_publish(struct pager *pager);

/* Somebody waits for room that this pager cannot make: the one that has the oldest page to drop is told, or else the one that has the oldest to spill. */
void standing_ask_others(struct pager *pager);

/* Has another one pages to spill that are older than this one's? It is told. */
bool standing_is_others_to_spill(struct pager *pager);

#endif
