/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <unistd.h>

#include "commons.h"

void commons_init(struct commons *commons, uint64_t pool_bytes, const struct account_limits *limits) {
        pool_init(&commons->pool, pool_bytes);
        accounts_init(&commons->accounts, limits);
        roster_init(&commons->roster);
        directory_init(&commons->directory);
        served_list_init(&commons->served);
        counters_init(&commons->counters);
        atomic_init(&commons->n_pagers, 0);
        commons->began = latency_now();
        atomic_init(&commons->traced, 0);
        atomic_init(&commons->room_waiters, 0);
        atomic_init(&commons->is_reclaiming, false);
        atomic_init(&commons->n_spilling, 0);
        for (unsigned i = 0; i < COMMONS_PAGERS_MAX; i++) {
                atomic_init(&commons->pagers[i].fd, -1);
                atomic_init(&commons->pagers[i].pokes, 0);
                atomic_init(&commons->pagers[i].oldest, COMMONS_NONE);
                atomic_init(&commons->pagers[i].oldest_parked, COMMONS_NONE);
                atomic_init(&commons->pagers[i].n_awaited, 0);
                counters_init(&commons->pagers[i].counters);
                atomic_init(&commons->pagers[i].latencies, NULL);
                atomic_init(&commons->pagers[i].trace, NULL);
        }
}

void commons_fini(struct commons *commons) {
        for (unsigned i = 0; i < COMMONS_PAGERS_MAX; i++)
                trace_free(atomic_load(&commons->pagers[i].trace));
        served_list_fini(&commons->served);
        directory_fini(&commons->directory);
        roster_fini(&commons->roster);
        accounts_fini(&commons->accounts);
}

uint64_t commons_counter(const struct commons *commons, enum counter counter) {
        unsigned n = atomic_load(&commons->n_pagers);
        uint64_t sum = counters_get(&commons->counters, counter);

        for (unsigned i = 0; i < n; i++)
                sum += counters_get(&commons->pagers[i].counters, counter);
        return sum;
}

void commons_latency(const struct commons *commons, enum report_latency which, struct report_histogram *ret) {
        unsigned n = atomic_load(&commons->n_pagers);

        *ret = (struct report_histogram) { .sum_nsec = 0 };
        for (unsigned i = 0; i < n; i++)
                latency_sum_up(atomic_load(&commons->pagers[i].latencies), which, ret);
}

void commons_add_pager(struct commons *commons, int fd) {
        unsigned n = atomic_load(&commons->n_pagers);

        atomic_store(&commons->pagers[n].fd, fd);
        atomic_store(&commons->n_pagers, n + 1);
}

/* Who has been told, and has not looked yet, looks at all of it. */
void commons_poke(struct commons *commons, unsigned pager, unsigned what) {
        struct commons_pager *p = &commons->pagers[pager];

        if (atomic_fetch_or(&p->pokes, what) == 0)
                (void) !write(atomic_load(&p->fd), &(uint64_t) { 1 }, sizeof(uint64_t)); /* full only if it was written to 2^64 times already */
}

void commons_poke_others(struct commons *commons, unsigned pager, uint64_t mask, unsigned what) {
        for (mask &= ~(UINT64_C(1) << pager); mask != 0; mask &= mask - 1)
                commons_poke(commons, (unsigned) __builtin_ctzll(mask), what);
}

uint64_t commons_missing(const struct commons *commons) {
        uint64_t free = pool_free(&commons->pool), awaited = 0;

        for (uint64_t mask = atomic_load(&commons->room_waiters); mask != 0; mask &= mask - 1)
                awaited += atomic_load_explicit(&commons->pagers[__builtin_ctzll(mask)].n_awaited, memory_order_relaxed);
        return awaited > free ? awaited - free : 0;
}

unsigned commons_take_pokes(struct commons *commons, unsigned pager) {
        struct commons_pager *p = &commons->pagers[pager];

        if (atomic_load_explicit(&p->pokes, memory_order_relaxed) == 0)
                return 0;
        return atomic_exchange(&p->pokes, 0);
}

unsigned commons_oldest(struct commons *commons, bool is_to_spill) {
        unsigned n = atomic_load(&commons->n_pagers), found = COMMONS_PAGERS_MAX;
        uint64_t oldest = COMMONS_NONE;

        for (unsigned i = 0; i < n; i++) {
                struct commons_pager *p = &commons->pagers[i];
                uint64_t time = atomic_load_explicit(is_to_spill ? &p->oldest_parked : &p->oldest, memory_order_relaxed);

                if (time < oldest && !(atomic_load_explicit(&p->pokes, memory_order_relaxed) & POKE_RECLAIM)) {
                        oldest = time;
                        found = i;
                }
        }
        return found;
}
