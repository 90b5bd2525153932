/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It knows threads, how /proc says where one sleeps, and the calls of the library that a test wants to see take their time. */

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bfclient.h"
#include "worker.h"

static void *worker_run(void *arg) {
        struct worker *worker = arg;

        atomic_store(&worker->tid, gettid());
        worker->fn(worker);
        atomic_store(&worker->done, true);
        return NULL;
}

struct worker *worker_new(void (*fn)(struct worker *worker), void *at, void *object, uint64_t a, uint64_t b) {
        struct worker *worker = calloc(1, sizeof(*worker));

        if (!worker)
                abort();
        worker->fn = fn;
        worker->at = at;
        worker->object = object;
        worker->a = a;
        worker->b = b;
        if (pthread_create(&worker->thread, NULL, worker_run, worker) != 0)
                abort();
        return worker;
}

void worker_join(struct worker *worker) {
        if (!worker->joined)
                pthread_join(worker->thread, NULL);
        worker->joined = true;
}

void worker_free(struct worker *worker) {
        assert(!worker || worker->joined);
        free(worker);
}

bool worker_is_done(struct worker *worker) {
        return atomic_load(&worker->done);
}

/* What the kernel says a thread is doing: "running", "-1 ..." (asleep, but in no system call), or the number of a system call and its arguments. */
static bool thread_says(int tid, char *ret_text, size_t size) {
        char path[64];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, ret_text, size - 1);
        close(fd);
        if (n <= 0)
                return false;
        ret_text[n] = '\0';
        return true;
}

static void wait_asleep(struct worker *worker, bool in_call) {
        char text[256];

        for (; !worker_is_done(worker); sched_yield()) {
                int tid = atomic_load(&worker->tid);

                if (tid == 0 || !thread_says(tid, text, sizeof(text)) || strncmp(text, "running", 7) == 0)
                        continue;
                if ((strncmp(text, "-1 ", 3) != 0) == in_call)
                        return;
        }
}

void worker_wait_fault(struct worker *worker) {
        wait_asleep(worker, false);
}

void worker_wait_call(struct worker *worker) {
        wait_asleep(worker, true);
}

void worker_read(struct worker *worker) {
        probe_read(worker->at, &worker->value, &worker->hit);
}

void worker_write(struct worker *worker) {
        probe_write(worker->at, worker->a, &worker->hit);
}

void worker_load(struct worker *worker) {
        worker->result = bf_load(worker->object, worker->a, worker->b);
}

void worker_invalidate(struct worker *worker) {
        worker->result = bf_invalidate(worker->object, worker->a, worker->b);
}

void worker_writeout(struct worker *worker) {
        worker->result = bf_writeout(worker->object, (unsigned) worker->a);
}

void worker_discard(struct worker *worker) {
        worker->result = bf_discard(worker->object);
}

void worker_close(struct worker *worker) {
        worker->result = bf_close(worker->object);
}

void worker_munmap(struct worker *worker) {
        worker->result = bf_munmap(worker->at);
}
