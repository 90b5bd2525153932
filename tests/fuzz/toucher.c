/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "core.h"
#include "toucher.h"

#define N_TOUCHERS 4
#define PAUSES_TO_WAIT 40
#define PAUSES_TO_SETTLE 600000 /* half a minute at least */

static struct toucher {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool is_busy;
        uint64_t address;
        bool write;
        int pipe[2];
} touchers[N_TOUCHERS];

static void toucher_do(const struct toucher *t, uint64_t address, bool write_there) {
        void *at = (void *) (uintptr_t) address;
        uint64_t word = address;

        if (write_there) {
                (void) !write(t->pipe[1], &word, sizeof(word));
                if (read(t->pipe[0], at, sizeof(word)) < 0)
                        (void) !read(t->pipe[0], &word, sizeof(word));
        } else if (write(t->pipe[1], at, sizeof(word)) > 0)
                (void) !read(t->pipe[0], &word, sizeof(word));
}

static void *toucher_main(void *arg) {
        struct toucher *t = arg;

        pthread_mutex_lock(&t->mutex);
        for (;;) {
                while (!t->is_busy)
                        pthread_cond_wait(&t->changed, &t->mutex);
                pthread_mutex_unlock(&t->mutex);
                toucher_do(t, t->address, t->write);
                pthread_mutex_lock(&t->mutex);
                t->is_busy = false;
        }
        return NULL;
}

void toucher_start(void) {
        for (struct toucher *t = touchers; t < touchers + N_TOUCHERS; t++) {
                pthread_t thread;

                pthread_mutex_init(&t->mutex, NULL);
                pthread_cond_init(&t->changed, NULL);
                CORE_CHECK(pipe2(t->pipe, O_CLOEXEC | O_NONBLOCK) == 0);
                CORE_CHECK(pthread_create(&thread, NULL, toucher_main, t) == 0);
        }
}

static bool toucher_is_busy(struct toucher *t) {
        bool is_busy;

        pthread_mutex_lock(&t->mutex);
        is_busy = t->is_busy;
        pthread_mutex_unlock(&t->mutex);
        return is_busy;
}

static void toucher_order(struct toucher *t, uint64_t address, bool write_there) {
        pthread_mutex_lock(&t->mutex);
        t->address = address;
        t->write = write_there;
        t->is_busy = true;
        pthread_cond_signal(&t->changed);
        pthread_mutex_unlock(&t->mutex);
}

bool toucher_touch(uint64_t address, bool write_there, bool waits) {
        for (struct toucher *t = touchers; t < touchers + N_TOUCHERS; t++)
                if (!toucher_is_busy(t)) {
                        toucher_order(t, address, write_there);
                        for (unsigned i = 0; waits && i < PAUSES_TO_WAIT && toucher_is_busy(t); i++)
                                core_pause();
                        return true;
                }
        return false;
}

void toucher_settle(void) {
        for (struct toucher *t = touchers; t < touchers + N_TOUCHERS; t++) {
                unsigned n = 0;

                while (toucher_is_busy(t)) {
                        CORE_CHECK(n++ < PAUSES_TO_SETTLE);
                        core_pause();
                }
        }
}
