/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sim.h"

const struct sim_policy *const sim_policies[] = {
        &policy_belady, &policy_lru, &policy_fifo, &policy_random, &policy_bimodal,     &policy_unmap, &policy_two_queues,
        &policy_s3,     &policy_arc, &policy_lirs, &policy_proven, &policy_proven_kept, NULL,
};

bool sim_is_full(const struct sim *sim) {
        return sim->n_resident == sim->n_pool;
}

void sim_keep(struct sim *sim, uint32_t block) {
        assert(sim->where[block] == SIM_MAPPED);
        sim->where[block] = SIM_KEPT;
}

void sim_drop(struct sim *sim, uint32_t block) {
        assert(sim->where[block] != SIM_OUT);
        sim->where[block] = SIM_OUT;
        sim->n_resident--;
}

static void sim_fault(struct sim *sim, const struct sim_policy *policy, void *self, uint32_t block) {
        enum sim_where where = sim->where[block];

        policy->fault(self, block, where);
        assert(sim->where[block] == where);
        if (where == SIM_OUT) {
                assert(sim->n_resident < sim->n_pool);
                sim->n_resident++;
                sim->n_loads++;
        } else
                sim->n_refaults++;
        sim->where[block] = SIM_MAPPED;
}

int sim_run(const struct sim_policy *policy, const struct trace *trace, uint32_t n_pool, struct sim_result *ret_result) {
        struct sim sim = { .trace = trace, .n_pool = n_pool, .n_blocks = trace->n_blocks, .where = calloc(trace->n_blocks, 1) };
        void *self;
        int r = sim.where ? policy->new(&sim, &self) : -ENOMEM;

        if (r < 0) {
                free(sim.where);
                return r;
        }
        for (sim.at = 0; sim.at < trace->n; sim.at++) {
                uint32_t block = trace->blocks[sim.at];

                if (sim.where[block] != SIM_MAPPED)
                        sim_fault(&sim, policy, self, block);
                else if (policy->hit)
                        policy->hit(self, block);
        }
        policy->free(self);
        free(sim.where);
        *ret_result = (struct sim_result){ .hits = 1 - (double) sim.n_loads / (double) trace->n,
                                           .refaults = (double) sim.n_refaults / (double) trace->n };
        return 0;
}
