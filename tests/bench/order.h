/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

/* The order in which a workload visits blocks. */

#include <stddef.h>
#include <stdint.h>

/* n distinct numbers from first up to, but not including, limit, in random order: the same for the same seed. There must be so many. 0 or -ENOMEM. */
int order_random(uint64_t first, uint64_t limit, size_t n, uint64_t seed, uint64_t *ret_blocks);

#endif
