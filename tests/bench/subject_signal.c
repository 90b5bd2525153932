/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A pager inside this process: memory that may not be touched, and a handler of SIGSEGV that reads the block and then allows it, first to be read and then to
 * be written: what programs did before there was userfaultfd. It has no limit of memory, and one client; a page that is protected otherwise than its neighbours
 * is a mapping of its own to the kernel, of which there are some 65000 at the most.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "content.h"
#include "subject.h"

enum subject_signal_state {
        SUBJECT_SIGNAL_EMPTY,
        SUBJECT_SIGNAL_LOADED,
        SUBJECT_SIGNAL_DIRTY,
};

struct subject_signal {
        struct subject subject;
        int fd; /* borrowed */
        uint64_t size;
        int memory;      /* the memfd behind both mappings */
        uint8_t *inside; /* the same memory for the pager, always allowed */
        uint8_t *states; /* enum subject_signal_state of each block */
};

static struct subject_signal *subject_signal_only; /* the one that the handler serves */

static bool subject_signal_serve(struct subject_signal *self, uint64_t block) {
        uint8_t *page = self->subject.memory + block * CONTENT_BLOCK;
        bool is_loaded = self->states[block] != SUBJECT_SIGNAL_EMPTY;

        if (!is_loaded && pread(self->fd, self->inside + block * CONTENT_BLOCK, CONTENT_BLOCK, (off_t) (block * CONTENT_BLOCK)) != CONTENT_BLOCK)
                return false;
        self->states[block]++;
        return mprotect(page, CONTENT_BLOCK, is_loaded ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
}

/* A write to an empty block faults twice: whether it was one the processor says, but not in a way that all have in common. */
static void subject_signal_on_fault(int signal, siginfo_t *info, void *context) {
        struct subject_signal *self = subject_signal_only;
        uint64_t offset = (uint64_t) ((uint8_t *) info->si_addr - (self ? self->subject.memory : NULL));
        int error = errno;

        (void) context;
        if (!self || offset >= self->size || self->states[offset / CONTENT_BLOCK] == SUBJECT_SIGNAL_DIRTY ||
            !subject_signal_serve(self, offset / CONTENT_BLOCK)) {
                static const char text[] = "signal: cannot serve a page fault\n";

                if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
                        (void) 0;
                sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
        }
        errno = error;
}

static int subject_signal_fail(const char *what) {
        int error = errno;

        fprintf(stderr, "signal: cannot %s: %s\n", what, strerror(error));
        return -error;
}

static void subject_signal_free(struct subject *subject) {
        struct subject_signal *self = (struct subject_signal *) subject;

        if (subject_signal_only == self) {
                sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
                subject_signal_only = NULL;
        }
        if (subject->memory)
                munmap(subject->memory, self->size);
        if (self->inside)
                munmap(self->inside, self->size);
        if (self->memory >= 0)
                close(self->memory);
        free(self->states);
        free(self);
}

static int subject_signal_map(struct subject_signal *self) {
        void *memory, *inside;

        self->memory = memfd_create("bfbench-signal", MFD_CLOEXEC);
        if (self->memory < 0 || ftruncate(self->memory, (off_t) self->size) < 0)
                return subject_signal_fail("make a memfd");
        memory = mmap(NULL, self->size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, self->memory, 0);
        if (memory == MAP_FAILED)
                return subject_signal_fail("map a memfd");
        self->subject.memory = memory;
        inside = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, self->memory, 0);
        if (inside == MAP_FAILED)
                return subject_signal_fail("map a memfd twice");
        self->inside = inside;
        return 0;
}

static int subject_signal_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct sigaction action = { .sa_sigaction = subject_signal_on_fault, .sa_flags = SA_SIGINFO };
        struct subject_signal *self = calloc(1, sizeof(*self));
        int r;

        (void) reason;
        if (!self)
                return -ENOMEM;
        *self = (struct subject_signal){ .subject.kind = kind, .fd = setup->content->fd, .size = setup->content->size, .memory = -1,
                                         .states = calloc(setup->content->n_blocks, 1) };
        r = self->states ? subject_signal_map(self) : -ENOMEM;
        if (r == 0 && sigaction(SIGSEGV, &action, NULL) < 0)
                r = subject_signal_fail("handle SIGSEGV");
        if (r < 0) {
                subject_signal_free(&self->subject);
                return r;
        }
        subject_signal_only = self;
        *ret = &self->subject;
        return 0;
}

static int subject_signal_drop(struct subject *subject) {
        struct subject_signal *self = (struct subject_signal *) subject;

        memset(self->states, SUBJECT_SIGNAL_EMPTY, self->size / CONTENT_BLOCK);
        if (mprotect(subject->memory, self->size, PROT_NONE) < 0)
                return subject_signal_fail("protect memory");
        return madvise(self->inside, self->size, MADV_REMOVE) < 0 ? subject_signal_fail("free memory") : 0;
}

const struct subject_kind subject_signal = {
        .name = "signal",
        .title = "SIGSEGV and mprotect",
        .new = subject_signal_new,
        .free = subject_signal_free,
        .drop = subject_signal_drop,
};
