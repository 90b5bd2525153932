/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_RANGE_H
#define BF_RANGE_H

/* Jobs over a range of blocks, or over what is dirty: dropping pages, and loading them. Each answers its request when it has ended. */

#include <stdint.h>

#include "pager.h"

struct fileh;

enum range_what {
        RANGE_CLEAN,         /* clean pages only */
        RANGE_ALL_BUT_DIRTY, /* also those being loaded, and those whose load failed */
        RANGE_ALL,
};

/* Pages of the blocks from first to before end are dropped, at the cost of those that are in RAM, not of the range. to may be NULL. -ENOMEM. */
int range_drop(struct fileh *fileh, uint64_t first, uint64_t end, enum range_what what, const struct reply_to *to);

/* Pages that are dirty now are dropped. */
int range_discard(struct fileh *fileh, const struct reply_to *to);

/* The blocks are brought into RAM; answered with the first error. */
int range_load(struct fileh *fileh, uint64_t first, uint64_t end, const struct reply_to *to);

/* The same without an answer, for at most half the pool. */
int range_prefetch(struct fileh *fileh, uint64_t first, uint64_t end);

/* Clean pages of any fileh are dropped, until so many bytes are free of them; what is missing is the next pager's to drop. */
int range_reclaim(struct pager *pager, const struct reclaim_ask *ask);

#endif
