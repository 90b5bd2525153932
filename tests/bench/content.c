/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"

#define CONTENT_CHUNK_BLOCKS 256

uint64_t content_word(uint64_t block, size_t i) {
        if (i == CONTENT_TAG)
                return 0;
        return (block * CONTENT_WORDS + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t content_sum_block(const uint64_t *words) {
        uint64_t sum = 0;

        for (size_t i = 0; i < CONTENT_WORDS; i++)
                sum += words[i];
        return sum - words[CONTENT_TAG];
}

uint64_t content_sum_of(uint64_t block) {
        uint64_t words[CONTENT_WORDS];

        for (size_t i = 0; i < CONTENT_WORDS; i++)
                words[i] = content_word(block, i);
        return content_sum_block(words);
}

static int content_write_all(int fd, const void *bytes, size_t n) {
        for (size_t done = 0; done < n;) {
                ssize_t r = write(fd, (const char *) bytes + done, n - done);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                done += (size_t) r;
        }
        return 0;
}

static int content_fill(struct content *content) {
        static uint64_t words[CONTENT_CHUNK_BLOCKS][CONTENT_WORDS];
        int r;

        for (uint64_t block = 0; block < content->n_blocks;) {
                size_t n = 0;

                for (; n < CONTENT_CHUNK_BLOCKS && block < content->n_blocks; n++, block++) {
                        for (size_t i = 0; i < CONTENT_WORDS; i++)
                                words[n][i] = content_word(block, i);
                        content->sum += content_sum_block(words[n]);
                }
                r = content_write_all(content->fd, words, n * CONTENT_BLOCK);
                if (r < 0)
                        return r;
        }
        return content_settle(content);
}

static int content_open_nameless(const char *dir, int *ret_fd) {
        char path[PATH_MAX];
        int fd;

        if (snprintf(path, sizeof(path), "%s/bfbench.XXXXXX", dir) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        unlink(path);
        *ret_fd = fd;
        return 0;
}

int content_init(struct content *content, const char *dir, uint64_t size) {
        int r;

        assert(size % CONTENT_BLOCK == 0);
        *content = (struct content){ .fd = -1, .size = size, .n_blocks = size / CONTENT_BLOCK };
        r = content_open_nameless(dir, &content->fd);
        if (r < 0)
                return r;
        r = content_fill(content);
        if (r < 0)
                content_fini(content);
        return r;
}

void content_fini(struct content *content) {
        if (content->fd >= 0)
                close(content->fd);
        content->fd = -1;
}

bool content_is_stored(const struct content *content, uint64_t block, uint64_t tag) {
        uint64_t words[CONTENT_TAG + 1];
        ssize_t n = pread(content->fd, words, sizeof(words), (off_t) (block * CONTENT_BLOCK));

        return n == (ssize_t) sizeof(words) && words[0] == content_word(block, 0) && words[CONTENT_TAG] == tag;
}

int content_settle(const struct content *content) {
        return fdatasync(content->fd) < 0 ? -errno : 0;
}

int content_reopen(const struct content *content) {
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", content->fd);
        fd = open(path, O_RDWR | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int content_count_cached(const struct content *content, uint64_t *ret_n) {
        unsigned char *cached = malloc(content->n_blocks);
        void *memory = mmap(NULL, content->size, PROT_READ, MAP_SHARED, content->fd, 0);
        uint64_t n = 0;
        int r = -ENOMEM;

        if (cached && memory != MAP_FAILED)
                r = mincore(memory, content->size, cached) < 0 ? -errno : 0;
        for (uint64_t i = 0; r == 0 && i < content->n_blocks; i++)
                n += cached[i] & 1;
        if (memory != MAP_FAILED)
                munmap(memory, content->size);
        free(cached);
        if (r == 0)
                *ret_n = n;
        return r;
}

int content_chill(const struct content *content, unsigned *ret_left) {
        uint64_t n;
        int r;

        r = -posix_fadvise(content->fd, 0, 0, POSIX_FADV_DONTNEED);
        if (r == 0)
                r = content_count_cached(content, &n);
        if (r == 0)
                *ret_left = (unsigned) (n * 1000 / content->n_blocks);
        return r;
}

#define CONTENT_WARM_BYTES (UINT64_C(1) << 30) /* and the page cache, the pool, and what else there is */

void content_warm_memory(const struct content *content) {
        size_t size = content->size * 3 + CONTENT_WARM_BYTES;
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (memory != MAP_FAILED)
                munmap(memory, size);
}
