/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LEDGER_READ_H
#define BF_LEDGER_READ_H

/* Looks up a page in a ledger (see ledger.h), by pread(2). Everything here is async-signal-safe. */

#include <stdint.h>

#include "ledger.h"

/* The size of the file, also while entries are being moved, and when the daemon ended in the middle of that. Errors as below. */
int ledger_read_size(int fd, uint64_t *ret_size);

/* The ledger's header, at one moment. -EAGAIN entries are being moved all the time; -EIO this is no ledger; another negative errno. */
int ledger_read_header(int fd, struct ledger_header *ret_header);

/* The word of a block; 0 if there is none: the page is empty. Errors as above. */
int ledger_read_word(int fd, uint64_t block, uint64_t *ret_word);

#endif
