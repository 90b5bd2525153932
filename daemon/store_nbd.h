/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STORE_NBD_H
#define BF_STORE_NBD_H

/* The store for exports of NBD servers, which the daemon itself connects to. */

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "store.h"

struct pager;

struct store_nbd_params {
        int uri_fd; /* borrowed; has the URI (uri.h) */
        bool may_read_files;
        bool is_writable; /* asked for */
        bool is_adopted;  /* it was open before: nobody waits until it is connected */
        uint64_t size_min; /* 0: not known */
};

/* It begins to connect, and requests to it wait for that. store_free() comes back at once, and is carried out later. */
int store_nbd_new(struct pager *pager, const struct store_nbd_params *params, struct store **ret);

/* The job is woken once, when it is known what came of it; NULL: none is. */
void store_nbd_await(struct store *store, struct job *job);

/* -EINPROGRESS; or 0 and the size of the file; or why it cannot be opened so, in blocks of that size. */
int store_nbd_look(struct store *store, uint64_t block_size, uint64_t *ret_size);

#endif
