/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_OPSFILE_H
#define BF_TEST_OPSFILE_H

/*
 * A file that a test serves with bf_open_ops(), kept in memory: each call of its functions is logged, and can be held until the test lets it go, be made to
 * return something else, or do something of the test's before it goes on.
 *
 * At first each word of a page of 4096 bytes is the number of the page. A load takes its bytes when it is called, a store puts its bytes when it is let go.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bfclient.h"

#define OPSFILE_ANY UINT64_MAX
#define OPSFILE_LOG_MAX 4096

enum opsfile_op {
        OPSFILE_LOAD,
        OPSFILE_STORE,
        N_OPSFILE_OPS,
};

struct opsfile_call {
        enum opsfile_op op;
        uint64_t block;
};

struct opsfile {
        uint64_t size;
        uint64_t block_size;
        char *content; /* whole blocks */

        /* Called in each call after it was logged and before it is held; may be NULL. */
        void (*on_call)(struct opsfile *file, enum opsfile_op op, uint64_t block);
        void *arg;

        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed;
        struct opsfile_call log[OPSFILE_LOG_MAX];
        unsigned n_log;
        unsigned n_stores_running, n_stores_max; /* at one moment */
        unsigned n_releases;
        struct {
                uint64_t block;
                bool is_set;
                unsigned n_held;
        } hold[N_OPSFILE_OPS];
        struct {
                uint64_t block;
                int result;
                unsigned times;
        } fail[N_OPSFILE_OPS];
};

struct opsfile *opsfile_new(uint64_t size, uint64_t block_size);
void opsfile_free(struct opsfile *file);

extern const struct bf_file_ops opsfile_ops;

/* Calls for this block are held from now on, until opsfile_release(). */
void opsfile_hold(struct opsfile *file, enum opsfile_op op, uint64_t block);
void opsfile_wait(struct opsfile *file, enum opsfile_op op, unsigned n); /* until so many are held */
void opsfile_release(struct opsfile *file, enum opsfile_op op);

/* The next times calls for this block return that. */
void opsfile_fail(struct opsfile *file, enum opsfile_op op, uint64_t block, unsigned times, int result);

/* What was called since it was last asked, in order, as "L1 L2 S1". The text is good until the next call. */
const char *opsfile_log(struct opsfile *file);

unsigned opsfile_n_releases(struct opsfile *file);

/* The word of the content at that byte. */
uint64_t *opsfile_word(struct opsfile *file, uint64_t offset);

#endif
