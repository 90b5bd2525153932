/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The file without any mapping: each look at a block reads it into a buffer with pread(2), 4 KiB at a time or 2 MiB into huge pages that are warm. What is
 * written stays in buffers, and goes to the file with pwrite(2): in order, neighbours together.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"
#include "hugepages.h"
#include "stats.h"
#include "subject.h"

#define SUBJECT_FILE_NONE UINT64_MAX

struct subject_file_variant {
        size_t n_read; /* bytes at a time */
};

struct subject_file {
        struct subject subject;
        int fd; /* borrowed */
        uint64_t size;
        size_t n_read;
        uint8_t *buffer;
        uint64_t first; /* byte of the file in the buffer; SUBJECT_FILE_NONE: nothing */
        uint8_t *written; /* as large as the file; what is written has its own place there */
        uint64_t *dirty;  /* numbers of blocks */
        size_t n_dirty;
};

static int subject_file_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "the file by itself: cannot %s: %s\n", what, strerror(error));
        return -error;
}

static void subject_file_free(struct subject *subject) {
        struct subject_file *self = (struct subject_file *) subject;

        if (self->buffer)
                munmap(self->buffer, self->n_read);
        if (self->written)
                munmap(self->written, self->size);
        free(self->dirty);
        free(self);
}

static void *subject_file_map(size_t size, int flags) {
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

        return memory == MAP_FAILED ? NULL : memory;
}

/* Of the reserve, or, if there is none, what the kernel puts together. */
static void *subject_file_map_buffer(size_t size) {
        void *memory = NULL;

        if (size % HUGEPAGES_BYTES == 0)
                memory = subject_file_map(size, MAP_HUGETLB);
        if (!memory)
                memory = subject_file_map(size, 0);
        if (memory && size % HUGEPAGES_BYTES == 0)
                madvise(memory, size, MADV_HUGEPAGE);
        if (memory)
                memset(memory, 1, size);
        return memory;
}

static int subject_file_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        const struct subject_file_variant *variant = kind->variant;
        struct subject_file *self = calloc(1, sizeof(*self));

        (void) reason;
        if (!self)
                return -ENOMEM;
        *self = (struct subject_file){ .subject.kind = kind, .fd = setup->content->fd, .size = setup->content->size, .n_read = variant->n_read,
                                       .first = SUBJECT_FILE_NONE };
        self->buffer = subject_file_map_buffer(self->n_read);
        self->written = subject_file_map(self->size, MAP_NORESERVE);
        self->dirty = calloc(setup->content->n_blocks, sizeof(*self->dirty));
        if (!self->buffer || !self->written || !self->dirty) {
                subject_file_free(&self->subject);
                return -ENOMEM;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_file_drop(struct subject *subject) {
        struct subject_file *self = (struct subject_file *) subject;

        self->first = SUBJECT_FILE_NONE;
        self->n_dirty = 0;
        return madvise(self->written, self->size, MADV_DONTNEED) < 0 ? subject_file_fail("drop what was written") : 0;
}

/* What is behind the end of the file is not asked for. */
static const uint64_t *subject_file_fetch(struct subject *subject, uint64_t block) {
        struct subject_file *self = (struct subject_file *) subject;
        uint64_t offset = block * CONTENT_BLOCK, first = offset - offset % self->n_read;
        const uint64_t *words = (const uint64_t *) (const void *) (self->written + offset);

        if (self->n_dirty > 0 && words[CONTENT_TAG] != 0)
                return words;
        if (first != self->first && pread(self->fd, self->buffer, self->n_read, (off_t) first) < (ssize_t) CONTENT_BLOCK) {
                subject_file_fail("read");
                return NULL;
        }
        self->first = self->n_read > CONTENT_BLOCK ? first : SUBJECT_FILE_NONE;
        return (const uint64_t *) (const void *) (self->buffer + (offset - first));
}

static int subject_file_tag(struct subject *subject, uint64_t block, uint64_t tag) {
        struct subject_file *self = (struct subject_file *) subject;
        uint64_t *words = (uint64_t *) (void *) (self->written + block * CONTENT_BLOCK);

        if (pread(self->fd, words, CONTENT_BLOCK, (off_t) (block * CONTENT_BLOCK)) != CONTENT_BLOCK)
                return subject_file_fail("read");
        words[CONTENT_TAG] = tag;
        self->dirty[self->n_dirty++] = block;
        return 0;
}

static int subject_file_store_run(struct subject_file *self, uint64_t block, uint64_t n_blocks) {
        size_t n = n_blocks * CONTENT_BLOCK;
        off_t offset = (off_t) (block * CONTENT_BLOCK);

        errno = ENOSPC;
        return pwrite(self->fd, self->written + offset, n, offset) == (ssize_t) n ? 0 : subject_file_fail("write");
}

static int subject_file_store(struct subject *subject, bool sync) {
        struct subject_file *self = (struct subject_file *) subject;
        int r = 0;

        stats_sort(self->dirty, self->n_dirty);
        for (size_t i = 0, j; r == 0 && i < self->n_dirty; i = j) {
                for (j = i + 1; j < self->n_dirty && self->dirty[j] == self->dirty[i] + (j - i); j++)
                        ;
                r = subject_file_store_run(self, self->dirty[i], j - i);
        }
        self->n_dirty = 0;
        if (r == 0 && sync && fdatasync(self->fd) < 0)
                r = subject_file_fail("flush");
        return r;
}

#define SUBJECT_FILE_KIND(name_, title_, n_read_)                                                                                                           \
        .name = name_, .title = title_, .variant = &(const struct subject_file_variant){ .n_read = n_read_ }, .new = subject_file_new,                      \
        .free = subject_file_free, .drop = subject_file_drop, .store = subject_file_store, .fetch = subject_file_fetch, .tag = subject_file_tag

const struct subject_kind subject_file = { SUBJECT_FILE_KIND("file", "pread, pwrite", CONTENT_BLOCK) };
const struct subject_kind subject_file_huge = { SUBJECT_FILE_KIND("file-huge", "pread of 2 MiB, huge", HUGEPAGES_BYTES) };
