/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdlib.h>

#include "account.h"

#define PEERS_DEFAULT_MAX 1024u
#define HANDLES_DEFAULT_MAX 16384u /* each has mappings of the daemon's own, of which a process has some 65000 (vm.max_map_count) */
#define MAPPINGS_DEFAULT UINT64_C(262144)
#define FAILED_PAGES_DEFAULT UINT64_C(65536)
#define REPLY_FDS_DEFAULT_MAX 1024u
#define SHARE_MIN 4u

/* A peer has two descriptors, a handle up to seven: a sixteenth of all for each makes half for one user. */
static uint64_t account_share(uint64_t n_descriptors, uint64_t max) {
        uint64_t share = n_descriptors / 16;

        if (share < SHARE_MIN)
                return SHARE_MIN;
        return share < max ? share : max;
}

void account_limits_default(struct account_limits *limits, uint64_t n_descriptors) {
        *limits = (struct account_limits) {
                .max = {
                        [ACCOUNT_PEERS] = account_share(n_descriptors, PEERS_DEFAULT_MAX),
                        [ACCOUNT_HANDLES] = account_share(n_descriptors, HANDLES_DEFAULT_MAX),
                        [ACCOUNT_MAPPINGS] = MAPPINGS_DEFAULT,
                        [ACCOUNT_DIRTY_BYTES] = ACCOUNT_NO_LIMIT,
                        [ACCOUNT_FAILED_PAGES] = FAILED_PAGES_DEFAULT,
                        [ACCOUNT_REPLY_FDS] = account_share(n_descriptors, REPLY_FDS_DEFAULT_MAX),
                        [ACCOUNT_LOADING_BYTES] = ACCOUNT_NO_LIMIT,
                        [ACCOUNT_LOADING_SERVED_BYTES] = ACCOUNT_NO_LIMIT,
                },
        };
}

void accounts_set_limits(struct accounts *accounts, const struct account_limits *limits) {
        for (unsigned i = 0; i < N_ACCOUNT_ITEMS; i++)
                atomic_store_explicit(&accounts->limits.max[i], limits->max[i], memory_order_relaxed);
}

void accounts_init(struct accounts *accounts, const struct account_limits *limits) {
        accounts_set_limits(accounts, limits);
        pthread_mutex_init(&accounts->mutex, NULL);
        for (unsigned i = 0; i < ACCOUNT_BUCKETS; i++)
                LIST_INIT(&accounts->buckets[i]);
}

void accounts_fini(struct accounts *accounts) {
        pthread_mutex_destroy(&accounts->mutex);
}

static struct account *account_find(struct accounts *accounts, uid_t uid) {
        struct account *account;

        LIST_FOREACH(account, &accounts->buckets[uid % ACCOUNT_BUCKETS], entry)
                if (account->uid == uid)
                        break;
        return account;
}

static struct account *account_new(struct accounts *accounts, uid_t uid) {
        struct account *account = calloc(1, sizeof(*account));

        if (!account)
                return NULL;
        account->accounts = accounts;
        account->uid = uid;
        for (unsigned i = 0; i < N_ACCOUNT_ITEMS; i++) {
                atomic_init(&account->n[i], 0);
                atomic_init(&account->has_warned[i], false);
                atomic_init(&account->waiting[i], 0);
        }
        LIST_INSERT_HEAD(&accounts->buckets[uid % ACCOUNT_BUCKETS], account, entry);
        return account;
}

struct account *account_get(struct accounts *accounts, uid_t uid) {
        struct account *account;

        pthread_mutex_lock(&accounts->mutex);
        account = account_find(accounts, uid);
        if (!account)
                account = account_new(accounts, uid);
        if (account)
                account->n_refs++;
        pthread_mutex_unlock(&accounts->mutex);
        return account;
}

void account_put(struct account *account) {
        struct accounts *accounts = account->accounts;
        bool is_last;

        pthread_mutex_lock(&accounts->mutex);
        is_last = --account->n_refs == 0;
        if (is_last)
                LIST_REMOVE(account, entry);
        pthread_mutex_unlock(&accounts->mutex);
        if (!is_last)
                return;
        for (unsigned i = 0; i < N_ACCOUNT_ITEMS; i++)
                assert(account_count(account, i) == 0);
        free(account);
}

void account_add(struct account *account, enum account_item item, uint64_t n) {
        atomic_fetch_add_explicit(&account->n[item], n, memory_order_relaxed);
}

void account_sub(struct account *account, enum account_item item, uint64_t n) {
        uint_fast64_t before = atomic_fetch_sub(&account->n[item], n);

        assert(before >= n);
        (void) before;
}

bool account_take(struct account *account, enum account_item item, uint64_t n, uint64_t max) {
        uint_fast64_t before = atomic_load(&account->n[item]);

        do
                if (before > 0 && (before > max || n > max - before))
                        return false;
        while (!atomic_compare_exchange_weak(&account->n[item], &before, before + n));
        return true;
}

uint64_t account_count(const struct account *account, enum account_item item) {
        return atomic_load(&account->n[item]);
}

uint64_t account_left(const struct account *account, enum account_item item) {
        uint64_t max = account->accounts->limits.max[item], n = account_count(account, item);

        return n < max ? max - n : 0;
}

bool account_is_over(const struct account *account, enum account_item item) {
        return account_count(account, item) > account->accounts->limits.max[item];
}

bool account_may_warn(struct account *account, enum account_item item) {
        return !atomic_exchange(&account->has_warned[item], true);
}
