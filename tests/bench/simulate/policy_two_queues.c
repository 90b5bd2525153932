/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Policies of two queues, as far as a pager can have them: a new block goes to the first; one that comes back while it is remembered goes to the main one.
 * As nobody sees hits, both queues are FIFOs. They differ in sizes and in what is remembered:
 *   2q    a quarter for the new; half a pool of those that left the first queue is remembered
 *   s3    a tenth for the new; as many as the main queue has room for
 *   lirs  a hundredth for the new; all that were loaded after the oldest block of the main queue: those that come back sooner than it did
 */

#include <errno.h>

#include "links.h"
#include "sim.h"

struct two {
        struct sim *sim;
        uint32_t n_first;      /* blocks the first queue has by right */
        uint64_t n_remembered; /* drops; 0: as "lirs" does */
        struct link *of;
        struct links first;
        struct links main;
        uint64_t *loaded;  /* the number of the load of each block; 0: never */
        uint64_t *dropped; /* the number of the drop of each block from the first queue; 0: none */
        bool *is_main;
        uint64_t n_loads;
        uint64_t n_drops;
};

static void two_free(void *arg) {
        struct two *self = arg;

        free(self->of);
        free(self->loaded);
        free(self->dropped);
        free(self->is_main);
        free(self);
}

static int two_new(struct sim *sim, uint32_t n_first, uint64_t n_remembered, void **ret) {
        struct two *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct two){ .sim = sim,
                              .n_first = n_first > 0 ? n_first : 1,
                              .n_remembered = n_remembered,
                              .of = calloc(sim->n_blocks, sizeof(*self->of)),
                              .loaded = calloc(sim->n_blocks, sizeof(*self->loaded)),
                              .dropped = calloc(sim->n_blocks, sizeof(*self->dropped)),
                              .is_main = calloc(sim->n_blocks, sizeof(*self->is_main)) };
        if (!self->of || !self->loaded || !self->dropped || !self->is_main) {
                two_free(self);
                return -ENOMEM;
        }
        links_init(&self->first, self->of);
        links_init(&self->main, self->of);
        *ret = self;
        return 0;
}

static int two_queues_new(struct sim *sim, void **ret) {
        return two_new(sim, sim->n_pool / 4, sim->n_pool / 2, ret);
}

static int s3_new(struct sim *sim, void **ret) {
        return two_new(sim, sim->n_pool / 10, sim->n_pool - sim->n_pool / 10, ret);
}

static int lirs_new(struct sim *sim, void **ret) {
        return two_new(sim, sim->n_pool / 100, 0, ret);
}

static bool two_remembers(const struct two *self, uint32_t block) {
        if (self->n_remembered == 0)
                return self->main.n > 0 && self->loaded[block] > self->loaded[self->main.last];
        return self->dropped[block] > 0 && self->n_drops - self->dropped[block] < self->n_remembered;
}

static void two_make_room(struct two *self) {
        uint32_t block;

        if (self->first.n >= self->n_first || self->main.n == 0) {
                block = links_pop(&self->first);
                self->dropped[block] = ++self->n_drops;
        } else {
                block = links_pop(&self->main);
                self->is_main[block] = false;
                self->dropped[block] = 0;
        }
        sim_drop(self->sim, block);
}

/* "lirs" has to begin somehow: until the pool is full, all are main. */
static void two_fault(void *arg, uint32_t block, enum sim_where where) {
        struct two *self = arg;
        bool to_main = two_remembers(self, block) || (self->n_remembered == 0 && !sim_is_full(self->sim));

        (void) where;
        if (sim_is_full(self->sim))
                two_make_room(self);
        self->loaded[block] = ++self->n_loads;
        self->is_main[block] = to_main;
        links_push(to_main ? &self->main : &self->first, block);
}

const struct sim_policy policy_two_queues = { .name = "2q", .title = "2Q", .new = two_queues_new, .free = two_free, .fault = two_fault };
const struct sim_policy policy_s3 = { .name = "s3", .title = "S3-FIFO", .new = s3_new, .free = two_free, .fault = two_fault };
const struct sim_policy policy_lirs = { .name = "lirs", .title = "LIRS", .new = lirs_new, .free = two_free, .fault = two_fault };
