/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ARC as far as a pager can have it: blocks that were loaded once (t1), and those that came back while they were remembered (t2); of each those that left
 * (b1, b2). A block that comes back from b1 says that t1 should have been larger, one from b2 that t2 should. As nobody sees hits, all are FIFOs, and a
 * block gets into t2 by leaving alone.
 */

#include <errno.h>

#include "links.h"
#include "sim.h"

enum arc_list {
        ARC_NONE,
        ARC_T1,
        ARC_T2,
        ARC_B1,
        ARC_B2,
        N_ARC_LISTS,
};

struct arc {
        struct sim *sim;
        double target; /* of t1 */
        struct link *of;
        uint8_t *on; /* enum arc_list of each block */
        struct links lists[N_ARC_LISTS];
};

static void arc_free(void *arg) {
        struct arc *self = arg;

        free(self->of);
        free(self->on);
        free(self);
}

static int arc_new(struct sim *sim, void **ret) {
        struct arc *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct arc){ .sim = sim, .of = calloc(sim->n_blocks, sizeof(*self->of)), .on = calloc(sim->n_blocks, 1) };
        if (!self->of || !self->on) {
                arc_free(self);
                return -ENOMEM;
        }
        for (unsigned i = 0; i < N_ARC_LISTS; i++)
                links_init(&self->lists[i], self->of);
        *ret = self;
        return 0;
}

static void arc_move(struct arc *self, uint32_t block, enum arc_list to) {
        if (self->on[block] != ARC_NONE)
                links_remove(&self->lists[self->on[block]], block);
        self->on[block] = (uint8_t) to;
        if (to != ARC_NONE)
                links_push(&self->lists[to], block);
}

static void arc_make_room(struct arc *self, bool from_b2) {
        const struct links *t1 = &self->lists[ARC_T1], *t2 = &self->lists[ARC_T2];
        uint32_t block;

        if (t1->n > 0 && (t1->n > self->target || (from_b2 && t1->n >= self->target) || t2->n == 0)) {
                block = t1->last;
                arc_move(self, block, ARC_B1);
        } else {
                block = t2->last;
                arc_move(self, block, ARC_B2);
        }
        sim_drop(self->sim, block);
}

static void arc_adapt(struct arc *self, enum arc_list from) {
        double n1 = self->lists[ARC_B1].n, n2 = self->lists[ARC_B2].n;

        if (from == ARC_B1)
                self->target += n1 >= n2 ? 1 : n2 / n1;
        if (from == ARC_B2)
                self->target -= n2 >= n1 ? 1 : n1 / n2;
        if (self->target < 0)
                self->target = 0;
        if (self->target > self->sim->n_pool)
                self->target = self->sim->n_pool;
}

/* b1 and t1 together have as many as the pool, all together twice as many. */
static void arc_forget(struct arc *self) {
        while (self->lists[ARC_B1].n > 0 && self->lists[ARC_T1].n + self->lists[ARC_B1].n > self->sim->n_pool)
                arc_move(self, self->lists[ARC_B1].last, ARC_NONE);
        while (self->lists[ARC_B2].n > 0 && self->sim->n_resident + self->lists[ARC_B1].n + self->lists[ARC_B2].n > 2 * self->sim->n_pool)
                arc_move(self, self->lists[ARC_B2].last, ARC_NONE);
}

static void arc_fault(void *arg, uint32_t block, enum sim_where where) {
        struct arc *self = arg;
        enum arc_list from = self->on[block];

        (void) where;
        arc_adapt(self, from);
        if (sim_is_full(self->sim))
                arc_make_room(self, from == ARC_B2);
        arc_move(self, block, from == ARC_NONE ? ARC_T1 : ARC_T2);
        arc_forget(self);
}

const struct sim_policy policy_arc = { .name = "arc", .title = "ARC", .new = arc_new, .free = arc_free, .fault = arc_fault };
