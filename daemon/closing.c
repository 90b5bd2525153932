/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "absent.h"
#include "account.h"
#include "admission.h"
#include "closing.h"
#include "fileh.h"
#include "handle.h"
#include "inject.h"
#include "log.h"
#include "pager.h"
#include "range.h"
#include "remap.h"
#include "stray.h"

/* What is asked of a file that hangs does not end with the handle: else who closes it, and opens it again, could have ever more of that. */
static void closing_count(struct fileh *fileh) {
        if (TAILQ_EMPTY(&fileh->loads) && !fileh->writeout)
                return;
        fileh->is_counted = true;
        account_add(fileh->account, ACCOUNT_HANDLES, 1);
}

/*
 * Jobs, loads and stores that are under way see is_closing, or hold on to the fileh until they end; it is freed with the last of them. A client that was
 * disconnected, and brings what it has kept, must not be told that nothing was lost.
 */
static void closing_fileh(struct fileh *fileh, const struct reply_to *to) {
        fileh->is_closing = true;
        ledger_file_close(&fileh->ledger);
        directory_set_closed(&fileh->pager->commons->directory, &fileh->entry, fileh->writeout);
        INJECT(CLOSING_CALLED);
        admission_cancel_waiting(fileh);
        closing_count(fileh);
        pager_count(fileh->pager, COUNTER_FILEHS, -1);
        while (range_drop(fileh, 0, UINT64_MAX, RANGE_ALL, to) < 0)
                log_error("no memory to close a file: trying again");
}

/*
 * Users of a shared fileh may be absent when the last of those who are present closes it: who was the first to come to a new daemon, say. They have it open
 * like any other, and it stays, with its pages and their room in the pool, until one of them is back or the last of them is gone.
 */
static enum job_result closing_linger_step(struct job *job) {
        struct fileh *fileh = (struct fileh *) ((char *) job - offsetof(struct fileh, linger));
        struct pager *pager = fileh->pager;

        if (TAILQ_EMPTY(&fileh->handles) && fileh_misses_anyone(fileh)) {
                absent_wait(pager, &fileh->linger_waiter, job);
                return JOB_WAIT;
        }
        log_debug("fileh %u: %s", fileh->id, TAILQ_EMPTY(&fileh->handles) ? "nobody has it any more" : "it has a user again");
        fileh->is_lingering = false;
        pager_count(pager, COUNTER_LINGERING, -1);
        if (TAILQ_EMPTY(&fileh->handles) && !fileh->is_closing) /* somebody may have come and closed it since it lingers */
                closing_fileh(fileh, NULL);
        fileh_unref(fileh);
        return JOB_DONE;
}

static void closing_linger(struct fileh *fileh) {
        if (fileh->is_lingering)
                return;
        log_debug("fileh %u: nobody has it open, but users of it have not come back yet", fileh->id);
        fileh->is_lingering = true;
        pager_count(fileh->pager, COUNTER_LINGERING, 1);
        fileh_ref(fileh);
        fileh->linger = (struct job) { .step = closing_linger_step };
        job_wake(&fileh->pager->jobs, &fileh->linger);
}

void closing_handle(struct handle *handle, const struct reply_to *to) {
        struct fileh *fileh = handle->fileh;

        while (handle->n_mappings > 0)
                remap_remove(handle, handle->mappings[handle->n_mappings - 1]);
        stray_forget_handle(handle);
        fileh_ref(fileh);
        handle_close(handle, to != NULL);
        if (TAILQ_EMPTY(&fileh->handles) && (fileh->is_broken || !fileh_misses_anyone(fileh))) {
                closing_fileh(fileh, to);
        } else {
                if (TAILQ_EMPTY(&fileh->handles))
                        closing_linger(fileh);
                if (to)
                        pager_reply_error(fileh->pager, to, 0);
        }
        fileh_unref(fileh);
}

void closing_peer(struct pager *pager, uint64_t peer) {
        for (uint32_t id = idtable_next(&pager->handles, 0); id; id = idtable_next(&pager->handles, id)) {
                struct handle *handle = idtable_get(&pager->handles, id);

                if (handle->peer == peer)
                        closing_handle(handle, NULL);
        }
}

void closing_everything(struct pager *pager) {
        for (uint32_t id = idtable_next(&pager->handles, 0); id; id = idtable_next(&pager->handles, id))
                closing_handle(idtable_get(&pager->handles, id), NULL);
}
