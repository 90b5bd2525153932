/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
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
        const struct provide_ask *ask;
        const uint64_t *mask;
        uint64_t block;
        uint64_t begin; /* in the file */
        uint64_t end;
        char *buf; /* of the whole block */
};

static struct part serve_blocks_part(const struct serve_blocks *blocks, const struct provide_ask *ask, uint64_t block, char *slot, const uint64_t *mask) {
        uint64_t size = blocks->block_size;

        return (struct part) {
                .ask = ask,
                .mask = mask,
                .block = block,
                .begin = serve_blocks_max(ask->offset, block * size),
                .end = serve_blocks_min(ask->offset + ask->length, (block + 1) * size),
                .buf = slot + (block - ask->offset / size) * size,
        };
}

/* The bytes from offset on that are to be stored alike, or not to be: up to the end of a page, or of the part. */
static bool serve_blocks_has(const struct part *part, uint64_t offset, uint64_t *ret_end) {
        uint64_t page_size = part->ask->page_size, i;

        *ret_end = part->end;
        if (page_size == 0)
                return true;
        i = (offset - part->ask->offset) / page_size;
        *ret_end = serve_blocks_min(part->end, part->ask->offset + (i + 1) * page_size);
        return part->mask[i / 64] >> i % 64 & 1;
}

static bool serve_blocks_is_whole(const struct serve_blocks *blocks, const struct part *part) {
        uint64_t begin = part->block * blocks->block_size;

        if (part->begin > begin || part->end < serve_blocks_min(begin + blocks->block_size, blocks->size))
                return false;
        for (uint64_t offset = part->begin, end; offset < part->end; offset = end)
                if (!serve_blocks_has(part, offset, &end))
                        return false;
        return true;
}

static int serve_blocks_load(struct serve_blocks *blocks, const struct part *part) {
        return serve_blocks_load_one(blocks, part->block, part->buf);
}

static void serve_blocks_overlay(const struct serve_blocks *blocks, const struct part *part, char *whole) {
        uint64_t begin = part->block * blocks->block_size;

        for (uint64_t offset = part->begin, end; offset < part->end; offset = end)
                if (serve_blocks_has(part, offset, &end))
                        memcpy(whole + (offset - begin), part->buf + (offset - begin), end - offset);
}

/* Of a block of which only a part is to be stored the rest remains as it is. */
static int serve_blocks_merge(struct serve_blocks *blocks, const struct part *part) {
        char *whole = malloc(blocks->block_size);
        int r;

        if (!whole)
                return -ENOMEM;
        pthread_rwlock_wrlock(&blocks->stores);
        r = serve_blocks_load_one(blocks, part->block, whole);
        if (r == 0) {
                serve_blocks_overlay(blocks, part, whole);
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

        if (!serve_blocks_is_whole(blocks, part))
                return serve_blocks_merge(blocks, part);
        memset(part->buf + (part->end - begin), 0, end - part->end);
        pthread_rwlock_rdlock(&blocks->stores);
        r = serve_blocks_store_one(blocks, part->block, part->buf);
        pthread_rwlock_unlock(&blocks->stores);
        return r;
}

void serve_blocks_run(struct serve_blocks *blocks, const struct provide_ask *ask, char *slot, const uint64_t *mask, struct provide_answer *ret_answer) {
        int (*run)(struct serve_blocks *blocks, const struct part *part) = ask->op == PROVIDE_LOAD ? serve_blocks_load : serve_blocks_store;
        uint64_t end = ask->offset + ask->length;
        int r = 0;

        ret_answer->n_done = 0;
        for (uint64_t block = ask->offset / blocks->block_size; r == 0 && block * blocks->block_size < end; block++) {
                struct part part = serve_blocks_part(blocks, ask, block, slot, mask);

                r = run(blocks, &part);
                if (r == 0)
                        ret_answer->n_done = (uint32_t) (part.end - ask->offset);
        }
        ret_answer->error = r;
}
