/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ACCOUNT_H
#define BF_ACCOUNT_H

/*
 * What one user has of the daemon, over all his clients, and how much of it he may have: so that nobody takes what others need. There is an account for
 * each user who has something, and none for others. It counts; what becomes of who asks for too much is up to the caller. Any thread may use it; two that
 * count at the same moment may both find that there is something left.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

enum account_item {
        ACCOUNT_PEERS,
        ACCOUNT_HANDLES,
        ACCOUNT_MAPPINGS,
        ACCOUNT_DIRTY_BYTES,
        ACCOUNT_FAILED_PAGES, /* that the daemon remembers */
        ACCOUNT_REPLY_FDS,    /* descriptors in replies that are not read */
        ACCOUNT_LOADING_BYTES,        /* of loads under way: how many he may have depends on the pool (turn.c) */
        ACCOUNT_LOADING_SERVED_BYTES, /* the same of files that processes serve */
        N_ACCOUNT_ITEMS,
};

#define ACCOUNT_NO_LIMIT UINT64_MAX
#define ACCOUNT_BUCKETS 64

struct account_limits {
        uint64_t max[N_ACCOUNT_ITEMS];
};

struct accounts {
        struct {
                atomic_uint_fast64_t max[N_ACCOUNT_ITEMS];
        } limits;
        pthread_mutex_t mutex; /* of who has an account, and of n_refs */
        LIST_HEAD(, account) buckets[ACCOUNT_BUCKETS]; /* -> account->entry */
};

struct account {
        struct accounts *accounts;
        LIST_ENTRY(account) entry;
        uid_t uid;
        unsigned n_refs;
        atomic_uint_fast64_t n[N_ACCOUNT_ITEMS];
        atomic_bool has_warned[N_ACCOUNT_ITEMS];
        atomic_uint_fast64_t waiting[N_ACCOUNT_ITEMS]; /* a bit for each pager where somebody waits for fewer (quota.c, turn.c) */
};

/* What no user needs to be refused by, and what leaves enough to others in a daemon that may have so many descriptors. */
void account_limits_default(struct account_limits *limits, uint64_t n_descriptors);

void accounts_init(struct accounts *accounts, const struct account_limits *limits);

/* Other limits from now on: who has more than they allow keeps it. */
void accounts_set_limits(struct accounts *accounts, const struct account_limits *limits);
void accounts_fini(struct accounts *accounts); /* nobody has one */

/* The account of a user, held until account_put(); NULL: no memory. */
struct account *account_get(struct accounts *accounts, uid_t uid);
void account_put(struct account *account);

void account_add(struct account *account, enum account_item item, uint64_t n);
void account_sub(struct account *account, enum account_item item, uint64_t n);

/* Adds n if he has no more than max then, or had nothing before: of those who try at the same moment just as many get it as there is something for. */
bool account_take(struct account *account, enum account_item item, uint64_t n, uint64_t max);

uint64_t account_count(const struct account *account, enum account_item item);

/* How much more he may have: 0 also when he has too much already. */
uint64_t account_left(const struct account *account, enum account_item item);

/* Has he more than he may? */
bool account_is_over(const struct account *account, enum account_item item);

/* True once in the life of an account: for saying so, but not again and again. */
bool account_may_warn(struct account *account, enum account_item item);

#endif
