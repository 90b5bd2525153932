/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_RECLAIM_H
#define BF_RECLAIM_H

/* Clean pages leave RAM when there is no room, in the order that order.h knows. */

#include <stdint.h>

struct pager;

/* Drops clean pages until at least bytes are free of them, at most a batch. Returns the bytes dropped. */
uint64_t reclaim_batch(struct pager *pager, uint64_t bytes);

/* A batch in the background, if the pool is between its marks on the way up. True: more is to be done. */
bool reclaim_continue(struct pager *pager);

#endif
