/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_COMMONS_H
#define BF_COMMONS_H

/*
 * What the pagers of a daemon have in common: the pool, what users have, which filehs there are; and how one pager tells another that something has changed
 * which that one waits for. Any thread may use it. A pager that is told so has a turn, soon, and looks for itself.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "counters.h"
#include "directory.h"
#include "latency.h"
#include "pool.h"
#include "roster.h"
#include "served.h"
#include "trace.h"

#define COMMONS_PAGERS_SHIFT 6
#define COMMONS_PAGERS_MAX (1u << COMMONS_PAGERS_SHIFT)

/* The number of something of a pager, such as clients know a handle by: which pager, and its number there. */
static inline uint32_t commons_number(unsigned pager, uint32_t id) {
        return id << COMMONS_PAGERS_SHIFT | pager;
}

static inline unsigned commons_number_pager(uint32_t number) {
        return number & (COMMONS_PAGERS_MAX - 1);
}

static inline uint32_t commons_number_id(uint32_t number) {
        return number >> COMMONS_PAGERS_SHIFT;
}

enum commons_poke {
        POKE_ROOM = 1u << 0,    /* there is room in the pool */
        POKE_QUOTA = 1u << 1,   /* some user has fewer dirty bytes */
        POKE_RECLAIM = 1u << 2, /* others need room, and it has what is to leave RAM first */
        POKE_TURN = 1u << 3,    /* some user has fewer bytes being loaded */
};

/* A pager as the others see it. */
struct commons_pager {
        _Alignas(64) atomic_int fd;  /* an eventfd that it waits for */
        atomic_uint pokes;           /* enum commons_poke */
        atomic_uint_fast64_t oldest;        /* the time, by pool_clock(), of the page that it would drop first, or park; COMMONS_NONE: there is none */
        atomic_uint_fast64_t oldest_parked; /* the same of the page that it would spill first */
        atomic_uint_fast64_t n_awaited;     /* bytes that the first of the loads needs that wait for room there; 0: none does */
        struct counters counters;           /* its own */
        _Atomic(const struct latencies *) latencies; /* the same */
        _Atomic(struct trace *) trace; /* where its events go; NULL: it has never been traced */
};

#define COMMONS_NONE UINT64_MAX

struct commons {
        struct pool pool;
        struct accounts accounts;
        struct roster roster;
        struct directory directory;
        struct served_list served;
        struct counters counters; /* the main thread's own */
        atomic_uint n_pagers;
        uint64_t began; /* by latency_now() */
        atomic_uint traced; /* a bit for each enum report_event_kind that somebody wants to hear of */
        atomic_uint_fast64_t room_waiters; /* a bit for each pager in which loads wait for room */
        atomic_bool is_reclaiming;         /* between the low and the high mark */
        atomic_uint_fast64_t n_spilling;   /* bytes on their way to the spill files */
        struct commons_pager pagers[COMMONS_PAGERS_MAX];
};

void commons_init(struct commons *commons, uint64_t pool_bytes, const struct account_limits *limits);
void commons_fini(struct commons *commons);

/* The sum over all threads. */
uint64_t commons_counter(const struct commons *commons, enum counter counter);

/* The same of how long things took. */
void commons_latency(const struct commons *commons, enum report_latency which, struct report_histogram *ret);

/* There is one more pager, woken through fd; they are numbered from 0. */
void commons_add_pager(struct commons *commons, int fd);

void commons_poke(struct commons *commons, unsigned pager, unsigned what);

/* Those whose bits are in the mask, but not the one that says so. */
void commons_poke_others(struct commons *commons, unsigned pager, uint64_t mask, unsigned what);

/* Bytes that are to be freed beyond what is free, so that of each pager the first load that waits for room has some. */
uint64_t commons_missing(const struct commons *commons);

/* What a pager was told since it last asked. */
unsigned commons_take_pokes(struct commons *commons, unsigned pager);

/* The pager that has the oldest page to drop, or to spill, among those that were not told to already and have not had a turn since; or COMMONS_PAGERS_MAX: none
 * has one. */
unsigned commons_oldest(struct commons *commons, bool is_to_spill);

#endif
