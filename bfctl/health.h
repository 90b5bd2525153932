/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_HEALTH_H
#define BF_HEALTH_H

/* Whether the daemon is well, or what is wrong, in words and as a word for programs. Pure. */

#include "report.h"

struct health {
        const char *word; /* for programs */
        const char *text;
};

#define HEALTH_MAX 2

/* What is wrong, the worst first. Returns how much; 0: it is healthy. */
unsigned health_look(const struct report_stats *stats, struct health ret[static HEALTH_MAX]);

/* Dirty pages in RAM. The numbers are not of one moment. */
uint64_t health_dirty_in_pool(const struct report_stats *stats);

#endif
