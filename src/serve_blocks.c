/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve_blocks.h"

#define ERRNO_MAX 4095

void serve_blocks_init(struct serve_blocks *blocks, const struct bf_file_ops *ops, void *file) {
        *blocks = (struct serve_blocks) { .ops = *ops, .file = file };
        pthread_rwlock_init(&blocks->stores, NULL);
}

void serve_blocks_fini(struct serve_blocks *blocks) {
        pthread_rwlock_destroy(&blocks->stores);
}

/* A program may return anything. */
static int serve_blocks_result(int r) {
        return r > 0 || r < -ERRNO_MAX ? -EIO : r;
}

static int serve_blocks_load_one(struct serve_blocks *blocks, uint64_t block, void *buf) {
        return serve_blocks_result(blocks->ops.load(blocks->file, block, buf));
}

static int serve_blocks_store_one(struct serve_blocks *blocks, uint64_t block, const void *buf) {
        return blocks->ops.store ? serve_blocks_result(blocks->ops.store(blocks->file, block, buf)) : -EROFS;
}

static uint64_t serve_blocks_min(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

static uint64_t serve_blocks_max(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

/* One block of those that an ask touches, and which of its bytes. */
struct part {
        uint64_t block;
        uint64_t begin; /* in the file */
        uint64_t end;
        char *buf; /* of the whole block */
};

static struct part serve_blocks_part(const struct serve_blocks *blocks, const struct provide_ask *ask, uint64_t block, char *slot) {
        uint64_t size = blocks->block_size;

        return (struct part) {
                .block = block,
                .begin = serve_blocks_max(ask->offset, block * size),
                .end = serve_blocks_min(ask->offset + ask->length, (block + 1) * size),
                .buf = slot + (block - ask->offset / size) * size,
        };
}

static int serve_blocks_load(struct serve_blocks *blocks, const struct part *part) {
        return serve_blocks_load_one(blocks, part->block, part->buf);
}

/* Of a block of which only a part is to be stored the rest remains as it is. */
static int serve_blocks_merge(struct serve_blocks *blocks, const struct part *part) {
        uint64_t begin = part->block * blocks->block_size;
        char *whole = malloc(blocks->block_size);
        int r;

        if (!whole)
                return -ENOMEM;
        pthread_rwlock_wrlock(&blocks->stores);
        r = serve_blocks_load_one(blocks, part->block, whole);
        if (r == 0) {
                memcpy(whole + (part->begin - begin), part->buf + (part->begin - begin), part->end - part->begin);
                r = serve_blocks_store_one(blocks, part->block, whole);
        }
        pthread_rwlock_unlock(&blocks->stores);
        free(whole);
        return r;
}

/* What lies behind the end of the file is zero. */
static int serve_blocks_store(struct serve_blocks *blocks, const struct part *part) {
        uint64_t begin = part->block * blocks->block_size, end = begin + blocks->block_size;
        int r;

        if (part->begin > begin || part->end < serve_blocks_min(end, blocks->size))
                return serve_blocks_merge(blocks, part);
        memset(part->buf + (part->end - begin), 0, end - part->end);
        pthread_rwlock_rdlock(&blocks->stores);
        r = serve_blocks_store_one(blocks, part->block, part->buf);
        pthread_rwlock_unlock(&blocks->stores);
        return r;
}

void serve_blocks_run(struct serve_blocks *blocks, const struct provide_ask *ask, char *slot, struct provide_answer *ret_answer) {
        int (*run)(struct serve_blocks *blocks, const struct part *part) = ask->op == PROVIDE_LOAD ? serve_blocks_load : serve_blocks_store;
        uint64_t end = ask->offset + ask->length;
        int r = 0;

        ret_answer->n_done = 0;
        for (uint64_t block = ask->offset / blocks->block_size; r == 0 && block * blocks->block_size < end; block++) {
                struct part part = serve_blocks_part(blocks, ask, block, slot);

                r = run(blocks, &part);
                if (r == 0)
                        ret_answer->n_done = (uint32_t) (part.end - ask->offset);
        }
        ret_answer->error = r;
}
