/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SUBJECT_SIM_H
#define BENCH_SUBJECT_SIM_H

struct sim_policy;
struct subject;

/* NULL: the subject is a real one. */
const struct sim_policy *subject_sim_policy(const struct subject *subject);

#endif
