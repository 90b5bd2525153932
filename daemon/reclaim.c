/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>

#include "drop.h"
#include "fileh.h"
#include "pager.h"
#include "reclaim.h"
#include "standing.h"

/* A dirty page that is to leave steps out of the order, so that none is looked at twice; a page being loaded stays, but is not to be met again. */
static void reclaim_pass_over(struct fileh *fileh, uint32_t id, const struct page *page) {
        if (state_is_dirty(page->state))
                fileh_park(fileh, id);
        else
                order_pass_over(&fileh->pager->order, id);
}

uint64_t reclaim_batch(struct pager *pager, uint64_t bytes) {
        uint32_t n_dropped = 0, id;
        uint64_t n_bytes = 0;
        struct drop drop;

        drop_init(&drop, pager);
        while (n_dropped < pager->options.reclaim_batch && n_bytes < bytes && (id = order_victim(&pager->order))) {
                struct page *page = pages_get(&pager->pages, id);
                struct fileh *fileh = idtable_get(&pager->filehs, page->fileh);

                if (!state_is_clean(page->state)) {
                        reclaim_pass_over(fileh, id, page);
                        continue;
                }
                fileh_forget_page(fileh, id);
                drop_add(&drop, fileh, id, EVENT_EVICT, 0);
                fileh->n_evictions++;
                n_dropped++;
                n_bytes += fileh->block_size;
        }
        drop_flush(&drop);
        pager_count(pager, COUNTER_EVICTIONS, n_dropped);
        return n_bytes;
}

/*
 * Whoever notices that the pool is low begins; the pager with the oldest page goes on, until another one's is older. When nothing clean is left it ends: a fault
 * begins it anew, and what is dirty may be spilled (spill.c).
 */
bool reclaim_continue(struct pager *pager) {
        struct commons *commons = pager->commons;
        uint64_t missing = commons_missing(commons);
        unsigned oldest;

        if (missing == 0 && !pool_is_low(pager->pool) && !atomic_load_explicit(&commons->is_reclaiming, memory_order_relaxed))
                return false;
        if (missing < pool_missing(pager->pool))
                missing = pool_missing(pager->pool);
        standing_publish(pager);
        oldest = missing > 0 ? commons_oldest(commons, false) : COMMONS_PAGERS_MAX;
        atomic_store_explicit(&commons->is_reclaiming, oldest < COMMONS_PAGERS_MAX, memory_order_relaxed);
        if (oldest == pager->index)
                (void) reclaim_batch(pager, missing); /* perhaps nothing but dirty pages, which are parked now */
        else if (oldest < COMMONS_PAGERS_MAX)
                commons_poke(commons, oldest, POKE_RECLAIM);
        return oldest == pager->index;
}
