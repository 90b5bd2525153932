/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SERVE_BLOCKS_H
#define BF_SERVE_BLOCKS_H

/* What the daemon asks of a served file, in calls of the program's functions, block by block. It knows no threads and no sockets. */

#include <pthread.h>
#include <stdint.h>

#include "bfclient.h"
#include "provide.h"

struct serve_blocks {
        struct bf_file_ops ops;
        void *file;
        uint64_t size; /* of the file, bytes */
        uint64_t block_size;
        pthread_rwlock_t stores; /* a store of a part of a block excludes all others: it loads the block first */
};

void serve_blocks_init(struct serve_blocks *blocks, const struct bf_file_ops *ops, void *file);
void serve_blocks_fini(struct serve_blocks *blocks);

/* Carries out what is asked; slot is where its first block begins, mask the bits of its pages. The kind and number of the answer are the caller's. */
void serve_blocks_run(struct serve_blocks *blocks, const struct provide_ask *ask, char *slot, const uint64_t *mask, struct provide_answer *ret_answer);

#endif
