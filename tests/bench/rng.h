/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_RNG_H
#define BENCH_RNG_H

/* Random numbers that are the same for the same seed: the generator "splitmix64". Any seed will do, 0 too. */

#include <stdint.h>

static inline uint64_t rng_mix(uint64_t z) {
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static inline uint64_t rng_next(uint64_t *state) {
        return rng_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* From 0 up to, but not including, 1. */
static inline double rng_fraction(uint64_t *state) {
        return (double) (rng_next(state) >> 11) * 0x1p-53;
}

#endif
