/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The optimum: the block leaves that will be touched last. It knows the future, and no policy can have more hits. */

#include <errno.h>
#include <stdlib.h>

#include "sim.h"

struct belady {
        struct sim *sim;
        uint32_t *next;  /* the touch after each touch of the same block; UINT32_MAX: there is none */
        uint32_t *heap;  /* the blocks in RAM; the one that is touched last of all is first */
        uint32_t *place; /* of each block in the heap */
        uint32_t *due;   /* when each block in the heap is touched again */
        uint32_t n;
};

static void belady_free(void *arg) {
        struct belady *self = arg;

        free(self->next);
        free(self->heap);
        free(self->place);
        free(self->due);
        free(self);
}

static void belady_look_ahead(struct belady *self) {
        const struct trace *trace = self->sim->trace;

        for (uint32_t block = 0; block < self->sim->n_blocks; block++)
                self->due[block] = UINT32_MAX;
        for (size_t i = trace->n; i-- > 0;) {
                self->next[i] = self->due[trace->blocks[i]];
                self->due[trace->blocks[i]] = (uint32_t) i;
        }
}

static int belady_new(struct sim *sim, void **ret) {
        struct belady *self = calloc(1, sizeof(*self));

        if (!self)
                return -ENOMEM;
        self->sim = sim;
        self->next = calloc(sim->trace->n + 1, sizeof(*self->next));
        self->heap = calloc(sim->n_pool, sizeof(*self->heap));
        self->place = calloc(sim->n_blocks, sizeof(*self->place));
        self->due = calloc(sim->n_blocks, sizeof(*self->due));
        if (!self->next || !self->heap || !self->place || !self->due) {
                belady_free(self);
                return -ENOMEM;
        }
        belady_look_ahead(self);
        *ret = self;
        return 0;
}

static void belady_put(struct belady *self, uint32_t place, uint32_t block) {
        self->heap[place] = block;
        self->place[block] = place;
}

static void belady_sift_up(struct belady *self, uint32_t place, uint32_t block) {
        for (uint32_t parent; place > 0 && self->due[self->heap[parent = (place - 1) / 2]] < self->due[block]; place = parent)
                belady_put(self, place, self->heap[parent]);
        belady_put(self, place, block);
}

static void belady_sift_down(struct belady *self, uint32_t block) {
        uint32_t place = 0;

        for (uint32_t child; (child = 2 * place + 1) < self->n; place = child) {
                if (child + 1 < self->n && self->due[self->heap[child + 1]] > self->due[self->heap[child]])
                        child++;
                if (self->due[self->heap[child]] <= self->due[block])
                        break;
                belady_put(self, place, self->heap[child]);
        }
        belady_put(self, place, block);
}

static void belady_hit(void *arg, uint32_t block) {
        struct belady *self = arg;

        self->due[block] = self->next[self->sim->at];
        belady_sift_up(self, self->place[block], block);
}

static void belady_fault(void *arg, uint32_t block, enum sim_where where) {
        struct belady *self = arg;

        (void) where;
        if (sim_is_full(self->sim)) {
                sim_drop(self->sim, self->heap[0]);
                self->n--;
                if (self->n > 0)
                        belady_sift_down(self, self->heap[self->n]);
        }
        self->due[block] = self->next[self->sim->at];
        belady_sift_up(self, self->n++, block);
}

const struct sim_policy policy_belady = {
        .name = "belady", .title = "optimum (sees the future)", .new = belady_new, .free = belady_free, .fault = belady_fault, .hit = belady_hit
};
