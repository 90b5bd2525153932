/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SIM_SIM_H
#define SIM_SIM_H

/*
 * Who leaves a pool when room is short: policies tried on traces.
 *
 * A pager learns of page faults and of nothing else. So a policy is told of a touch only if the block is not mapped, and cannot know how often one that is
 * mapped was touched meanwhile. It may unmap a block and keep it: the next touch is a fault then, of some microseconds, but needs no load. LRU and the
 * optimum see more than a pager can, and are there to compare with.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

enum sim_where {
        SIM_OUT,
        SIM_KEPT,   /* in RAM, not mapped */
        SIM_MAPPED, /* in RAM, and touched without a fault */
};

struct sim {
        const struct trace *trace;
        size_t at;         /* the touch under way; it is for those alone that know the future */
        uint32_t n_pool;   /* blocks there is room for */
        uint32_t n_blocks;
        uint8_t *where;    /* enum sim_where of each block; changed by the functions below alone */
        uint32_t n_resident;
        uint64_t n_loads;
        uint64_t n_refaults; /* of blocks that were kept */
};

struct sim_policy {
        const char *name;
        const char *title;
        int (*new)(struct sim *sim, void **ret);
        void (*free)(void *self);
        void (*fault)(void *self, uint32_t block, enum sim_where where); /* makes room for the block, if it was out; it is mapped afterwards */
        void (*hit)(void *self, uint32_t block);                         /* NULL, as it must be for a pager */
};

struct sim_result {
        double hits;     /* touches without a load, of all */
        double refaults; /* touches that found a block kept but not mapped, of all */
};

/* For policies. Unmaps a block; takes one out of RAM. */
void sim_keep(struct sim *sim, uint32_t block);
void sim_drop(struct sim *sim, uint32_t block);
bool sim_is_full(const struct sim *sim);

/* 0 or -ENOMEM. */
int sim_run(const struct sim_policy *policy, const struct trace *trace, uint32_t n_pool, struct sim_result *ret_result);

/* In the order in which they are reported; NULL after the last. */
extern const struct sim_policy *const sim_policies[];

extern const struct sim_policy policy_belady;
extern const struct sim_policy policy_lru;
extern const struct sim_policy policy_fifo;
extern const struct sim_policy policy_random;
extern const struct sim_policy policy_bimodal;
extern const struct sim_policy policy_unmap;
extern const struct sim_policy policy_two_queues;
extern const struct sim_policy policy_s3;
extern const struct sim_policy policy_lirs;
extern const struct sim_policy policy_arc;
extern const struct sim_policy policy_proven;
extern const struct sim_policy policy_proven_kept;

#endif
