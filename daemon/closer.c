/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closer.h"

/* What is to be closed waits when so many wait for others. */
#define CLOSER_THREADS_MAX 64

struct closer_item {
        STAILQ_ENTRY(closer_item) entry; /* closer.queue -> item->entry */
        int fd;
};

static struct {
        pthread_mutex_t mutex;
        STAILQ_HEAD(, closer_item) queue;
        unsigned n_threads; /* each until it finds nothing in the queue */
} closer = {
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .queue = STAILQ_HEAD_INITIALIZER(closer.queue),
};

/* --- in its threads ----------------------------------------------------------------------------------------------------------------------------- */

/* How long closing a socket takes is no business of who sent it. What lies in its queue, and what may be held elsewhere, is out of reach. */
static void closer_do(int fd) {
        const struct linger none = { .l_onoff = 0 };

        (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(fd);
}

static void *closer_main(void *arg) {
        struct closer_item *item;

        pthread_mutex_lock(&closer.mutex);
        while ((item = STAILQ_FIRST(&closer.queue))) {
                int fd = item->fd;

                STAILQ_REMOVE_HEAD(&closer.queue, entry);
                pthread_mutex_unlock(&closer.mutex);
                free(item);
                closer_do(fd);
                pthread_mutex_lock(&closer.mutex);
        }
        closer.n_threads--;
        pthread_mutex_unlock(&closer.mutex);
        return arg;
}

/* --- outside ------------------------------------------------------------------------------------------------------------------------------------ */

static void closer_start(void) {
        sigset_t all, before;
        pthread_t thread;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
        if (pthread_create(&thread, NULL, closer_main, NULL) == 0) {
                (void) pthread_setname_np(thread, "closer");
                (void) pthread_detach(thread);
                closer.n_threads++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* False: nobody will close it. */
static bool closer_hand_over(int fd) {
        struct closer_item *item = malloc(sizeof(*item));
        bool is_taken;

        if (!item)
                return false;
        item->fd = fd;
        pthread_mutex_lock(&closer.mutex);
        if (closer.n_threads < CLOSER_THREADS_MAX) /* those that are there may all be waiting */
                closer_start();
        is_taken = closer.n_threads > 0;
        if (is_taken)
                STAILQ_INSERT_TAIL(&closer.queue, item, entry);
        pthread_mutex_unlock(&closer.mutex);
        if (!is_taken)
                free(item);
        return is_taken;
}

void closer_close(int fd) {
        if (!closer_hand_over(fd))
                closer_do(fd);
}

bool closer_close_socket(int fd) {
        socklen_t length = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &(int) { 0 }, &length) < 0)
                return false;
        closer_close(fd);
        return true;
}
