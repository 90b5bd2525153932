/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plain mmap of the file: with MADV_NORMAL or MADV_RANDOM; with all of RAM for the page cache, or in a memory cgroup that is as large as the pool. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "cgroup.h"
#include "content.h"
#include "subject.h"

/* The page tables count as well: eight bytes for each page of the mapping, and some more. */
#define SUBJECT_MMAP_SPARE (UINT64_C(1) << 20)

struct subject_mmap_variant {
        int advice;
        bool is_limited;
};

struct subject_mmap {
        struct subject subject;
        size_t size;
        bool is_limited;
        struct cgroup cgroup;
};

static int subject_mmap_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "plain mmap: cannot %s the file: %s\n", what, strerror(error));
        return -error;
}

static void subject_mmap_free(struct subject *subject) {
        struct subject_mmap *self = (struct subject_mmap *) subject;

        if (subject->memory)
                munmap(subject->memory, self->size);
        if (self->is_limited)
                cgroup_fini(&self->cgroup);
        free(self);
}

static int subject_mmap_limit(struct subject_mmap *self, const struct setup *setup, struct reason *reason) {
        uint64_t n_blocks = setup->content->n_blocks;

        if (cgroup_init(&self->cgroup, setup->pool_bytes + n_blocks * sizeof(uint64_t) + SUBJECT_MMAP_SPARE, setup->content->fd, reason) < 0)
                return SUBJECT_HAS_NONE;
        self->is_limited = true;
        return 0;
}

static int subject_mmap_map(struct subject_mmap *self, const struct setup *setup, int advice) {
        void *memory = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, setup->content->fd, 0);

        if (memory == MAP_FAILED)
                return subject_mmap_fail("map");
        self->subject.memory = memory;
        return madvise(memory, self->size, advice) < 0 ? subject_mmap_fail("advise on") : 0;
}

static int subject_mmap_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        const struct subject_mmap_variant *variant = kind->variant;
        struct subject_mmap *self = calloc(1, sizeof(*self));
        int r = 0;

        if (!self)
                return -ENOMEM;
        self->subject.kind = kind;
        self->size = setup->content->size;
        if (variant->is_limited)
                r = subject_mmap_limit(self, setup, reason);
        if (r == 0)
                r = subject_mmap_map(self, setup, variant->advice);
        if (r != 0) {
                subject_mmap_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_mmap_attach(struct subject *subject, const struct setup *setup, struct subject **ret) {
        return subject_mmap_new(subject->kind, setup, NULL, ret);
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

static int subject_mmap_enter(struct subject *subject) {
        return cgroup_enter(&((struct subject_mmap *) subject)->cgroup);
}

static int subject_mmap_leave(struct subject *subject) {
        return cgroup_leave(&((struct subject_mmap *) subject)->cgroup);
}

static int subject_mmap_count(struct subject *subject, struct subject_counts *ret_counts) {
        struct rusage usage;

        (void) subject;
        if (getrusage(RUSAGE_SELF, &usage) < 0)
                return -errno;
        ret_counts->n_loads = (uint64_t) usage.ru_majflt;
        return 0;
}

#define SUBJECT_MMAP_KIND(name_, title_, advice_, is_limited_)                                                                                              \
        .name = name_, .title = title_, .variant = &(const struct subject_mmap_variant){ .advice = advice_, .is_limited = is_limited_ },                    \
        .new = subject_mmap_new, .free = subject_mmap_free, .drop = subject_mmap_drop, .store = subject_mmap_store

const struct subject_kind subject_mmap_normal = {
        SUBJECT_MMAP_KIND("mmap-normal", "mmap, MADV_NORMAL", MADV_NORMAL, false),
};

const struct subject_kind subject_mmap_random = {
        SUBJECT_MMAP_KIND("mmap-random", "mmap, MADV_RANDOM", MADV_RANDOM, false),
        .attach = subject_mmap_attach,
};

const struct subject_kind subject_mmap_normal_limited = {
        SUBJECT_MMAP_KIND("mmap-normal-limited", "mmap, NORMAL, cgroup", MADV_NORMAL, true),
        .seconds_max = 4, /* where it reads too far ahead, it does nothing else */
        .enter = subject_mmap_enter,
        .leave = subject_mmap_leave,
};

const struct subject_kind subject_mmap_random_limited = {
        SUBJECT_MMAP_KIND("mmap-random-limited", "mmap, RANDOM, cgroup", MADV_RANDOM, true),
        .seconds_max = 20,
        .count = subject_mmap_count,
        .enter = subject_mmap_enter,
        .leave = subject_mmap_leave,
};
