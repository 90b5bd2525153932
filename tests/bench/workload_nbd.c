/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A file that an NBD server has in its RAM, over a Unix socket, beside what reads it without memory, and beside the same served as a local file: pages in random order, and all
 * in order. And one that takes its time for each request: many threads that fault at once, and all in order.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "access.h"
#include "content.h"
#include "order.h"
#include "subject_nbdcopy.h"

#define WORKLOAD_NBD_FAULTS 64

static int workload_nbd_random_run(struct workload_run *run) {
        int r;

        r = order_random(0, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r == 0)
                r = access_read(run);
        return r < 0 ? r : access_check_seen(run);
}

/* Its content is what nbdcopy put there: whether it comes right is not seen with nbdcopy itself. */
static int workload_nbd_read_all(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t sum = 0;

        if (subject_nbdcopy_is(run->subject))
                return subject_nbdcopy_read(run->subject);
        for (uint64_t block = 0; block < content->n_blocks; block++) {
                const uint64_t *words = subject_look(run->subject, block);

                if (!words)
                        return -EIO;
                sum += content_sum_block(words);
        }
        if (sum == content->sum)
                return 0;
        fprintf(stderr, "%s: the sum of all words read is wrong\n", run->subject->kind->title);
        return -EBADMSG;
}

static int workload_nbd_scan_run(struct workload_run *run) {
        int r;

        r = access_begin(run);
        if (r == 0)
                r = workload_nbd_read_all(run);
        if (r == 0)
                r = access_end(run);
        run->bytes = run->setup->content->size;
        return r;
}

/* --- many at once ------------------------------------------------------------------------------------------------------------------------------- */

struct workload_nbd_thread {
        struct subject *subject;
        pthread_barrier_t *barrier;
        uint64_t block;
        uint64_t word;
        pthread_t thread;
};

static void *workload_nbd_thread_run(void *arg) {
        struct workload_nbd_thread *self = arg;

        pthread_barrier_wait(self->barrier);
        self->word = *(volatile const uint64_t *) subject_look(self->subject, self->block);
        return NULL;
}

static int workload_nbd_faults_run(struct workload_run *run) {
        uint64_t step = run->setup->content->n_blocks / WORKLOAD_NBD_FAULTS;
        struct workload_nbd_thread threads[WORKLOAD_NBD_FAULTS];
        pthread_barrier_t barrier;
        int r = 0;

        pthread_barrier_init(&barrier, NULL, WORKLOAD_NBD_FAULTS + 1);
        for (unsigned i = 0; i < WORKLOAD_NBD_FAULTS; i++) {
                threads[i] = (struct workload_nbd_thread) { .subject = run->subject, .barrier = &barrier, .block = i * step };
                if (pthread_create(&threads[i].thread, NULL, workload_nbd_thread_run, &threads[i]) != 0)
                        return -EAGAIN; /* those that are there wait for ever: the bench ends */
        }
        r = access_begin(run);
        pthread_barrier_wait(&barrier);
        for (unsigned i = 0; i < WORKLOAD_NBD_FAULTS; i++)
                pthread_join(threads[i].thread, NULL);
        if (r == 0)
                r = access_end(run);
        pthread_barrier_destroy(&barrier);
        run->number = (double) run->ns / 1e6;
        for (unsigned i = 0; r == 0 && i < WORKLOAD_NBD_FAULTS; i++)
                r = access_check_word(run->subject, threads[i].block, threads[i].word);
        return r;
}

/* --- all of them -------------------------------------------------------------------------------------------------------------------------------- */

static const struct subject_kind *const workload_nbd_random_subjects[] = { &subject_libnbd, &subject_bigfile, &subject_nbd, NULL };
static const struct subject_kind *const workload_nbd_scan_subjects[] = { &subject_nbdcopy, &subject_bigfile, &subject_nbd, NULL };
static const struct subject_kind *const workload_nbd_slow_scan_subjects[] = { &subject_nbdcopy_slow, &subject_nbd_slow, NULL };
static const struct subject_kind *const workload_nbd_slow_subjects[] = { &subject_nbd_slow, NULL };

#define WORKLOAD_NBD_ROOM 125 /* percent of the file: all of it, and the pool's low mark */

const struct workload workload_nbd_random = {
        .name = "nbd-random",
        .title = "random read fault, 4 KiB, from an NBD server's RAM",
        .unit = WORKLOAD_LATENCY,
        .run = workload_nbd_random_run,
        .subjects = workload_nbd_random_subjects,
        .base = &subject_libnbd,
};

const struct workload workload_nbd_sequential = {
        .name = "nbd-sequential",
        .title = "sequential read of the whole file, from an NBD server's RAM",
        .unit = WORKLOAD_RATE,
        .run = workload_nbd_scan_run,
        .subjects = workload_nbd_scan_subjects,
        .base = &subject_nbdcopy,
        .pool_percent = WORKLOAD_NBD_ROOM,
        .n_runs_max = 3,
};

const struct workload workload_nbd_slow_sequential = {
        .name = "nbd-slow-sequential",
        .title = "the same from a server that takes 2 ms for each request",
        .unit = WORKLOAD_RATE,
        .run = workload_nbd_scan_run,
        .subjects = workload_nbd_slow_scan_subjects,
        .base = &subject_nbdcopy_slow,
        .pool_percent = WORKLOAD_NBD_ROOM,
        .n_runs_max = 3,
};

const struct workload workload_nbd_slow_faults = {
        .name = "nbd-slow-faults",
        .title = "64 faults at once, a server that takes 2 ms for each",
        .unit = WORKLOAD_NUMBER,
        .number_unit = "ms",
        .run = workload_nbd_faults_run,
        .subjects = workload_nbd_slow_subjects,
        .flags = WORKLOAD_NO_WARM_UP,
};
