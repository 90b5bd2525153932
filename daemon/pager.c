/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pager.h"

int pager_init(struct pager *pager, struct pool *pool, const struct pager_options *options) {
        struct ring *ring;
        int r;

        r = ring_new(&ring);
        if (r < 0)
                return r;
        *pager = (struct pager) { .ring = ring, .pool = pool, .options = *options };
        bufs_init(&pager->bufs);
        pages_init(&pager->pages);
        pagelist_init(&pager->lru, PAGELIST_LRU);
        pagelist_init(&pager->parked, PAGELIST_LRU);
        idtable_init(&pager->filehs);
        idtable_init(&pager->handles);
        idtable_init(&pager->loads);
        jobs_init(&pager->jobs);
        TAILQ_INIT(&pager->room_queue);
        TAILQ_INIT(&pager->quota_queue);
        TAILQ_INIT(&pager->strays);
        accounts_init(&pager->accounts, &options->limits);
        TAILQ_INIT(&pager->absent_waiters);
        TAILQ_INIT(&pager->holds);
        TAILQ_INIT(&pager->sweep_queue);
        return 0;
}

void pager_fini(struct pager *pager) {
        idtable_fini(&pager->loads);
        idtable_fini(&pager->handles);
        idtable_fini(&pager->filehs);
        pages_fini(&pager->pages);
        bufs_fini(&pager->bufs);
        ring_free(pager->ring);
}

void pager_reply_error(struct pager *pager, const struct reply_to *to, int error) {
        union wire_msg msg;

        wire_init(&msg, to->id | WIRE_REPLY, to->serial);
        msg.reply.error = error; /* where every reply has it */
        pager->reply(pager, to->peer, &msg, NULL, 0);
}
