/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdlib.h>

#include "account.h"

#define PEERS_DEFAULT_MAX 1024u
#define HANDLES_DEFAULT_MAX 16384u /* each has mappings of the daemon's own, of which a process has some 65000 (vm.max_map_count) */
#define MAPPINGS_DEFAULT UINT64_C(262144)
#define FAILED_PAGES_DEFAULT UINT64_C(65536)
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
                },
        };
}

void accounts_init(struct accounts *accounts, const struct account_limits *limits) {
        accounts->limits = *limits;
        for (unsigned i = 0; i < ACCOUNT_BUCKETS; i++)
                LIST_INIT(&accounts->buckets[i]);
}

struct account *account_get(struct accounts *accounts, uid_t uid) {
        unsigned bucket = uid % ACCOUNT_BUCKETS;
        struct account *account;

        LIST_FOREACH(account, &accounts->buckets[bucket], entry)
                if (account->uid == uid) {
                        account->n_refs++;
                        return account;
                }
        account = calloc(1, sizeof(*account));
        if (!account)
                return NULL;
        account->accounts = accounts;
        account->uid = uid;
        account->n_refs = 1;
        LIST_INSERT_HEAD(&accounts->buckets[bucket], account, entry);
        return account;
}

void account_put(struct account *account) {
        if (--account->n_refs > 0)
                return;
        for (unsigned i = 0; i < N_ACCOUNT_ITEMS; i++)
                assert(account->n[i] == 0);
        LIST_REMOVE(account, entry);
        free(account);
}

void account_add(struct account *account, enum account_item item, uint64_t n) {
        account->n[item] += n;
}

void account_sub(struct account *account, enum account_item item, uint64_t n) {
        assert(account->n[item] >= n);
        account->n[item] -= n;
}

uint64_t account_left(const struct account *account, enum account_item item) {
        uint64_t max = account->accounts->limits.max[item];

        return account->n[item] < max ? max - account->n[item] : 0;
}

bool account_is_over(const struct account *account, enum account_item item) {
        return account->n[item] > account->accounts->limits.max[item];
}

bool account_may_warn(struct account *account, enum account_item item) {
        bool may = !account->has_warned[item];

        account->has_warned[item] = true;
        return may;
}
