/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_DROP_H
#define BF_DROP_H

/* Takes pages out of RAM, many at a time: neighbours leave with one system call. */

#include <stdint.h>

#include "fileh.h"

#define DROP_PAGES 64

struct pager;

struct drop {
        struct pager *pager;
        struct fileh_block pages[DROP_PAGES];
        unsigned n;
        uint64_t bytes; /* room of the pages that have left */
};

void drop_init(struct drop *drop, struct pager *pager);

/* Applies the event to a page whose state answers it with ACTION_DROP; its content leaves at the latest with drop_flush(), which must follow before
 * the pager looks at anything else. The fileh must live until then. */
void drop_add(struct drop *drop, struct fileh *fileh, uint32_t id, enum page_event event, int error);
void drop_flush(struct drop *drop);

#endif
