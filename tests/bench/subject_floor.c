/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The floor: a memfd mapped in this process, its page faults answered by a bare loop in another (floor_server.c) that does nothing but what the
 * kernel demands. What bigfiled does beyond this loop is its own cost. One answers with the page that was touched, the other with the 2 MiB around it.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content.h"
#include "floor_server.h"
#include "server.h"
#include "subject.h"
#include "uffd_abi.h"

struct subject_floor_variant {
        uint64_t n_run;
};

struct subject_floor {
        struct subject subject;
        size_t size;
        int uffd;
        int memory;
        int control;
        pid_t pid;
};

static int subject_floor_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
        return -error;
}

static void subject_floor_free(struct subject *subject) {
        struct subject_floor *self = (struct subject_floor *) subject;

        if (self->control >= 0)
                close(self->control);
        if (self->pid > 0)
                waitpid(self->pid, NULL, 0);
        if (subject->memory)
                munmap(subject->memory, self->size);
        if (self->uffd >= 0)
                close(self->uffd);
        if (self->memory >= 0)
                close(self->memory);
        free(self);
}

static int subject_floor_register(struct subject_floor *self) {
        struct uffdio_api api = {
                .api = UFFD_API,
                .features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
        };
        struct uffdio_register reg = {
                .range = { .start = (uint64_t) (uintptr_t) self->subject.memory, .len = self->size },
                .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
        };

        self->uffd = (int) syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
        if (self->uffd < 0)
                return subject_floor_fail("cannot create a userfaultfd");
        if (ioctl(self->uffd, UFFDIO_API, &api) < 0)
                return subject_floor_fail("the kernel's userfaultfd lacks a feature (Linux 6.6 has all)");
        if (ioctl(self->uffd, UFFDIO_REGISTER, &reg) < 0)
                return subject_floor_fail("cannot register memory with userfaultfd");
        return 0;
}

static int subject_floor_map(struct subject_floor *self) {
        void *memory;

        self->memory = memfd_create("bfbench-floor", MFD_CLOEXEC);
        if (self->memory < 0 || ftruncate(self->memory, (off_t) self->size) < 0)
                return subject_floor_fail("cannot make a memfd");
        memory = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, self->memory, 0);
        if (memory == MAP_FAILED)
                return subject_floor_fail("cannot map a memfd");
        self->subject.memory = memory;
        if (madvise(memory, self->size, MADV_DONTFORK) < 0)
                return subject_floor_fail("cannot keep memory from children");
        return subject_floor_register(self);
}

static int subject_floor_start(struct subject_floor *self, const struct setup *setup) {
        const struct subject_floor_variant *variant = self->subject.kind->variant;
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return subject_floor_fail("cannot make a socket pair");
        self->pid = fork();
        if (self->pid == 0) {
                close(ends[0]);
                floor_server_run(&(struct floor_server){
                        .uffd = self->uffd,
                        .memory = self->memory,
                        .file = setup->content->fd,
                        .control = ends[1],
                        .client_memory = self->subject.memory,
                        .n_blocks = setup->content->n_blocks,
                        .n_run = variant->n_run,
                        .n_pool = setup->pool_bytes / CONTENT_BLOCK,
                });
        }
        close(ends[1]);
        self->control = ends[0];
        close(self->uffd); /* if the server ends, there is none any more, and memory is zeros, which is noticed, instead of a wait for ever */
        self->uffd = -1;
        return self->pid < 0 ? subject_floor_fail("cannot fork") : 0;
}

static int subject_floor_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct subject_floor *self = calloc(1, sizeof(*self));
        int r;

        (void) reason;
        if (!self)
                return -ENOMEM;
        *self = (struct subject_floor){ .subject.kind = kind, .size = setup->content->size, .uffd = -1, .memory = -1, .control = -1 };
        r = subject_floor_map(self);
        if (r == 0)
                r = subject_floor_start(self, setup);
        if (r < 0) {
                subject_floor_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_floor_ask(struct subject *subject, uint8_t command) {
        struct subject_floor *self = (struct subject_floor *) subject;
        uint8_t answer;

        errno = EPIPE;
        if (send(self->control, &command, 1, MSG_NOSIGNAL) != 1 || read(self->control, &answer, 1) != 1)
                return subject_floor_fail("its server is gone");
        errno = answer;
        return answer ? subject_floor_fail("its server could not do it") : 0;
}

static int subject_floor_drop(struct subject *subject) {
        return subject_floor_ask(subject, FLOOR_DROP);
}

static int subject_floor_store(struct subject *subject, bool sync) {
        return subject_floor_ask(subject, sync ? FLOOR_SYNC : FLOOR_STORE);
}

static int subject_floor_count(struct subject *subject, struct subject_counts *ret_counts) {
        return server_cpu_ns(((struct subject_floor *) subject)->pid, &ret_counts->cpu_ns);
}

#define SUBJECT_FLOOR_KIND(name_, title_, n_run_)                                                                                                           \
        .name = name_, .title = title_, .variant = &(const struct subject_floor_variant){ .n_run = n_run_ }, .new = subject_floor_new,                      \
        .free = subject_floor_free, .drop = subject_floor_drop, .store = subject_floor_store, .count = subject_floor_count

const struct subject_kind subject_floor = { SUBJECT_FLOOR_KIND("floor", "floor: a bare loop", 1) };
const struct subject_kind subject_floor_2m = { SUBJECT_FLOOR_KIND("floor-2m", "floor, 2 MiB at once", 512) };
