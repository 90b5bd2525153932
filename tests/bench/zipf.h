/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

/* Draws numbers of which few are popular: the one of rank r (from 1 on) with a probability of r to the power of -exponent. Who has which rank is scattered. */

#include <stddef.h>
#include <stdint.h>

struct zipf {
        double *sums; /* of the probabilities up to each rank */
        uint32_t *ranked;
        uint32_t n;
};

/* Over the numbers from 0 up to, but not including, n, which is at least 1. 0 or -ENOMEM. */
int zipf_init(struct zipf *zipf, uint32_t n, double exponent, uint64_t seed);
void zipf_fini(struct zipf *zipf);

/* Gives each rank to another number. */
void zipf_scatter(struct zipf *zipf, uint64_t seed);

uint32_t zipf_draw(const struct zipf *zipf, uint64_t *rng);

#endif
