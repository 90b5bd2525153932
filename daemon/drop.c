/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "fileh.h"
#include "inject.h"
#include "log.h"
#include "pager.h"

void drop_init(struct drop *drop, struct pager *pager) {
        drop->pager = pager;
        drop->n = 0;
        drop->bytes = 0;
}

/* The ledger says that the page is gone before it goes: who finds content without a word for it knows that it is nothing. */
void drop_add(struct drop *drop, struct fileh *fileh, uint32_t id, enum page_event event, int error) {
        struct page *page = pages_get(&fileh->pager->pages, id);
        enum page_action action;

        drop->pages[drop->n].fileh = fileh;
        drop->pages[drop->n].block = page->block;
        drop->n++;
        drop->bytes += fileh_take_room(fileh, id);
        action = fileh_page_event(fileh, id, event, error);
        assert(action == ACTION_DROP);
        (void) action;
        if (drop->n == DROP_PAGES)
                drop_flush(drop);
}

static void drop_punch(struct fileh *fileh, uint64_t block, uint64_t n) {
        int r = memory_punch(&fileh->memory, block << fileh->block_shift, n << fileh->block_shift);

        if (r < 0)
                log_warning("cannot free %llu bytes of memory: %s (they stay in use beyond the pool)",
                            (unsigned long long) (n << fileh->block_shift), strerror(-r));
}

/* The room is given back when the memory is free, not before: another pager may take it at once. */
void drop_flush(struct drop *drop) {
        unsigned first = 0;

        if (drop->n > 0)
                INJECT(DROP_CALLED);
        qsort(drop->pages, drop->n, sizeof(drop->pages[0]), fileh_block_compare);
        for (unsigned i = 1; i <= drop->n; i++)
                if (i == drop->n || drop->pages[i].fileh != drop->pages[first].fileh ||
                    drop->pages[i].block != drop->pages[first].block + (i - first)) {
                        drop_punch(drop->pages[first].fileh, drop->pages[first].block, i - first);
                        first = i;
                }
        if (drop->n > 0)
                INJECT(DROP_PUNCHED);
        pager_give_room(drop->pager, drop->bytes);
        drop->n = 0;
        drop->bytes = 0;
}
