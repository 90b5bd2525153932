/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <unistd.h>

#include "fault.h"
#include "fileh.h"
#include "handle.h"
#include "inject.h"
#include "opening.h"

/* The memory and the ledger, for a client that does not have them yet. */
static int opening_fds(struct handle *handle, int fds[static 2]) {
        int r;

        r = handle_open_memory(handle, &fds[0]);
        if (r < 0)
                return r == -EAGAIN ? -EBUSY : r;
        r = ledger_file_open(&handle->fileh->ledger, &fds[1]);
        if (r < 0)
                close(fds[0]);
        return r;
}

int opening_answer(struct handle *handle, const struct reply_to *to) {
        struct pager *pager = handle->fileh->pager;
        bool needs_fds = to->id == WIRE_OPEN;
        union wire_msg msg;
        int fds[2], r;

        r = needs_fds ? opening_fds(handle, fds) : 0;
        if (r < 0)
                return r;
        wire_init(&msg, to->id | WIRE_REPLY, to->serial);
        msg.open_reply.handle = handle->id;
        msg.open_reply.size = handle->fileh->size;
        pager->reply(pager, to->peer, &msg, fds, needs_fds ? 2 : 0);
        INJECT(OPENING_ANSWERED);
        fault_listen(handle);
        return 0;
}
