/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_WORKER_H
#define BF_TEST_WORKER_H

/*
 * A thread of a test that does one thing, which may take long: one access to memory, or one call. It asserts nothing; the test looks at what came out
 * after worker_join(). All it uses is in the struct, which lives on the heap, so that a test that fails leaves no thread with a dead stack.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe.h"

struct worker {
        /* what it does: fn, with these at its service */
        void (*fn)(struct worker *worker);
        void *at;
        void *object;
        uint64_t a, b;

        /* what came out */
        int result;
        uint64_t value;
        struct probe_hit hit;

        pthread_t thread;
        atomic_int tid;
        atomic_bool done;
        bool joined;
};

struct worker *worker_new(void (*fn)(struct worker *worker), void *at, void *object, uint64_t a, uint64_t b);

/* Waits for its end. */
void worker_join(struct worker *worker);

/* It must be joined. NULL is fine. */
void worker_free(struct worker *worker);

bool worker_is_done(struct worker *worker);

/* Waits until the thread sleeps in a page fault taken in user mode (or is done); until it sleeps in a system call (or is done). */
void worker_wait_fault(struct worker *worker);
void worker_wait_call(struct worker *worker);

/* Things to do: read the word at .at to .value; write .a there; both with .hit. The rest call the library for the fileh .object, to .result. */
void worker_read(struct worker *worker);
void worker_write(struct worker *worker);
void worker_load(struct worker *worker);       /* offset .a, length .b */
void worker_invalidate(struct worker *worker); /* offset .a, length .b */
void worker_writeout(struct worker *worker);   /* flags .a */
void worker_discard(struct worker *worker);
void worker_close(struct worker *worker);
void worker_munmap(struct worker *worker); /* .at */

#endif
