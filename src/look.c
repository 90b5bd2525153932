/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looking at a handle without changing anything: bf_page_state(), bf_fault_error(), bf_stat(). */

#include <errno.h>
#include <inttypes.h>

#include "api.h"
#include "errmsg.h"
#include "fileh.h"
#include "ledger_read.h"
#include "process.h"

/* A page dropped or failed has no content in RAM; whether a page being stored or spilled has been written again is the daemon's own business. */
static const enum bf_page_state look_states[N_PAGE_STATES] = {
        [PAGE_EMPTY] = BF_PAGE_EMPTY,
        [PAGE_LOADING] = BF_PAGE_LOADING,
        [PAGE_LOADED] = BF_PAGE_LOADED,
        [PAGE_DIRTY] = BF_PAGE_DIRTY,
        [PAGE_STORING] = BF_PAGE_STORING,
        [PAGE_STORING_DIRTIED] = BF_PAGE_STORING,
        [PAGE_STORING_DROPPED] = BF_PAGE_EMPTY,
        [PAGE_FAILED] = BF_PAGE_EMPTY,
        [PAGE_SPILLING] = BF_PAGE_DIRTY,
        [PAGE_SPILLING_DIRTIED] = BF_PAGE_DIRTY,
        [PAGE_SPILLING_DROPPED] = BF_PAGE_EMPTY,
        [PAGE_SPILLED] = BF_PAGE_SPILLED,
        [PAGE_UNSPILLING] = BF_PAGE_SPILLED,
        [PAGE_STORING_SPILLED] = BF_PAGE_STORING,
        [PAGE_UNSYNCED] = BF_PAGE_LOADED,
};

int bf_page_state(struct bf_fileh *fileh, uint64_t offset) {
        API_CALL;
        uint64_t size, word;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        r = ledger_read_size(fileh->ledger, &size);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "read page states of");
        if (offset >= size)
                return errmsg_set(-ENXIO, "no page at %" PRIu64 " of %s: beyond the end of the file (%" PRIu64 " bytes)", offset, fileh->name, size);
        r = ledger_read_word(fileh->ledger, offset / fileh->block_size, &word);
        if (r == 0 && ledger_word_state(word) >= N_PAGE_STATES)
                r = -EIO;
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "read page states of");
        return (int) look_states[ledger_word_state(word)];
}

/* In a signal handler: no locks, no memory, no words. What was found in the registry is good only if it is there still after its ledger was read. */
int bf_fault_error(const void *addr, int *ret_error) {
        API_CALL;
        struct registry_ticket ticket;
        struct registry_entry entry;
        uint64_t word = 0;
        int error;

        if (!registry_find((uintptr_t) addr, &entry, &ticket))
                return -ENOENT;
        if (entry.process != process_id())
                return -ENOTCONN;
        (void) ledger_read_word(entry.ledger, (entry.offset + ((uintptr_t) addr - entry.address)) / entry.block_size, &word);
        if (!registry_is_current(&ticket))
                return -ENOENT;
        error = ledger_word_error(word) != 0 ? ledger_word_error(word) : entry.error; /* of a FAILED page, or of one that could not be brought back */
        if (error == 0)
                return -ENOENT;
        *ret_error = error;
        return 0;
}

int bf_stat(struct bf_fileh *fileh, struct bf_stat *ret) {
        API_CALL;
        struct call call;
        const struct wire_stat_reply *reply = &call.reply.msg.stat_reply;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        fileh_begin_call(fileh, WIRE_STAT, &call);
        r = session_call(fileh->session, &call);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "get the statistics of");
        *ret = (struct bf_stat) {
                .size = reply->size,
                .block_size = reply->block_size,
                .resident_bytes = reply->resident_bytes,
                .dirty_bytes = reply->dirty_bytes,
                .loads = reply->loads,
                .stores = reply->stores,
                .evictions = reply->evictions,
                .faults = reply->faults,
        };
        return 0;
}
