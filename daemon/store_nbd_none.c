/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In place of store_nbd.c, where there is no libnbd: there is no such store. */

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "store_nbd.h"

int store_nbd_new(struct pager *pager, const struct store_nbd_params *params, struct store **ret) {
        (void) pager;
        (void) params;
        (void) ret;
        return -EOPNOTSUPP;
}

void store_nbd_await(struct store *store, struct job *job) {
        (void) job;
        assert(!store);
}

int store_nbd_look(struct store *store, uint64_t block_size, uint64_t *ret_size) {
        (void) block_size;
        (void) ret_size;
        assert(!store);
        return -EOPNOTSUPP;
}
