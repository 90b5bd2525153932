/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fileh.h"
#include "pager.h"
#include "standing.h"

static void standing_publish_page(struct pager *pager, uint32_t id, uint32_t *published, atomic_uint_fast64_t *time) {
        uint64_t now = pool_clock(pager->pool);

        if (id != *published)
                atomic_store_explicit(time, id ? now - (uint16_t) (now - pages_get(&pager->pages, id)->age) : COMMONS_NONE, memory_order_relaxed);
        *published = id;
}

void standing_publish(struct pager *pager) {
        struct commons_pager *self = &pager->commons->pagers[pager->index];

        standing_publish_page(pager, order_victim(&pager->order), &pager->published, &self->oldest);
        standing_publish_page(pager, pager->spill.is_held ? 0 : pager->order.lists[ORDER_PARKED].first, &pager->published_parked, &self->oldest_parked);
}

static bool standing_tell(struct pager *pager, unsigned other) {
        if (other == COMMONS_PAGERS_MAX || other == pager->index)
                return false;
        commons_poke(pager->commons, other, POKE_RECLAIM);
        return true;
}

void standing_ask_others(struct pager *pager) {
        unsigned oldest;

        standing_publish(pager);
        oldest = commons_oldest(pager->commons, false);
        if (oldest == COMMONS_PAGERS_MAX)
                oldest = commons_oldest(pager->commons, true);
        (void) standing_tell(pager, oldest);
}

bool standing_is_others_to_spill(struct pager *pager) {
        standing_publish(pager);
        return standing_tell(pager, commons_oldest(pager->commons, true));
}
