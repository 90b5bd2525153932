/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "absent.h"
#include "closing.h"
#include "inject.h"
#include "load.h"
#include "log.h"
#include "pager_thread.h"
#include "quota.h"
#include "reclaim.h"
#include "spill.h"
#include "stray.h"
#include "sweep.h"

/* What is under way when the daemon ends gets so long. */
#define PAGER_THREAD_END_USEC 3000000u

/* A node carries a request in, and is kept to carry a reply out: as each request gets one reply, there is always one at hand. */
struct pager_node {
        STAILQ_ENTRY(pager_node) entry; /* thread->in, thread->spare or thread->out -> node->entry */
        enum {
                PAGER_NODE_REQUEST,
                PAGER_NODE_FAREWELL,
                PAGER_NODE_CLOSE,
                PAGER_NODE_END,
        } kind;
        union {
                struct request request;
                struct pager_reply reply;
                struct {
                        int fds[WIRE_FDS_MAX];
                        unsigned n_fds;
                } close;
        };
};

STAILQ_HEAD(pager_nodes, pager_node);

struct pager_farewell {
        struct pager_node node;
};

struct pager_thread {
        struct pager pager;
        pthread_t thread;

        pthread_mutex_t mutex; /* of in and out, for a few instructions at a time */
        struct pager_nodes in;
        struct pager_nodes out;
        int in_fd;  /* eventfds */
        int out_fd;

        /* the pager's own: */
        struct pager_nodes spare;
        struct pager_node end; /* its farewell */
        struct ring_op in_op;
        uint64_t in_value;
        bool is_ending;
        bool is_hanging;
        struct ring_op end_op;

        /* how it began: */
        pthread_cond_t started;
        bool has_started;
        int start_error;
        struct pool *pool;
        struct pager_options options;
};

static struct pager_thread *pager_thread_of(struct pager *pager) {
        return (struct pager_thread *) ((char *) pager - offsetof(struct pager_thread, pager));
}

static void pager_thread_signal(int fd) {
        (void) !write(fd, &(uint64_t) { 1 }, sizeof(uint64_t)); /* full only if it was signalled 2^64 times already */
}

/* --- inside the thread: out --------------------------------------------------------------------------------------------------------------------- */

static void pager_thread_put_out(struct pager_thread *thread, struct pager_node *node) {
        bool was_empty;

        pthread_mutex_lock(&thread->mutex);
        was_empty = STAILQ_EMPTY(&thread->out);
        STAILQ_INSERT_TAIL(&thread->out, node, entry);
        pthread_mutex_unlock(&thread->mutex);
        INJECT(PAGER_REPLIED);
        if (was_empty)
                pager_thread_signal(thread->out_fd);
}

static void pager_thread_reply(struct pager *pager, uint64_t peer, union wire_msg *msg, const int *fds, unsigned n_fds) {
        struct pager_thread *thread = pager_thread_of(pager);
        struct pager_node *node = STAILQ_FIRST(&thread->spare);

        assert(node);
        STAILQ_REMOVE_HEAD(&thread->spare, entry);
        node->reply = (struct pager_reply) { .peer = peer, .msg = *msg, .n_fds = n_fds };
        for (unsigned i = 0; i < n_fds; i++)
                node->reply.fds[i] = fds[i];
        pager_thread_put_out(thread, node);
}

static void pager_thread_drop_peer(struct pager *pager, uint64_t peer, const char *why) {
        struct pager_node *node = calloc(1, sizeof(*node));

        if (!node) {
                log_error("no memory to drop a client: %s", why);
                return;
        }
        node->reply = (struct pager_reply) { .peer = peer, .is_drop = true, .why = why };
        pager_thread_put_out(pager_thread_of(pager), node);
}

/* --- inside the thread: in ---------------------------------------------------------------------------------------------------------------------- */

static void pager_thread_on_end_timer(struct ring_op *op, int result) {
        struct pager_thread *thread = (struct pager_thread *) ((char *) op - offsetof(struct pager_thread, end_op));

        if (result == -ETIME)
                thread->is_hanging = true;
}

static void pager_thread_begin_end(struct pager_thread *thread) {
        struct pager *pager = &thread->pager;

        thread->is_ending = true;
        closing_everything(pager);
        request_forget_all(pager);
        if (pager->room_timer_is_set)
                ring_cancel(pager->ring, &pager->room_timer);
        if (pager->quota_timer_is_set)
                ring_cancel(pager->ring, &pager->quota_timer);
        absent_end(pager);
        stray_end(pager);
        spill_stop(pager);
        thread->end_op.done = pager_thread_on_end_timer;
        ring_timer(pager->ring, &thread->end_op, ring_now() + PAGER_THREAD_END_USEC);
}

static void pager_thread_close_fds(struct pager_thread *thread, const int *fds, unsigned n_fds) {
        for (unsigned i = 0; i < n_fds; i++)
                ring_close(thread->pager.ring, fds[i]);
}

static void pager_thread_request_fini(struct pager_thread *thread, struct request *request) {
        int fds[WIRE_FDS_MAX];

        pager_thread_close_fds(thread, fds, request_take_fds(request, fds));
}

static void pager_thread_handle(struct pager_thread *thread, struct pager_node *node) {
        struct request request;

        switch (node->kind) {
        case PAGER_NODE_REQUEST:
                request = node->request;
                STAILQ_INSERT_HEAD(&thread->spare, node, entry);
                request_handle(&thread->pager, &request);
                pager_thread_request_fini(thread, &request);
                break;
        case PAGER_NODE_FAREWELL:
                closing_peer(&thread->pager, node->request.peer);
                request_forget(&thread->pager, node->request.peer);
                free(node);
                break;
        case PAGER_NODE_CLOSE:
                pager_thread_close_fds(thread, node->close.fds, node->close.n_fds);
                free(node);
                break;
        case PAGER_NODE_END:
                pager_thread_begin_end(thread);
                break;
        }
}

static void pager_thread_read_in(struct pager_thread *thread) {
        ring_read_events(thread->pager.ring, &thread->in_op, thread->in_fd, &thread->in_value, sizeof(thread->in_value));
}

static void pager_thread_on_in(struct ring_op *op, int result) {
        struct pager_thread *thread = (struct pager_thread *) ((char *) op - offsetof(struct pager_thread, in_op));
        struct pager_nodes nodes = STAILQ_HEAD_INITIALIZER(nodes);
        struct pager_node *node;

        (void) result;
        pthread_mutex_lock(&thread->mutex);
        STAILQ_CONCAT(&nodes, &thread->in);
        pthread_mutex_unlock(&thread->mutex);
        while ((node = STAILQ_FIRST(&nodes))) {
                STAILQ_REMOVE_HEAD(&nodes, entry);
                pager_thread_handle(thread, node);
        }
        if (!thread->is_ending)
                pager_thread_read_in(thread);
}

/* --- inside the thread: its life ---------------------------------------------------------------------------------------------------------------- */

/* One turn: what has ended, what was asked, a step of each job, then what waits for room, which any of these may have made, and some reclaim and
 * spilling. It sleeps only if none of them has more to do. */
static int pager_thread_turn(struct pager_thread *thread, bool *is_idle) {
        struct pager *pager = &thread->pager;
        bool reclaims, spills;
        int r;

        r = ring_run(pager->ring, *is_idle);
        if (r < 0)
                return r;
        jobs_run(&pager->jobs);
        if (!TAILQ_EMPTY(&pager->room_queue))
                load_room_changed(pager);
        if (pager->quota_is_freed)
                quota_changed(pager);
        reclaims = reclaim_continue(pager);
        sweep_continue(pager);
        spills = spill_continue(pager);
        *is_idle = !reclaims && !spills && jobs_is_idle(&pager->jobs);
        return 0;
}

static bool pager_thread_is_done(const struct pager_thread *thread, bool is_idle) {
        return thread->is_ending && (thread->is_hanging || (is_idle && ring_n_pending(thread->pager.ring) <= 1)); /* the timer */
}

static void pager_thread_loop(struct pager_thread *thread) {
        bool is_idle = true;
        int r = 0;

        pager_thread_read_in(thread);
        while (r == 0 && !pager_thread_is_done(thread, is_idle))
                r = pager_thread_turn(thread, &is_idle);
        if (r < 0) {
                log_error("cannot wait for events with io_uring: %s", strerror(-r));
                abort(); /* without it no fault would be answered any more: a supervisor must know */
        }
}

static void *pager_thread_main(void *arg) {
        struct pager_thread *thread = arg;
        int r = pager_init(&thread->pager, thread->pool, &thread->options);

        thread->pager.reply = pager_thread_reply;
        thread->pager.drop_peer = pager_thread_drop_peer;
        pthread_mutex_lock(&thread->mutex);
        thread->has_started = true;
        thread->start_error = r;
        pthread_cond_signal(&thread->started);
        pthread_mutex_unlock(&thread->mutex);
        if (r < 0)
                return NULL;
        pager_thread_loop(thread);
        if (!thread->is_hanging)
                pager_fini(&thread->pager);
        return NULL;
}

/* --- outside ------------------------------------------------------------------------------------------------------------------------------------ */

static void pager_nodes_free(struct pager_nodes *nodes) {
        struct pager_node *node;

        while ((node = STAILQ_FIRST(nodes))) {
                STAILQ_REMOVE_HEAD(nodes, entry);
                free(node);
        }
}

static void pager_thread_destroy(struct pager_thread *thread) {
        pager_nodes_free(&thread->in);
        pager_nodes_free(&thread->out);
        pager_nodes_free(&thread->spare);
        if (thread->in_fd >= 0)
                close(thread->in_fd);
        if (thread->out_fd >= 0)
                close(thread->out_fd);
        pthread_cond_destroy(&thread->started);
        pthread_mutex_destroy(&thread->mutex);
        free(thread);
}

static int pager_thread_start(struct pager_thread *thread) {
        sigset_t all, before;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
        r = pthread_create(&thread->thread, NULL, pager_thread_main, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return -r;
        (void) pthread_setname_np(thread->thread, "pager");
        pthread_mutex_lock(&thread->mutex);
        while (!thread->has_started)
                pthread_cond_wait(&thread->started, &thread->mutex);
        pthread_mutex_unlock(&thread->mutex);
        if (thread->start_error < 0)
                pthread_join(thread->thread, NULL);
        return thread->start_error;
}

int pager_thread_new(struct pool *pool, const struct pager_options *options, struct pager_thread **ret) {
        struct pager_thread *thread = calloc(1, sizeof(*thread));
        int r;

        if (!thread)
                return -ENOMEM;
        thread->pool = pool;
        thread->options = *options;
        thread->end.kind = PAGER_NODE_END;
        thread->in_op.done = pager_thread_on_in;
        STAILQ_INIT(&thread->in);
        STAILQ_INIT(&thread->out);
        STAILQ_INIT(&thread->spare);
        pthread_mutex_init(&thread->mutex, NULL);
        pthread_cond_init(&thread->started, NULL);
        thread->in_fd = eventfd(0, EFD_CLOEXEC);
        thread->out_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = thread->in_fd < 0 || thread->out_fd < 0 ? -errno : pager_thread_start(thread);
        if (r < 0) {
                pager_thread_destroy(thread);
                return r;
        }
        *ret = thread;
        return 0;
}

static void pager_thread_put_in(struct pager_thread *thread, struct pager_node *node) {
        bool was_empty;

        pthread_mutex_lock(&thread->mutex);
        was_empty = STAILQ_EMPTY(&thread->in);
        STAILQ_INSERT_TAIL(&thread->in, node, entry);
        pthread_mutex_unlock(&thread->mutex);
        if (was_empty)
                pager_thread_signal(thread->in_fd);
}

bool pager_thread_free(struct pager_thread *thread) {
        struct pager_reply reply;

        if (!thread)
                return true;
        pager_thread_put_in(thread, &thread->end);
        pthread_join(thread->thread, NULL);
        if (thread->is_hanging)
                return false;
        while (pager_thread_next(thread, &reply))
                for (unsigned i = 0; i < reply.n_fds; i++)
                        close(reply.fds[i]);
        pager_thread_destroy(thread);
        return true;
}

int pager_thread_request(struct pager_thread *thread, const struct request *request) {
        struct pager_node *node = malloc(sizeof(*node));

        if (!node)
                return -ENOMEM;
        node->kind = PAGER_NODE_REQUEST;
        node->request = *request;
        pager_thread_put_in(thread, node);
        return 0;
}

void pager_thread_close(struct pager_thread *thread, const int *fds, unsigned n_fds) {
        struct pager_node *node = n_fds > 0 ? malloc(sizeof(*node)) : NULL;

        if (!node) {
                for (unsigned i = 0; i < n_fds; i++)
                        close(fds[i]);
                return;
        }
        node->kind = PAGER_NODE_CLOSE;
        node->close.n_fds = n_fds;
        memcpy(node->close.fds, fds, n_fds * sizeof(int));
        pager_thread_put_in(thread, node);
}

struct pager_farewell *pager_farewell_new(void) {
        return calloc(1, sizeof(struct pager_farewell));
}

void pager_thread_farewell(struct pager_thread *thread, struct pager_farewell *farewell, uint64_t peer) {
        farewell->node.kind = PAGER_NODE_FAREWELL;
        farewell->node.request.peer = peer;
        pager_thread_put_in(thread, &farewell->node);
}

int pager_thread_fd(const struct pager_thread *thread) {
        return thread->out_fd;
}

bool pager_thread_next(struct pager_thread *thread, struct pager_reply *ret) {
        struct pager_node *node;
        uint64_t value;

        pthread_mutex_lock(&thread->mutex);
        node = STAILQ_FIRST(&thread->out);
        if (node)
                STAILQ_REMOVE_HEAD(&thread->out, entry);
        else
                (void) !read(thread->out_fd, &value, sizeof(value)); /* under the lock: a reply that comes now signals again */
        pthread_mutex_unlock(&thread->mutex);
        if (!node)
                return false;
        *ret = node->reply;
        free(node);
        return true;
}
