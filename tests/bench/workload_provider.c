/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files whose content comes from another process, or from this one, beside one that is read from the page cache: touched in order and at random, by one thread and by
 * four, each with a part of its own. */

#include <errno.h>
#include <pthread.h>

#include "access.h"
#include "content.h"
#include "order.h"

#define WORKLOAD_PROVIDER_THREADS_MAX 4

struct workload_provider_thread {
        struct workload_run *run;
        pthread_barrier_t *barrier;
        uint64_t first; /* in order: of the blocks; at random: of the run's order */
        uint64_t n;
        bool is_random;
        bool is_wrong;
        pthread_t thread;
};

static void *workload_provider_thread_run(void *arg) {
        struct workload_provider_thread *self = arg;
        struct workload_run *run = self->run;

        pthread_barrier_wait(self->barrier);
        for (uint64_t i = self->first; i < self->first + self->n; i++) {
                uint64_t block = self->is_random ? run->order[i] : i;

                self->is_wrong |= *(volatile const uint64_t *) subject_look(run->subject, block) != content_word(block, 0);
        }
        return NULL;
}

static int workload_provider_run_threads(struct workload_run *run, uint64_t n_all, bool is_random) {
        unsigned n_threads = run->workload->parameter;
        struct workload_provider_thread threads[WORKLOAD_PROVIDER_THREADS_MAX];
        uint64_t n = n_all / n_threads;
        pthread_barrier_t barrier;
        bool is_wrong = false;
        int r;

        pthread_barrier_init(&barrier, NULL, n_threads + 1);
        for (unsigned i = 0; i < n_threads; i++) {
                threads[i] = (struct workload_provider_thread) { .run = run, .barrier = &barrier, .first = i * n, .n = n, .is_random = is_random };
                if (pthread_create(&threads[i].thread, NULL, workload_provider_thread_run, &threads[i]) != 0)
                        return -EAGAIN; /* those that are there wait for ever: the bench ends */
        }
        r = access_begin(run);
        pthread_barrier_wait(&barrier);
        for (unsigned i = 0; i < n_threads; i++) {
                pthread_join(threads[i].thread, NULL);
                is_wrong |= threads[i].is_wrong;
        }
        if (r == 0)
                r = access_end(run);
        pthread_barrier_destroy(&barrier);
        run->n_touches = n * n_threads;
        run->bytes = n * n_threads * CONTENT_BLOCK;
        return r == 0 && is_wrong ? -EBADMSG : r;
}

static int workload_provider_run_in_order(struct workload_run *run) {
        return workload_provider_run_threads(run, run->setup->content->n_blocks, false);
}

static int workload_provider_run_at_random(struct workload_run *run) {
        uint64_t n = run->setup->n_accesses;
        int r;

        r = order_random(0, run->setup->content->n_blocks, n, run->seed, run->order);
        return r < 0 ? r : workload_provider_run_threads(run, n, true);
}

static const struct subject_kind *const workload_provider_subjects[] = { &subject_fuse, &subject_bigfile, &subject_ops, &subject_ops_ahead, &subject_ops_2m,
                                                                         &subject_ops_2m_ahead, &subject_ops_huge, &subject_ops_small_huge, NULL };

static const struct subject_kind *const workload_provider_random_subjects[] = { &subject_fuse, &subject_fuse_random, &subject_bigfile, &subject_ops, &subject_ops_2m,
                                                                                &subject_ops_huge, NULL };

/* All of it is in the pool at the end. */
#define WORKLOAD_PROVIDER(name_, title_, unit_, run_, subjects_, n_)                                                                                        \
        {                                                                                                                                                   \
                .name = "served-" name_, .title = title_, .unit = unit_, .run = run_, .subjects = subjects_, .base = &subject_fuse,                         \
                .flags = WORKLOAD_ANY_CPU, .pool_percent = 120, .parameter = n_                                                                             \
        }

const struct workload workload_provider[4] = {
        WORKLOAD_PROVIDER("sequential-1", "served files, in order, one thread", WORKLOAD_RATE, workload_provider_run_in_order, workload_provider_subjects, 1),
        WORKLOAD_PROVIDER("sequential-4", "served files, in order, four threads", WORKLOAD_RATE, workload_provider_run_in_order, workload_provider_subjects, 4),
        WORKLOAD_PROVIDER("random-1", "served files, at random, one thread", WORKLOAD_TOUCHES, workload_provider_run_at_random, workload_provider_random_subjects, 1),
        WORKLOAD_PROVIDER("random-4", "served files, at random, four threads", WORKLOAD_TOUCHES, workload_provider_run_at_random, workload_provider_random_subjects, 4),
};
