/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plain mmap of a file that another process serves from its memory through FUSE. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"
#include "fuse_server.h"
#include "server.h"
#include "subject.h"

struct subject_fuse {
        struct subject subject;
        struct fuse_server server; /* pid 0: none */
        int fd;                    /* -1: none */
        size_t size;
};

static int subject_fuse_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "FUSE: cannot %s the file: %s\n", what, strerror(error));
        return -error;
}

static void subject_fuse_free(struct subject *subject) {
        struct subject_fuse *self = (struct subject_fuse *) subject;

        if (subject->memory)
                munmap(subject->memory, self->size);
        if (self->fd >= 0)
                close(self->fd);
        if (self->server.pid > 0)
                fuse_server_stop(&self->server);
        free(self);
}

static int subject_fuse_map(struct subject_fuse *self, int advice) {
        void *memory;

        self->fd = open(self->server.path, O_RDONLY | O_CLOEXEC);
        if (self->fd < 0)
                return subject_fuse_fail("open");
        memory = mmap(NULL, self->size, PROT_READ, MAP_SHARED, self->fd, 0);
        if (memory == MAP_FAILED)
                return subject_fuse_fail("map");
        self->subject.memory = memory;
        return madvise(memory, self->size, advice) < 0 ? subject_fuse_fail("advise on") : 0;
}

static int subject_fuse_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct subject_fuse *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        *self = (struct subject_fuse) { .subject.kind = kind, .fd = -1, .size = setup->content->size };
        r = fuse_server_start(&self->server, setup->content, reason);
        if (r != 0)
                self->server.pid = 0;
        if (r == 0)
                r = subject_fuse_map(self, *(const int *) kind->variant);
        if (r != 0) {
                subject_fuse_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

/* Out of the page cache as well: each page is read from the process again. */
static int subject_fuse_drop(struct subject *subject) {
        struct subject_fuse *self = (struct subject_fuse *) subject;

        if (madvise(subject->memory, self->size, MADV_DONTNEED) < 0)
                return subject_fuse_fail("unmap pages of");
        errno = posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED);
        return errno != 0 ? subject_fuse_fail("drop pages of") : 0;
}

static int subject_fuse_count(struct subject *subject, struct subject_counts *ret_counts) {
        return server_cpu_ns(((struct subject_fuse *) subject)->server.pid, &ret_counts->cpu_ns);
}

#define SUBJECT_FUSE_KIND(name_, title_, advice_)                                                                                                           \
        .name = name_, .title = title_, .variant = &(const int){ advice_ }, .new = subject_fuse_new, .free = subject_fuse_free, .drop = subject_fuse_drop,  \
        .count = subject_fuse_count

const struct subject_kind subject_fuse = { SUBJECT_FUSE_KIND("fuse", "FUSE, mmap", MADV_NORMAL) };
const struct subject_kind subject_fuse_random = { SUBJECT_FUSE_KIND("fuse-random", "FUSE, mmap, MADV_RANDOM", MADV_RANDOM) };
