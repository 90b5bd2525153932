/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LEDGER_FILE_H
#define BF_LEDGER_FILE_H

/* The shared memory file in which the ledger of one fileh lies (proto/ledger.h), as the place of the tables of its pagemap. */

#include "ledger.h"
#include "pagemap.h"

struct ledger_file {
        struct pagemap_memory memory;
        int fd;
        uint64_t length; /* bytes */
};

int ledger_file_init(struct ledger_file *ledger, uint64_t block_size, uint64_t size);
void ledger_file_fini(struct ledger_file *ledger);

/* Another descriptor of it, read-only, the caller's. */
int ledger_file_open(const struct ledger_file *ledger, int *ret_fd);

/* The file has another size now. */
void ledger_file_set_size(struct ledger_file *ledger, uint64_t size);

#endif
