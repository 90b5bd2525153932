/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "rng.h"
#include "zipf.h"

void zipf_scatter(struct zipf *zipf, uint64_t seed) {
        for (uint32_t i = 0; i < zipf->n; i++)
                zipf->ranked[i] = i;
        for (uint32_t i = zipf->n - 1; i > 0; i--) {
                uint32_t j = (uint32_t) (rng_next(&seed) % (i + 1)), number = zipf->ranked[i];

                zipf->ranked[i] = zipf->ranked[j];
                zipf->ranked[j] = number;
        }
}

int zipf_init(struct zipf *zipf, uint32_t n, double exponent, uint64_t seed) {
        double sum = 0;

        assert(n > 0);
        *zipf = (struct zipf){ .sums = calloc(n, sizeof(*zipf->sums)), .ranked = calloc(n, sizeof(*zipf->ranked)), .n = n };
        if (!zipf->sums || !zipf->ranked) {
                zipf_fini(zipf);
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < n; i++)
                zipf->sums[i] = sum += pow(i + 1, -exponent);
        zipf_scatter(zipf, seed);
        return 0;
}

void zipf_fini(struct zipf *zipf) {
        free(zipf->sums);
        free(zipf->ranked);
        *zipf = (struct zipf){ 0 };
}

/* The first rank whose sum is above a number drawn evenly. */
uint32_t zipf_draw(const struct zipf *zipf, uint64_t *rng) {
        double drawn = rng_fraction(rng) * zipf->sums[zipf->n - 1];
        uint32_t low = 0, high = zipf->n - 1;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (zipf->sums[middle] > drawn)
                        high = middle;
                else
                        low = middle + 1;
        }
        return zipf->ranked[low];
}
