/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ghosts.h"

int ghosts_init(struct ghosts *ghosts, uint32_t n) {
        ghosts->n_buckets = n / GHOSTS_BUCKET + 1;
        ghosts->buckets = calloc(ghosts->n_buckets, sizeof(*ghosts->buckets));
        return ghosts->buckets ? 0 : -ENOMEM;
}

void ghosts_fini(struct ghosts *ghosts) {
        free(ghosts->buckets);
        *ghosts = (struct ghosts){ 0 };
}

static struct ghost *ghosts_bucket(const struct ghosts *ghosts, uint64_t hash) {
        return ghosts->buckets[(hash >> 32) * ghosts->n_buckets >> 32];
}

static uint16_t ghosts_tag(uint64_t hash) {
        return (uint16_t) hash ? (uint16_t) hash : 1;
}

void ghosts_add(struct ghosts *ghosts, uint64_t hash, uint16_t when) {
        struct ghost *bucket = ghosts_bucket(ghosts, hash);

        memmove(&bucket[1], &bucket[0], (GHOSTS_BUCKET - 1) * sizeof(*bucket));
        bucket[0] = (struct ghost){ .tag = ghosts_tag(hash), .when = when };
}

bool ghosts_take(struct ghosts *ghosts, uint64_t hash, uint16_t *ret_when) {
        struct ghost *bucket = ghosts_bucket(ghosts, hash);

        for (unsigned i = 0; i < GHOSTS_BUCKET; i++)
                if (bucket[i].tag == ghosts_tag(hash)) {
                        *ret_when = bucket[i].when;
                        memmove(&bucket[i], &bucket[i + 1], (GHOSTS_BUCKET - 1 - i) * sizeof(*bucket));
                        bucket[GHOSTS_BUCKET - 1].tag = 0;
                        return true;
                }
        return false;
}
