/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>

#include "figures.h"
#include "health.h"

/* The pool is in trouble when so many per cent of it are dirty: clean pages are few, and nothing else can make room but spilling. */
#define HEALTH_DIRTY_PERCENT 90

/* And spilling is no help when its files have reached so many per cent of their limit. */
#define HEALTH_SPILL_PERCENT 90

uint64_t health_dirty_in_pool(const struct report_stats *stats) {
        return stats->dirty_bytes > stats->spilled_bytes ? stats->dirty_bytes - stats->spilled_bytes : 0;
}

static bool health_can_spill(const struct report_stats *stats) {
        return stats->spill_limit_bytes > 0 && figures_percent(stats->spill_file_bytes, stats->spill_limit_bytes) < HEALTH_SPILL_PERCENT;
}

static bool health_is_all_dirty(const struct report_stats *stats) {
        return !health_can_spill(stats) && figures_percent(health_dirty_in_pool(stats), stats->pool_bytes) >= HEALTH_DIRTY_PERCENT;
}

static bool health_is_held(const struct report_stats *stats) {
        return stats->pagers_held > 0;
}

static const struct {
        struct health health;
        bool (*is_so)(const struct report_stats *stats);
} health_table[HEALTH_MAX] = {
        { { "nearly-all-dirty", "the pool is nearly full of changes; who needs room waits until they are written out or discarded" }, health_is_all_dirty },
        { { "pager-held", "a thread that answers page faults waits in the kernel for memory that a client holds; that client's user waits" }, health_is_held },
};

unsigned health_look(const struct report_stats *stats, struct health ret[static HEALTH_MAX]) {
        unsigned n = 0;

        for (unsigned i = 0; i < HEALTH_MAX; i++)
                if (health_table[i].is_so(stats))
                        ret[n++] = health_table[i].health;
        return n;
}
