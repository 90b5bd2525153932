/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random read faults of several threads of one client at a time, each at other pages: how many of all of them in a second. */

#include <errno.h>
#include <pthread.h>

#include "access.h"
#include "content.h"
#include "order.h"

#define WORKLOAD_THREADS_MAX 8

struct workload_thread {
        struct workload_run *run;
        pthread_barrier_t *barrier;
        size_t first; /* of the accesses of the run */
        size_t n;
        pthread_t thread;
};

static void *workload_thread_run(void *arg) {
        struct workload_thread *self = arg;
        struct workload_run *run = self->run;

        pthread_barrier_wait(self->barrier);
        for (size_t i = self->first; i < self->first + self->n; i++)
                run->seen[i] = *(volatile const uint64_t *) subject_look(run->subject, run->order[i]);
        return NULL;
}

/* The barrier has one place for this thread, so that all or none begin. */
static int workload_threads_start(struct workload_thread *threads, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (pthread_create(&threads[i].thread, NULL, workload_thread_run, &threads[i]) != 0)
                        return -EAGAIN;
        return 0;
}

static int workload_threads_run(struct workload_run *run) {
        size_t n_threads = run->workload->parameter, n = run->setup->n_accesses / n_threads;
        struct workload_thread threads[WORKLOAD_THREADS_MAX];
        pthread_barrier_t barrier;
        int r;

        r = order_random(0, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r < 0)
                return r;
        pthread_barrier_init(&barrier, NULL, (unsigned) n_threads + 1);
        for (size_t i = 0; i < n_threads; i++)
                threads[i] = (struct workload_thread){ .run = run, .barrier = &barrier, .first = i * n, .n = n };
        r = workload_threads_start(threads, n_threads);
        if (r < 0)
                return r; /* those that are there wait for ever: the bench ends */
        r = access_begin(run);
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < n_threads; i++)
                pthread_join(threads[i].thread, NULL);
        if (r == 0)
                r = access_end(run);
        run->n_touches = n * n_threads;
        pthread_barrier_destroy(&barrier);
        for (size_t i = 0; r == 0 && i < n * n_threads; i++)
                r = access_check_word(run->subject, run->order[i], run->seen[i]);
        return r;
}

static const struct subject_kind *const workload_threads_subjects[] = { &subject_floor, &subject_mmap_random, &subject_bigfile, NULL };

#define WORKLOAD_THREADS(n_, title_)                                                                                                                        \
        {                                                                                                                                                   \
                .name = "threads-" #n_, .title = title_, .group = "threads", .unit = WORKLOAD_TOUCHES, .run = workload_threads_run,                         \
                .subjects = workload_threads_subjects, .base = &subject_floor, .flags = WORKLOAD_ANY_CPU, .parameter = n_                                   \
        }

const struct workload workload_threads[4] = {
        WORKLOAD_THREADS(1, "random read faults, one thread"),
        WORKLOAD_THREADS(2, "random read faults, two threads"),
        WORKLOAD_THREADS(4, "random read faults, four threads"),
        WORKLOAD_THREADS(8, "random read faults, eight threads"),
};
