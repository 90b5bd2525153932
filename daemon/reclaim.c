/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>

#include "drop.h"
#include "fileh.h"
#include "pager.h"
#include "reclaim.h"

/* A dirty page at the end of the order of use steps out of it, so that none is looked at twice; a page being loaded is in use. True: it was such a
 * one. */
static bool reclaim_pass_over(struct fileh *fileh, uint32_t id, const struct page *page) {
        if (!state_is_dirty(page->state)) {
                fileh_touch(fileh, id);
                return true;
        }
        fileh_park(fileh, id);
        return false;
}

uint64_t reclaim_batch(struct pager *pager, uint64_t bytes) {
        uint32_t n_loading = 0, n_pages = pager->lru.n, n_dropped = 0;
        uint64_t n_bytes = 0;
        struct drop drop;

        drop_init(&drop, pager);
        while (n_loading < n_pages && n_dropped < pager->options.reclaim_batch && n_bytes < bytes && pager->lru.last) {
                uint32_t id = pager->lru.last;
                struct page *page = pages_get(&pager->pages, id);
                struct fileh *fileh = idtable_get(&pager->filehs, page->fileh);

                if (!state_is_clean(page->state)) {
                        n_loading += reclaim_pass_over(fileh, id, page);
                        continue;
                }
                drop_add(&drop, fileh, id, EVENT_EVICT, 0);
                fileh->n_evictions++;
                n_dropped++;
                n_bytes += fileh->block_size;
        }
        drop_flush(&drop);
        pool_count(pager->pool, POOL_EVICTIONS, n_dropped);
        return n_bytes;
}

bool reclaim_continue(struct pager *pager) {
        uint64_t missing = pool_missing(pager->pool);

        if (pool_is_low(pager->pool))
                pager->is_reclaiming = true;
        if (missing == 0)
                pager->is_reclaiming = false;
        if (pager->is_reclaiming && reclaim_batch(pager, missing) == 0)
                pager->is_reclaiming = false; /* nothing clean is left: a fault begins it anew, and what is dirty may be spilled (spill.c) */
        return pager->is_reclaiming;
}
