/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BFCTL_REPORT_H
#define BF_BFCTL_REPORT_H

/* What bfctl prints, for people or as JSON. It knows numbers and words, no sockets. */

#include <stdbool.h>
#include <stdint.h>

#include "bfclient.h"

struct report {
        struct bf_pool_stat pool;
        struct bf_spill_stat spill;
};

/* Each prints to standard output. */
void report_status(const char *socket, const struct report *report, bool as_json);
void report_stats(const struct report *report, bool as_json);
void report_reclaim(uint64_t bytes, bool as_json);

#endif
