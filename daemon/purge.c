/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "drop.h"
#include "fileh.h"
#include "pager.h"
#include "purge.h"

struct purge {
        struct job job;
        struct fileh *fileh;
        struct pagemap_cursor cursor;
        uint64_t n_wanted; /* bytes */
        uint64_t n_done;
        struct reply_to to;
};

static enum job_result purge_end(struct purge *purge) {
        struct pager *pager = purge->fileh->pager;
        union wire_msg msg;

        wire_init(&msg, purge->to.id | WIRE_REPLY, purge->to.serial);
        msg.reclaim_reply.bytes = purge->n_done;
        pager->reply(pager, purge->to.peer, &msg, NULL, 0);
        fileh_unref(purge->fileh);
        free(purge);
        return JOB_DONE;
}

static bool purge_page(struct purge *purge, struct drop *drop, uint32_t id) {
        struct fileh *fileh = purge->fileh;

        if (!state_is_clean(pages_get(&fileh->pager->pages, id)->state))
                return false;
        drop_add(drop, fileh, id, EVENT_EVICT, 0);
        fileh->n_evictions++;
        purge->n_done += fileh->block_size;
        return true;
}

static enum job_result purge_step(struct job *job) {
        struct purge *purge = (struct purge *) job;
        struct pager *pager = purge->fileh->pager;
        unsigned n_evicted = 0, n = 0;
        struct drop drop;
        uint32_t id = 1;

        drop_init(&drop, pager);
        while (n++ < JOB_STEP_PAGES && purge->n_done < purge->n_wanted && (id = pagemap_walk(&purge->fileh->map, &purge->cursor)))
                n_evicted += purge_page(purge, &drop, id);
        drop_flush(&drop);
        pager_count(pager, COUNTER_EVICTIONS, n_evicted);
        return id && purge->n_done < purge->n_wanted ? JOB_MORE : purge_end(purge);
}

int purge_begin(struct fileh *fileh, uint64_t bytes, const struct reply_to *to) {
        struct purge *purge = calloc(1, sizeof(*purge));

        if (!purge)
                return -ENOMEM;
        *purge = (struct purge) { .job = { .step = purge_step }, .fileh = fileh, .n_wanted = bytes, .to = *to };
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &purge->job);
        return 0;
}
