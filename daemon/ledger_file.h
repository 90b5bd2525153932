/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LEDGER_FILE_H
#define BF_LEDGER_FILE_H

/* The shared memory file in which the ledger of one fileh lies (proto/ledger.h), as the place of the tables of its pagemap. */

#include <stdbool.h>
#include <sys/types.h>

#include "ledger.h"
#include "pagemap.h"

struct ledger_file {
        struct pagemap_memory memory;
        int fd;
        uint64_t length; /* bytes */
};

/* about: what the header says of the fileh. Magic and table are set here. */
int ledger_file_init(struct ledger_file *ledger, const struct ledger_header *about);

/* Takes up the ledger of a daemon that is gone; fd is borrowed. -EINVAL: it is not one, or it is about another
 * fileh: another memory, file or block size, or shared by clients where this is not, or the other way round. */
int ledger_file_adopt(struct ledger_file *ledger, int fd, const struct ledger_header *about);

/* The table it has now, of header->capacity words, to be returned with memory.table_put(). */
int ledger_file_table(struct ledger_file *ledger, uint64_t **ret_words);

void ledger_file_fini(struct ledger_file *ledger);

/* Another descriptor of it, read-only, the caller's. */
int ledger_file_open(const struct ledger_file *ledger, int *ret_fd);

/* The pages are about to be dropped: no other daemon is to take them up. */
void ledger_file_close(struct ledger_file *ledger);

/* That user has the fileh open for writing. */
void ledger_file_set_writer(struct ledger_file *ledger, uid_t uid);

/* A flush of the file is under way, or what came of it not yet in the states. */
void ledger_file_set_sync(struct ledger_file *ledger, bool is_under_way);

/* The dirty pages go to this file when RAM is short: no other one is taken for it. */
void ledger_file_set_spill(struct ledger_file *ledger, uint64_t device, uint64_t inode);

/* The file has another size now. */
void ledger_file_set_size(struct ledger_file *ledger, uint64_t size);

/* LEDGER_GUESSES_MAX of them, of which some are free. One is there when it is complete. */
const struct ledger_guess *ledger_file_guesses(const struct ledger_file *ledger);
void ledger_file_set_guess(struct ledger_file *ledger, unsigned i, uint64_t block, uint64_t hash);
void ledger_file_forget_guess(struct ledger_file *ledger, unsigned i);

#endif
