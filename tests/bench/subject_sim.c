/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Nothing is in memory: a trace is only simulated, in a pool of the same size, to see what hits there could be. */

#include <errno.h>
#include <stdlib.h>

#include "sim.h"
#include "subject.h"
#include "subject_sim.h"

static int subject_sim_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct subject *self = calloc(1, sizeof(*self));

        (void) setup;
        (void) reason;
        if (!self)
                return -ENOMEM;
        self->kind = kind;
        *ret = self;
        return 0;
}

static void subject_sim_free(struct subject *subject) {
        free(subject);
}

static int subject_sim_drop(struct subject *subject) {
        (void) subject;
        return 0;
}

const struct sim_policy *subject_sim_policy(const struct subject *subject) {
        return subject->kind->new == subject_sim_new ? subject->kind->variant : NULL;
}

#define SUBJECT_SIM_KIND(name_, title_, policy_)                                                                                                            \
        { .name = name_, .title = title_, .variant = &policy_, .new = subject_sim_new, .free = subject_sim_free, .drop = subject_sim_drop }

const struct subject_kind subject_sim_lru = SUBJECT_SIM_KIND("sim-lru", "simulated: LRU", policy_lru);
const struct subject_kind subject_sim_fifo = SUBJECT_SIM_KIND("sim-fifo", "simulated: FIFO", policy_fifo);
const struct subject_kind subject_sim_proven = SUBJECT_SIM_KIND("sim-proven", "simulated: proven", policy_proven);
const struct subject_kind subject_sim_belady = SUBJECT_SIM_KIND("sim-belady", "simulated: optimum", policy_belady);
