/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "figures.h"
#include "snapshot.h"

void snapshot_compare(struct snapshot *now, const struct snapshot *before) {
        static const struct file_lines no_files;
        static const struct peer_lines no_peers;

        if (before && !figures_continue(&before->stats, &now->stats))
                before = NULL; /* it is another daemon, whose files and clients only have the same numbers */
        now->seconds = figures_between(before ? &before->stats : NULL, &now->stats, &now->lately);
        file_lines_rate(&now->files, before ? &before->files : &no_files, now->seconds);
        peer_lines_rate(&now->peers, before ? &before->peers : &no_peers, now->seconds);
}

int snapshot_take(struct bf_client *client, struct snapshot *ret) {
        struct snapshot now = { .seconds = 0.0 };
        int r;

        r = ask_stats(client, &now.stats);
        if (r == 0)
                r = file_lines_ask(client, &now.files);
        if (r == 0)
                r = peer_lines_ask(client, &now.peers);
        if (r < 0) {
                snapshot_fini(&now);
                return r;
        }
        *ret = now;
        return 0;
}

void snapshot_fini(struct snapshot *snapshot) {
        file_lines_fini(&snapshot->files);
        peer_lines_fini(&snapshot->peers);
}
