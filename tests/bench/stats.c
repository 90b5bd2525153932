/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

static int stats_compare_u64(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

static int stats_compare_double(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

void stats_sort(uint64_t *values, size_t n) {
        qsort(values, n, sizeof(*values), stats_compare_u64);
}

uint64_t stats_percentile(const uint64_t *sorted, size_t n, unsigned permille) {
        size_t rank;

        assert(n > 0 && permille <= 1000);
        rank = (n * permille + 999) / 1000;
        return sorted[rank > 0 ? rank - 1 : 0];
}

double stats_mean(const uint64_t *values, size_t n) {
        double sum = 0;

        assert(n > 0);
        for (size_t i = 0; i < n; i++)
                sum += (double) values[i];
        return sum / (double) n;
}

int stats_spread(const double *values, size_t n, struct stats_spread *ret_spread) {
        double *sorted;

        assert(n > 0);
        sorted = malloc(n * sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, values, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), stats_compare_double);
        *ret_spread = (struct stats_spread){
                .median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
                .min = sorted[0],
                .max = sorted[n - 1],
        };
        free(sorted);
        return 0;
}
