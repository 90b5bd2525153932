/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fill.h"
#include "mapping.h"
#include "memory.h"

/* One is being copied, and the next one lies ready. */
#define FILLS 2

struct filler {
        struct pager *pager;
        pthread_t thread;
        pthread_mutex_t mutex;  /* of stages and results, and is_ending */
        pthread_cond_t changed;
        int tid; /* 0: it has not run yet */
        bool is_ending;
        struct fill fills[FILLS];
};

/* --- in its thread ------------------------------------------------------------------------------------------------------------------------------ */

static int fill_run(const struct fill_work *work) {
        uint64_t n;
        int r = 0;

        for (uint64_t i = 0; r == 0 && i < work->n; i += n) {
                bool is_trap = stream_has_trap(&work->traps, work->block + i, 1);
                const char *buf = work->buf + (i << work->block_shift);

                n = 1;
                while (!is_trap && i + n < work->n && !stream_has_trap(&work->traps, work->block + i + n, 1))
                        n++;
                if (is_trap)
                        r = memory_write(work->memory, (work->block + i) << work->block_shift, buf, (size_t) 1 << work->block_shift);
                else
                        r = mapping_fill(work->mapping, work->block + i, n, buf, UFFD_COPY_PROTECTED);
        }
        return r;
}

static struct fill *filler_next(struct filler *filler) {
        for (unsigned i = 0; i < FILLS; i++)
                if (filler->fills[i].stage == FILL_QUEUED)
                        return &filler->fills[i];
        return NULL;
}

static void filler_do(struct filler *filler, struct fill *fill) {
        int r;

        fill->stage = FILL_RUNS;
        pthread_mutex_unlock(&filler->mutex);
        r = fill_run(&fill->work);
        pthread_mutex_lock(&filler->mutex);
        fill->result = r;
        fill->stage = FILL_ENDED;
        pthread_cond_broadcast(&filler->changed);
        filler->pager->post(filler->pager, &fill->call);
}

static void *filler_main(void *arg) {
        struct filler *filler = arg;
        struct fill *fill;

        pthread_mutex_lock(&filler->mutex);
        filler->tid = (int) gettid();
        while (!filler->is_ending)
                if ((fill = filler_next(filler)))
                        filler_do(filler, fill);
                else
                        pthread_cond_wait(&filler->changed, &filler->mutex);
        pthread_mutex_unlock(&filler->mutex);
        return NULL;
}

/* --- in the pager's ----------------------------------------------------------------------------------------------------------------------------- */

static bool filler_has_cpu(void) {
        cpu_set_t cpus;

        return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

static void filler_free(struct filler *filler) {
        pthread_cond_destroy(&filler->changed);
        pthread_mutex_destroy(&filler->mutex);
        free(filler);
}

static struct filler *filler_new(struct pager *pager) {
        struct filler *filler = calloc(1, sizeof(*filler));
        char name[16];

        if (!filler)
                return NULL;
        filler->pager = pager;
        pthread_mutex_init(&filler->mutex, NULL);
        pthread_cond_init(&filler->changed, NULL);
        if (pthread_create(&filler->thread, NULL, filler_main, filler) != 0) {
                filler_free(filler);
                return NULL;
        }
        snprintf(name, sizeof(name), "filler %u", pager->index);
        (void) pthread_setname_np(filler->thread, name);
        return filler;
}

static struct fill *fill_free_one(struct pager *pager) {
        if (!pager->filler && !pager->has_no_filler) {
                pager->filler = filler_has_cpu() ? filler_new(pager) : NULL;
                pager->has_no_filler = !pager->filler;
        }
        for (unsigned i = 0; pager->filler && i < FILLS; i++)
                if (!pager->filler->fills[i].is_taken)
                        return &pager->filler->fills[i];
        return NULL;
}

bool fill_is_free(struct pager *pager) {
        return fill_free_one(pager);
}

static void fill_on_end(struct pager *pager, struct pager_call *call) {
        struct fill *fill = (struct fill *) ((char *) call - offsetof(struct fill, call));

        (void) pager;
        fill->is_taken = false;
        if (fill->ended)
                fill->ended(fill);
}

struct fill *fill_begin(struct pager *pager, const struct fill_work *work, void *owner, void (*ended)(struct fill *fill)) {
        struct fill *fill = fill_free_one(pager);

        if (!fill)
                return NULL;
        pthread_mutex_lock(&pager->filler->mutex);
        *fill = (struct fill) { .call = { .run = fill_on_end }, .work = *work, .owner = owner, .ended = ended, .is_taken = true, .stage = FILL_QUEUED };
        pthread_cond_broadcast(&pager->filler->changed);
        pthread_mutex_unlock(&pager->filler->mutex);
        return fill;
}

bool fill_cancel(struct pager *pager, struct fill *fill) {
        bool is_queued;

        pthread_mutex_lock(&pager->filler->mutex);
        is_queued = fill->stage == FILL_QUEUED;
        if (is_queued) {
                fill->stage = FILL_ENDED;
                fill->result = -ECANCELED;
                fill->is_taken = false;
        }
        pthread_mutex_unlock(&pager->filler->mutex);
        return is_queued;
}

void fill_wait(struct pager *pager, struct fill *fill) {
        struct filler *filler = pager->filler;

        if (fill_cancel(pager, fill))
                return;
        pthread_mutex_lock(&filler->mutex);
        atomic_store(&pager->awaited_tid, filler->tid);
        while (fill->stage != FILL_ENDED)
                pthread_cond_wait(&filler->changed, &filler->mutex);
        atomic_store(&pager->awaited_tid, 0);
        fill->ended = NULL;
        pthread_mutex_unlock(&filler->mutex);
}

bool fill_is_idle(const struct pager *pager) {
        for (unsigned i = 0; pager->filler && i < FILLS; i++)
                if (pager->filler->fills[i].is_taken)
                        return false;
        return true;
}

void fill_end(struct pager *pager) {
        struct filler *filler = pager->filler;

        if (!filler)
                return;
        pthread_mutex_lock(&filler->mutex);
        filler->is_ending = true;
        pthread_cond_broadcast(&filler->changed);
        pthread_mutex_unlock(&filler->mutex);
        pthread_join(filler->thread, NULL);
        filler_free(filler);
        pager->filler = NULL;
}
