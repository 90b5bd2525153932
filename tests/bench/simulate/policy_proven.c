/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The policy that the pager should have: two FIFOs, of what is new and of what has proven itself, and a memory of what left.
 *
 *   - A block that is loaded is new. When it leaves it is remembered (ghosts.h) for as long as a pool's worth of loads. One that is loaded while it is
 *     remembered is proven.
 *   - The new have a share of the pool by right. While they have more, the oldest new block leaves, else the oldest proven one.
 *   - The share grows by four blocks when one comes back that left the new lately, and shrinks when one does that left the proven lately: lately means that a
 *     sixteenth of a pool has left the same queue since.
 *   - While three of four of the proven that leave come back, they are as good as those that would replace them: then one in eight of these is let in, by
 *     groups of neighbours, and the rest are new once more. So most of a loop that does not fit stays; a FIFO would keep nothing.
 *   - While the pool is far from full, and the proven have not their part, new blocks are called proven: who comes first is rather popular, and need not come
 *     twice.
 *   - While next to nothing comes back (a loop much larger than the pool), one new block of sixteen is called proven, by groups too: so something stays.
 *
 * All of it knows nothing but loads and drops, and a page needs nothing but to be on one of two lists. A time is counted in units of a 256th of a pool's worth
 * of loads, and wraps. "proven-kept" unmaps a proven block that is to leave, and keeps it for a while in a tenth of the pool.
 */

#include <errno.h>

#include "ghosts.h"
#include "links.h"
#include "rng.h"
#include "sim.h"

#define PROVEN_UNITS 256 /* of time, in a pool's worth of loads */
#define PROVEN_WINDOW_DIVISOR 8 /* of a pool's worth of loads: how often what is counted is looked at */
#define PROVEN_LATELY_DIVISOR 16
#define PROVEN_NEW_DIVISOR 10 /* of the pool: the share of the new at first, and what they leave to others at the most */
#define PROVEN_NEW_MIN_DIVISOR 50
#define PROVEN_NEW_STEP 4 /* blocks */
#define PROVEN_FILL_ONE_IN 16
#define PROVEN_FILL_RARE 128 /* next to nothing comes back: less than one load in so many */
#define PROVEN_SPARE_DIVISOR 16 /* of the pool: the proven lack so much before they are filled; and so much is free if it is far from full */
#define PROVEN_LET_IN_ONE_IN 8
#define PROVEN_GROUP_SHIFT 6 /* neighbours: 64 blocks, aligned */
#define PROVEN_KEPT_DIVISOR 10
#define PROVEN_WAS_PROVEN 0x8000

enum proven_queue {
        PROVEN_NEW,
        PROVEN_PROVEN,
        PROVEN_KEPT,
        N_PROVEN_QUEUES,
};

/* What happened in this window, and faintly in earlier ones. */
struct proven_counts {
        uint32_t n_loads;
        uint32_t n_found; /* remembered when they were loaded */
        uint32_t n_dropped[2]; /* new, proven */
        uint32_t n_back; /* of the proven */
};

struct proven {
        struct sim *sim;
        uint32_t n_new_max; /* the share of the new */
        uint32_t n_kept_max;
        uint32_t unit; /* loads */
        uint32_t n_loads;
        struct proven_counts counts;
        uint32_t n_window; /* loads of this window */
        uint16_t lately[2]; /* new, proven: the time in which as many are dropped as lately means */
        bool is_filling;
        bool is_settled; /* most of the proven that leave come back */
        struct ghosts ghosts;
        struct link *of;
        struct links queues[N_PROVEN_QUEUES];
        uint8_t *queue_of; /* enum proven_queue of each block that is in RAM */
};

static void proven_free(void *arg) {
        struct proven *self = arg;

        ghosts_fini(&self->ghosts);
        free(self->queue_of);
        free(self->of);
        free(self);
}

static int proven_new_with(struct sim *sim, uint32_t n_kept_max, void **ret) {
        struct proven *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        *self = (struct proven){ .sim = sim,
                                 .n_new_max = sim->n_pool / PROVEN_NEW_DIVISOR + 1,
                                 .n_kept_max = n_kept_max,
                                 .unit = sim->n_pool / PROVEN_UNITS + 1,
                                 .of = calloc(sim->n_blocks, sizeof(*self->of)),
                                 .queue_of = calloc(sim->n_blocks, 1) };
        ghosts_init(&self->ghosts, sim->n_pool);
        if (!self->of || !self->queue_of) {
                proven_free(self);
                return -ENOMEM;
        }
        for (unsigned i = 0; i < N_PROVEN_QUEUES; i++)
                links_init(&self->queues[i], self->of);
        *ret = self;
        return 0;
}

static int proven_new(struct sim *sim, void **ret) {
        return proven_new_with(sim, 0, ret);
}

static int proven_kept_new(struct sim *sim, void **ret) {
        return proven_new_with(sim, sim->n_pool / PROVEN_KEPT_DIVISOR, ret);
}

static uint16_t proven_now(const struct proven *self) {
        return (uint16_t) (self->n_loads / self->unit);
}

static uint16_t proven_pool_time(const struct proven *self) {
        return (uint16_t) (self->sim->n_pool / self->unit);
}

static void proven_put(struct proven *self, uint32_t block, enum proven_queue queue) {
        self->queue_of[block] = (uint8_t) queue;
        links_push(&self->queues[queue], block);
}

static void proven_drop_oldest(struct proven *self, enum proven_queue queue) {
        uint32_t block = links_pop(&self->queues[queue]);
        uint16_t when = (uint16_t) (proven_now(self) & ~PROVEN_WAS_PROVEN);
        bool is_proven = queue != PROVEN_NEW;

        ghosts_add(&self->ghosts, rng_mix(block + 1), (uint16_t) (when | (is_proven ? PROVEN_WAS_PROVEN : 0)));
        self->counts.n_dropped[is_proven]++;
        sim_drop(self->sim, block);
}

static void proven_keep_oldest(struct proven *self) {
        uint32_t block = links_pop(&self->queues[PROVEN_PROVEN]);

        sim_keep(self->sim, block);
        proven_put(self, block, PROVEN_KEPT);
}

static void proven_make_room(struct proven *self) {
        const struct links *queues = self->queues;

        while (sim_is_full(self->sim)) {
                if (queues[PROVEN_NEW].n > 0 && (queues[PROVEN_NEW].n >= self->n_new_max || queues[PROVEN_PROVEN].n == 0))
                        proven_drop_oldest(self, PROVEN_NEW);
                else if (queues[PROVEN_KEPT].n > self->n_kept_max || queues[PROVEN_PROVEN].n == 0)
                        proven_drop_oldest(self, PROVEN_KEPT);
                else if (self->n_kept_max > 0)
                        proven_keep_oldest(self);
                else
                        proven_drop_oldest(self, PROVEN_PROVEN);
        }
}

static void proven_adapt(struct proven *self, bool was_proven) {
        uint32_t min = self->sim->n_pool / PROVEN_NEW_MIN_DIVISOR + 1, max = self->sim->n_pool - self->sim->n_pool / PROVEN_NEW_DIVISOR;

        if (was_proven)
                self->n_new_max -= self->n_new_max > min + PROVEN_NEW_STEP ? PROVEN_NEW_STEP : 0;
        else
                self->n_new_max += self->n_new_max + PROVEN_NEW_STEP < max ? PROVEN_NEW_STEP : 0;
}

/* Counts fade, by a quarter in each window. */
static void proven_fade(uint32_t *count) {
        *count -= *count / 4;
}

static void proven_look(struct proven *self) {
        struct proven_counts *counts = &self->counts;

        for (unsigned i = 0; i < 2; i++) {
                uint64_t lately = (uint64_t) proven_pool_time(self) * counts->n_loads / PROVEN_LATELY_DIVISOR / (counts->n_dropped[i] + 1);

                self->lately[i] = (uint16_t) (lately < proven_pool_time(self) ? lately : proven_pool_time(self));
        }
        self->is_filling = counts->n_found < counts->n_loads / PROVEN_FILL_RARE;
        self->is_settled = counts->n_back > counts->n_dropped[true] - counts->n_dropped[true] / 4;
        proven_fade(&counts->n_loads);
        proven_fade(&counts->n_found);
        proven_fade(&counts->n_dropped[false]);
        proven_fade(&counts->n_dropped[true]);
        proven_fade(&counts->n_back);
}

static void proven_count_load(struct proven *self) {
        self->n_loads++;
        self->counts.n_loads++;
        if (++self->n_window < self->sim->n_pool / PROVEN_WINDOW_DIVISOR)
                return;
        self->n_window = 0;
        proven_look(self);
}

static bool proven_has_spare(const struct proven *self) {
        uint32_t n_pool = self->sim->n_pool;

        return self->queues[PROVEN_PROVEN].n + self->n_new_max + n_pool / PROVEN_SPARE_DIVISOR < n_pool;
}

/* One chance in so many, for neighbours together: then what stays, and what has to be loaded again, are runs. Another time it is others' turn. */
static bool proven_is_lucky(const struct proven *self, uint32_t block, unsigned one_in) {
        uint32_t epoch = proven_now(self) / 16u;

        return rng_mix((uint64_t) epoch << 32 | block >> PROVEN_GROUP_SHIFT) % one_in == 0;
}

static bool proven_is_filled(const struct proven *self, uint32_t block) {
        uint32_t n_pool = self->sim->n_pool;

        if (self->sim->n_resident < n_pool - n_pool / PROVEN_SPARE_DIVISOR)
                return proven_has_spare(self);
        return self->is_filling && proven_is_lucky(self, block, PROVEN_FILL_ONE_IN);
}

static bool proven_is_let_in(const struct proven *self, uint32_t block) {
        return !self->is_settled || proven_has_spare(self) || proven_is_lucky(self, block, PROVEN_LET_IN_ONE_IN);
}

/* Whether the block was dropped not more than a pool's worth of loads ago. */
static bool proven_was_missed(struct proven *self, uint32_t block) {
        bool was_proven;
        uint16_t when, out;

        if (!ghosts_take(&self->ghosts, rng_mix(block + 1), &when))
                return false;
        was_proven = when & PROVEN_WAS_PROVEN;
        out = (uint16_t) ((proven_now(self) - when) & ~PROVEN_WAS_PROVEN);
        if (out > proven_pool_time(self))
                return false;
        self->counts.n_found++;
        self->counts.n_back += was_proven;
        if (out < self->lately[was_proven])
                proven_adapt(self, was_proven);
        return true;
}

static void proven_fault(void *arg, uint32_t block, enum sim_where where) {
        struct proven *self = arg;
        bool is_proven;

        if (where == SIM_KEPT) {
                links_remove(&self->queues[PROVEN_KEPT], block);
                proven_put(self, block, PROVEN_PROVEN);
                return;
        }
        proven_count_load(self);
        is_proven = proven_was_missed(self, block) ? proven_is_let_in(self, block) : proven_is_filled(self, block);
        proven_make_room(self);
        proven_put(self, block, is_proven ? PROVEN_PROVEN : PROVEN_NEW);
}

const struct sim_policy policy_proven = { .name = "proven", .title = "proven", .new = proven_new, .free = proven_free, .fault = proven_fault };

const struct sim_policy policy_proven_kept = {
        .name = "proven-kept", .title = "proven, a tenth kept", .new = proven_kept_new, .free = proven_free, .fault = proven_fault
};
