/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_HUGEPAGES_H
#define BENCH_HUGEPAGES_H

/* The host's reserve of huge pages of 2 MiB. */

#include <stdint.h>

struct undo;

#define HUGEPAGES_BYTES (UINT64_C(2) << 20)

struct hugepages {
        struct undo *undo; /* NULL: nothing was changed */
};

/* Makes the reserve larger, until hugepages_fini(), so that n are free. n 0: does nothing. 0 or a negative errno; -ENOMEM the kernel found fewer. */
int hugepages_init(struct hugepages *hugepages, uint64_t n);
void hugepages_fini(struct hugepages *hugepages);

/* How many are free now. 0: also if it is not known. */
uint64_t hugepages_n_free(void);

#endif
