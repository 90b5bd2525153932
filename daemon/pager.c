/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "pager.h"
#include "view.h"

int pager_init(struct pager *pager, struct commons *commons, unsigned index, const struct pager_options *options) {
        struct ring *ring;
        int r;

        r = ring_new(&ring);
        if (r < 0)
                return r;
        *pager = (struct pager) { .index = index, .commons = commons, .pool = &commons->pool, .ring = ring, .options = *options };
        pager->views = views_new();
        bufs_init(&pager->bufs);
        pages_init(&pager->pages);
        order_init(&pager->order, &pager->pages, options->replacement, pager->pool->bytes);
        idtable_init(&pager->filehs);
        idtable_init(&pager->handles);
        idtable_init(&pager->loads);
        jobs_init(&pager->jobs);
        TAILQ_INIT(&pager->room_queue);
        TAILQ_INIT(&pager->turn_line);
        TAILQ_INIT(&pager->quota_queue);
        TAILQ_INIT(&pager->strays);
        LIST_INIT(&pager->providers);
        TAILQ_INIT(&pager->absent_waiters);
        TAILQ_INIT(&pager->holds);
        TAILQ_INIT(&pager->sweep_queue);
        atomic_store(&commons->pagers[index].latencies, &pager->latencies);
        return 0;
}

void pager_fini(struct pager *pager) {
        idtable_fini(&pager->loads);
        idtable_fini(&pager->handles);
        idtable_fini(&pager->filehs);
        order_fini(&pager->order);
        pages_fini(&pager->pages);
        bufs_fini(&pager->bufs);
        views_free(pager->views);
        ring_free(pager->ring);
}

void pager_reply_error(struct pager *pager, const struct reply_to *to, int error) {
        union wire_msg msg;

        wire_init(&msg, to->id | WIRE_REPLY, to->serial);
        msg.reply.error = error; /* where every reply has it */
        pager->reply(pager, to->peer, &msg, NULL, 0);
}

void pager_trace(struct pager *pager, struct report_event *event) {
        struct trace *trace = atomic_load_explicit(&pager->commons->pagers[pager->index].trace, memory_order_acquire);

        event->time_nsec = latency_now();
        if (trace)
                trace_put(trace, event);
}

void pager_give_room(struct pager *pager, uint64_t bytes) {
        if (bytes == 0)
                return;
        pool_give(pager->pool, bytes);
        pager->room_is_given = pager->room_is_news = true;
}

void pager_count_dirty(struct pager *pager, struct account *account, int64_t bytes) {
        if (bytes > 0) {
                account_add(account, ACCOUNT_DIRTY_BYTES, (uint64_t) bytes);
                return;
        }
        account_sub(account, ACCOUNT_DIRTY_BYTES, (uint64_t) -bytes);
        pager->quota_is_freed = true;
        pager->quota_others |= atomic_load(&account->waiting[ACCOUNT_DIRTY_BYTES]);
}
