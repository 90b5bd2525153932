/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pager.h"
#include "spill.h"
#include "tune.h"

void tune_pager(struct pager *pager, const struct pager_options *options) {
        pager->options.room_timeout_usec = options->room_timeout_usec;
        pager->options.reclaim_batch = options->reclaim_batch;
        pager->options.replacement = options->replacement;
        order_set_policy(&pager->order, options->replacement);
        pager->options.nbd_timeout_usec = options->nbd_timeout_usec; /* of files that are opened from now on */
        pager->options.spill_bytes = options->spill_bytes;

        /* What waits for something may have it now: the thread's turn, which comes next, looks at room and reclaim in any case. */
        pager->quota_is_freed = true;
        pager->turn_is_news = true;
        pager->room_is_news = true;
        spill_resume(pager);
}
