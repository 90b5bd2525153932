/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <string.h>

#include "fileh.h"
#include "fileh_name.h"
#include "flush.h"
#include "inject.h"

void flush_begin(struct fileh *fileh) {
        ledger_file_set_sync(&fileh->ledger, true);
        INJECT(FLUSH_BEGUN);
}

void flush_report(const struct fileh *fileh, int error) {
        fileh_warning(fileh, error, "cannot flush it to stable storage: %s: all that was stored since it last was is in doubt: %u pages of earlier writeouts are dirty again",
                      strerror(-error), fileh->unsynced.n);
        if (fileh->n_unsynced_gone > 0)
                fileh_warning(fileh, error, "%llu pages in doubt are no longer in RAM: the file may have lost them (a writeout with SYNC keeps its pages until it knows)",
                              (unsigned long long) fileh->n_unsynced_gone);
}

bool flush_settle(struct fileh *fileh, int error, unsigned n_max) {
        for (unsigned n = 0; n < n_max && fileh->unsynced.first; n++) {
                (void) fileh_page_event(fileh, fileh->unsynced.first, error < 0 ? EVENT_SYNC_FAILED : EVENT_SYNCED, 0);
                INJECT(FLUSH_SETTLING);
        }
        return fileh->unsynced.first;
}

void flush_end(struct fileh *fileh) {
        fileh->n_unsynced_gone = 0;
        ledger_file_set_sync(&fileh->ledger, false);
}
