/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "commons.h"
#include "request.h"
#include "served.h"
#include "store.h"

void request_release(struct commons *commons, struct request *request) {
        directory_release(&commons->directory, request->route);
        served_put(&commons->served, request->served);
        store_free(request->store);
}

unsigned request_take_fds(struct request *request, int fds[static WIRE_FDS_MAX]) {
        int *all[] = { &request->file_fd, &request->uffd, &request->memory_fd, &request->ledger_fd, &request->spill_fd, &request->direct_fd };
        unsigned n = 0;

        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                if (*all[i] >= 0)
                        fds[n++] = *all[i];
                *all[i] = -1;
        }
        return n;
}
