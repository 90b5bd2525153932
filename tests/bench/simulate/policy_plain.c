/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Policies of one list, and one without any. "fifo" is what LRU amounts to for a pager, which sees no hits; "lru" sees them all. "bimodal" lets a new block
 * leave next, but for one in 32: so most of a loop that does not fit stays. "unmap" unmaps the quarter that is to leave next: what is touched there is young
 * again, at the price of a fault: a clock, or LRU as near as one wants.
 */

#include <errno.h>

#include "links.h"
#include "rng.h"
#include "sim.h"

#define PLAIN_ONE_IN 32
#define PLAIN_KEPT_DIVISOR 4

struct plain {
        struct sim *sim;
        struct link *of;
        struct links mapped;
        struct links kept;
        uint32_t *blocks; /* those in RAM, in no order: for the random policy */
        uint64_t rng;
};

static void plain_free(void *arg) {
        struct plain *self = arg;

        free(self->of);
        free(self->blocks);
        free(self);
}

static int plain_new(struct sim *sim, void **ret) {
        struct plain *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct plain){ .sim = sim, .of = calloc(sim->n_blocks, sizeof(*self->of)), .blocks = calloc(sim->n_pool, sizeof(*self->blocks)) };
        if (!self->of || !self->blocks) {
                plain_free(self);
                return -ENOMEM;
        }
        links_init(&self->mapped, self->of);
        links_init(&self->kept, self->of);
        *ret = self;
        return 0;
}

static void plain_make_room(struct plain *self) {
        if (sim_is_full(self->sim))
                sim_drop(self->sim, links_pop(&self->mapped));
}

static void fifo_fault(void *arg, uint32_t block, enum sim_where where) {
        struct plain *self = arg;

        (void) where;
        plain_make_room(self);
        links_push(&self->mapped, block);
}

static void lru_hit(void *arg, uint32_t block) {
        struct plain *self = arg;

        links_remove(&self->mapped, block);
        links_push(&self->mapped, block);
}

static void bimodal_fault(void *arg, uint32_t block, enum sim_where where) {
        struct plain *self = arg;

        (void) where;
        plain_make_room(self);
        if (rng_next(&self->rng) % PLAIN_ONE_IN == 0)
                links_push(&self->mapped, block);
        else
                links_push_last(&self->mapped, block);
}

static void random_fault(void *arg, uint32_t block, enum sim_where where) {
        struct plain *self = arg;
        uint32_t i = self->sim->n_resident;

        (void) where;
        if (sim_is_full(self->sim)) {
                i = (uint32_t) (rng_next(&self->rng) % i);
                sim_drop(self->sim, self->blocks[i]);
        }
        self->blocks[i] = block;
}

static void unmap_fault(void *arg, uint32_t block, enum sim_where where) {
        struct plain *self = arg;

        if (where == SIM_KEPT)
                links_remove(&self->kept, block);
        else if (sim_is_full(self->sim))
                sim_drop(self->sim, links_pop(&self->kept));
        links_push(&self->mapped, block);
        while (self->mapped.n > self->sim->n_pool - self->sim->n_pool / PLAIN_KEPT_DIVISOR) {
                uint32_t oldest = links_pop(&self->mapped);

                sim_keep(self->sim, oldest);
                links_push(&self->kept, oldest);
        }
}

const struct sim_policy policy_fifo = { .name = "fifo", .title = "FIFO", .new = plain_new, .free = plain_free, .fault = fifo_fault };

const struct sim_policy policy_lru = {
        .name = "lru", .title = "LRU (sees hits)", .new = plain_new, .free = plain_free, .fault = fifo_fault, .hit = lru_hit
};

const struct sim_policy policy_bimodal = { .name = "bimodal", .title = "bimodal", .new = plain_new, .free = plain_free, .fault = bimodal_fault };

const struct sim_policy policy_random = { .name = "random", .title = "random", .new = plain_new, .free = plain_free, .fault = random_fault };

const struct sim_policy policy_unmap = {
        .name = "unmap", .title = "FIFO, a quarter unmapped", .new = plain_new, .free = plain_free, .fault = unmap_fault
};
