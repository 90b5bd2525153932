/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_HELDFS_SHARED_H
#define BF_TEST_HELDFS_SHARED_H

/* What the test (heldfs.c) and the serving process (heldfs_server.c) share: one piece of memory under one lock. */

#include <pthread.h>

#include "heldfs.h"

#define HELDFS_RULES_MAX 64
#define HELDFS_HELD_MAX 128
#define HELDFS_EVENTS_MAX 65536

/* The name of the file in the directory where it is mounted. */
#define HELDFS_NAME "file"

enum heldfs_action {
        HELDFS_DO_HOLD,
        HELDFS_DO_FAIL,
        HELDFS_DO_SHORTEN,
};

struct heldfs_rule {
        enum heldfs_op op;
        enum heldfs_action action;
        uint64_t block;
        unsigned skip;
        unsigned times; /* left */
        size_t bytes;   /* HELDFS_DO_SHORTEN */
        int error;      /* HELDFS_DO_FAIL */
};

/* A request that waits to be let go. */
struct heldfs_held {
        bool used;
        bool released;
        enum heldfs_op op;
        uint64_t first, last; /* blocks */
};

struct heldfs_event {
        enum heldfs_op op;
        int error;
        uint64_t offset, length;
};

struct heldfs_shared {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        uint64_t size, capacity, block_size;
        struct heldfs_rule rules[HELDFS_RULES_MAX];
        unsigned n_rules;
        struct heldfs_held held[HELDFS_HELD_MAX];
        struct heldfs_event events[HELDFS_EVENTS_MAX];
        unsigned n_events;
        unsigned n_unanswered; /* requests that have come and are not answered yet */
        uint8_t *content; /* at the same address in both processes */
};

static inline bool heldfs_covers(uint64_t first, uint64_t last, uint64_t block) {
        return block == HELDFS_ANY || (block >= first && block <= last);
}

/* Mounts at dir, tells ready (takes) how that went with one int, and serves until it is killed. */
_Noreturn void heldfs_serve(struct heldfs_shared *shared, const char *dir, int ready, const struct heldfs_opts *opts);

#endif
