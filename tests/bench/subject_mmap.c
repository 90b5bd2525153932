/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plain mmap of the file, with MADV_NORMAL or MADV_RANDOM. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "content.h"
#include "subject.h"

struct subject_mmap {
        struct subject subject;
        size_t size;
};

static int subject_mmap_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "plain mmap: cannot %s the file: %s\n", what, strerror(error));
        return -error;
}

static int subject_mmap_new(const struct subject_kind *kind, const struct setup *setup, int advice, struct subject **ret) {
        struct subject_mmap *self = calloc(1, sizeof(*self));
        void *memory;

        if (!self)
                return -ENOMEM;
        memory = mmap(NULL, setup->content->size, PROT_READ | PROT_WRITE, MAP_SHARED, setup->content->fd, 0);
        if (memory == MAP_FAILED) {
                free(self);
                return subject_mmap_fail("map");
        }
        madvise(memory, setup->content->size, advice);
        self->subject = (struct subject){ .kind = kind, .memory = memory };
        self->size = setup->content->size;
        *ret = &self->subject;
        return 0;
}

static int subject_mmap_new_normal(const struct setup *setup, struct subject **ret) {
        return subject_mmap_new(&subject_mmap_normal, setup, MADV_NORMAL, ret);
}

static int subject_mmap_new_random(const struct setup *setup, struct subject **ret) {
        return subject_mmap_new(&subject_mmap_random, setup, MADV_RANDOM, ret);
}

static void subject_mmap_free(struct subject *subject) {
        struct subject_mmap *self = (struct subject_mmap *) subject;

        munmap(subject->memory, self->size);
        free(self);
}

static int subject_mmap_drop(struct subject *subject) {
        struct subject_mmap *self = (struct subject_mmap *) subject;

        if (msync(subject->memory, self->size, MS_SYNC) < 0)
                return subject_mmap_fail("msync");
        if (madvise(subject->memory, self->size, MADV_DONTNEED) < 0)
                return subject_mmap_fail("unmap pages of");
        return 0;
}

/* A page of a plain mapping is the file's page in the page cache: there is nothing to store, only to sync. */
static int subject_mmap_store(struct subject *subject, bool sync) {
        struct subject_mmap *self = (struct subject_mmap *) subject;

        if (!sync)
                return SUBJECT_HAS_NONE;
        return msync(subject->memory, self->size, MS_SYNC) < 0 ? subject_mmap_fail("msync") : 0;
}

const struct subject_kind subject_mmap_normal = {
        .name = "mmap-normal",
        .title = "mmap, MADV_NORMAL",
        .new = subject_mmap_new_normal,
        .free = subject_mmap_free,
        .drop = subject_mmap_drop,
        .store = subject_mmap_store,
};

const struct subject_kind subject_mmap_random = {
        .name = "mmap-random",
        .title = "mmap, MADV_RANDOM",
        .new = subject_mmap_new_random,
        .free = subject_mmap_free,
        .drop = subject_mmap_drop,
        .store = subject_mmap_store,
};
