/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SNAPSHOT_H
#define BF_SNAPSHOT_H

/* All that the daemon says of itself, at one time; and what has happened since the time before. */

#include "lines.h"

struct snapshot {
        struct report_stats stats;  /* as they are */
        struct report_stats lately; /* since the one before; the first, and the first of another daemon: since the daemon began */
        double seconds;             /* how long that was */
        struct file_lines files;
        struct peer_lines peers;
};

/* Without what snapshot_compare() adds. */
int snapshot_take(struct bf_client *client, struct snapshot *ret);

/* What has happened since; before: NULL for the first. */
void snapshot_compare(struct snapshot *now, const struct snapshot *before);

void snapshot_fini(struct snapshot *snapshot);

#endif
