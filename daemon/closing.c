/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "closing.h"
#include "fileh.h"
#include "handle.h"
#include "load.h"
#include "log.h"
#include "pager.h"
#include "quota.h"
#include "range.h"

void closing_mapping(struct handle *handle, struct mapping *mapping) {
        load_forget_mapping(handle->fileh, mapping);
        quota_forget_mapping(handle->fileh->pager, mapping);
        handle_unmap(handle, mapping);
}

/*
 * Jobs, loads and stores that are under way see is_closing, or hold on to the fileh until they end; it is freed with the last of them. A client that was
 * disconnected, and brings what it has kept, must not be told that nothing was lost.
 */
static void closing_fileh(struct fileh *fileh, const struct reply_to *to) {
        fileh->is_closing = true;
        ledger_file_close(&fileh->ledger);
        pool_count(fileh->pager->pool, POOL_FILEHS, -1);
        load_cancel_waiting(fileh);
        while (range_drop(fileh, 0, UINT64_MAX, RANGE_ALL, to) < 0)
                log_error("no memory to close a file: trying again");
}

void closing_handle(struct handle *handle, const struct reply_to *to) {
        struct fileh *fileh = handle->fileh;

        while (handle->n_mappings > 0)
                closing_mapping(handle, handle->mappings[handle->n_mappings - 1]);
        fileh_ref(fileh);
        handle_close(handle);
        if (TAILQ_EMPTY(&fileh->handles))
                closing_fileh(fileh, to);
        else if (to)
                pager_reply_error(fileh->pager, to, 0);
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
