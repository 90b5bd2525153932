/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "absent.h"
#include "admission.h"
#include "closer.h"
#include "closing.h"
#include "fill.h"
#include "guess.h"
#include "log.h"
#include "pager_thread.h"
#include "request_open.h"
#include "requests.h"
#include "provider.h"
#include "quota.h"
#include "range.h"
#include "reclaim.h"
#include "spill.h"
#include "standing.h"
#include "stray.h"
#include "sweep.h"
#include "tune.h"

/* What is under way when the daemon ends gets so long. */
#define PAGER_THREAD_END_USEC 3000000u

struct pager_request {
        struct pager_call call;
        struct request request;
};

struct pager_ask {
        struct pager_call call;
        struct reclaim_ask ask;
};

/* A node carries a request in, and is kept to carry a reply out: as each request gets one reply, there is always one at hand. */
union pager_node {
        struct outbox_item out; /* first in both: who has one of them can free it */
        struct pager_request in;
        struct pager_ask ask;
};

struct spare_node {
        STAILQ_ENTRY(spare_node) entry; /* thread->spare -> node->entry */
};

struct pager_farewell {
        struct pager_call call;
        uint64_t peer;
};

struct pager_closing {
        struct pager_call call;
        int fds[WIRE_FDS_MAX];
        unsigned n_fds;
};

struct pager_tuning {
        struct pager_call call;
        struct pager_options options;
};

struct pager_thread {
        struct pager pager;
        struct pager_thread_params params;
        pthread_t thread;

        pthread_mutex_t mutex; /* of in, for a few instructions at a time */
        STAILQ_HEAD(pager_calls, pager_call) in;
        int in_fd; /* an eventfd */
        atomic_uint n_turns_in; /* how often it has looked at what came in */
        atomic_int tid;

        /* the pager's own: */
        STAILQ_HEAD(, spare_node) spare;
        struct pager_call end;
        struct ring_op in_op;
        uint64_t in_value;
        bool is_ending;
        bool is_hanging;
        struct ring_op end_op;

        /* how it began: */
        pthread_cond_t started;
        bool has_started;
        int start_error;
};

static struct pager_thread *pager_thread_of(struct pager *pager) {
        return (struct pager_thread *) ((char *) pager - offsetof(struct pager_thread, pager));
}

/* --- from any thread ---------------------------------------------------------------------------------------------------------------------------- */

static void pager_thread_call(struct pager_thread *thread, struct pager_call *call) {
        bool was_empty;

        pthread_mutex_lock(&thread->mutex);
        was_empty = STAILQ_EMPTY(&thread->in);
        STAILQ_INSERT_TAIL(&thread->in, call, entry);
        pthread_mutex_unlock(&thread->mutex);
        if (was_empty)
                (void) !write(thread->in_fd, &(uint64_t) { 1 }, sizeof(uint64_t)); /* full only if it was written to 2^64 times already */
}

static void pager_thread_post(struct pager *pager, struct pager_call *call) {
        pager_thread_call(pager_thread_of(pager), call);
}

static void pager_thread_post_to(struct pager *pager, unsigned index, struct pager_call *call) {
        pager_thread_call(pager_thread_of(pager)->params.threads[index], call);
}

/* --- inside the thread: out --------------------------------------------------------------------------------------------------------------------- */

static union pager_node *pager_thread_take_spare(struct pager_thread *thread) {
        struct spare_node *node = STAILQ_FIRST(&thread->spare);

        assert(node);
        STAILQ_REMOVE_HEAD(&thread->spare, entry);
        return (union pager_node *) node;
}

static void pager_thread_reply(struct pager *pager, uint64_t peer, union wire_msg *msg, const int *fds, unsigned n_fds) {
        struct pager_thread *thread = pager_thread_of(pager);
        struct outbox_item *item = &pager_thread_take_spare(thread)->out;

        item->reply = (struct pager_reply) { .peer = peer, .pager = pager->index, .msg = *msg, .n_fds = n_fds };
        for (unsigned i = 0; i < n_fds; i++)
                item->reply.fds[i] = fds[i];
        outbox_put(thread->params.outbox, item);
}

static void pager_thread_drop_peer(struct pager *pager, uint64_t peer, const char *why) {
        struct outbox_item *item = calloc(1, sizeof(*item));

        if (!item) {
                log_error("no memory to drop a client: %s", why);
                return;
        }
        item->reply = (struct pager_reply) { .peer = peer, .is_drop = true, .why = why };
        outbox_put(pager_thread_of(pager)->params.outbox, item);
}

static void pager_thread_run_ask(struct pager *pager, struct pager_call *call);

/* The node that the reply would have gone out in goes on. */
static void pager_thread_pass_on(struct pager *pager, const struct reclaim_ask *ask) {
        struct pager_thread *thread = pager_thread_of(pager);
        struct pager_ask *in = &pager_thread_take_spare(thread)->ask;
        unsigned next = (pager->index + 1) % atomic_load(&pager->commons->n_pagers);

        *in = (struct pager_ask) { .call = { .run = pager_thread_run_ask }, .ask = *ask };
        pager_thread_call(thread->params.threads[next], &in->call);
}

/* --- inside the thread: in ---------------------------------------------------------------------------------------------------------------------- */

static void pager_thread_on_end_timer(struct ring_op *op, int result) {
        struct pager_thread *thread = (struct pager_thread *) ((char *) op - offsetof(struct pager_thread, end_op));

        if (result == -ETIME)
                thread->is_hanging = true;
}

static void pager_thread_run_end(struct pager *pager, struct pager_call *call) {
        struct pager_thread *thread = pager_thread_of(pager);

        (void) call;
        thread->is_ending = true;
        closing_everything(pager);
        request_open_forget_all(pager);
        if (pager->room_timer_is_set)
                ring_cancel(pager->ring, &pager->room_timer);
        if (pager->quota_timer_is_set)
                ring_cancel(pager->ring, &pager->quota_timer);
        absent_end(pager);
        stray_end(pager);
        spill_stop(pager);
        guess_stop(pager);
        provider_end_all(pager);
        thread->end_op.done = pager_thread_on_end_timer;
        ring_timer(pager->ring, &thread->end_op, ring_now() + PAGER_THREAD_END_USEC);
}

static void pager_thread_close_fds(struct pager *pager, const int *fds, unsigned n_fds) {
        for (unsigned i = 0; i < n_fds; i++)
                ring_close(pager->ring, fds[i]);
}

static void pager_thread_run_request(struct pager *pager, struct pager_call *call) {
        struct pager_thread *thread = pager_thread_of(pager);
        struct request request = ((struct pager_request *) call)->request;
        int fds[WIRE_FDS_MAX];

        STAILQ_INSERT_HEAD(&thread->spare, (struct spare_node *) call, entry);
        requests_handle(pager, &request);
        pager_thread_close_fds(pager, fds, request_take_fds(&request, fds));
        request_release(pager->commons, &request);
}

static void pager_thread_run_ask(struct pager *pager, struct pager_call *call) {
        struct reclaim_ask ask = ((struct pager_ask *) call)->ask;
        int r;

        STAILQ_INSERT_HEAD(&pager_thread_of(pager)->spare, (struct spare_node *) call, entry);
        r = range_reclaim(pager, &ask);
        if (r < 0)
                pager_reply_error(pager, &ask.to, r);
}

static void pager_thread_run_farewell(struct pager *pager, struct pager_call *call) {
        struct pager_farewell *farewell = (struct pager_farewell *) call;

        closing_peer(pager, farewell->peer);
        request_open_forget(pager, farewell->peer);
        provider_forget_peer(pager, farewell->peer);
        free(farewell);
}

static void pager_thread_run_close(struct pager *pager, struct pager_call *call) {
        struct pager_closing *closing = (struct pager_closing *) call;

        pager_thread_close_fds(pager, closing->fds, closing->n_fds);
        free(closing);
}

static void pager_thread_run_tuning(struct pager *pager, struct pager_call *call) {
        struct pager_tuning *tuning = (struct pager_tuning *) call;

        tune_pager(pager, &tuning->options);
        free(tuning);
}

static void pager_thread_read_in(struct pager_thread *thread) {
        ring_read_events(thread->pager.ring, &thread->in_op, thread->in_fd, &thread->in_value, sizeof(thread->in_value));
}

static void pager_thread_on_in(struct ring_op *op, int result) {
        struct pager_thread *thread = (struct pager_thread *) ((char *) op - offsetof(struct pager_thread, in_op));
        struct pager_calls calls = STAILQ_HEAD_INITIALIZER(calls);
        struct pager_call *call;

        (void) result;
        atomic_fetch_add_explicit(&thread->n_turns_in, 1, memory_order_relaxed);
        pthread_mutex_lock(&thread->mutex);
        STAILQ_CONCAT(&calls, &thread->in);
        pthread_mutex_unlock(&thread->mutex);
        while ((call = STAILQ_FIRST(&calls))) {
                STAILQ_REMOVE_HEAD(&calls, entry);
                call->run(&thread->pager, call);
        }
        pager_thread_read_in(thread);
}

/* --- inside the thread: its life ---------------------------------------------------------------------------------------------------------------- */

static void pager_thread_hear_others(struct pager *pager) {
        unsigned pokes = commons_take_pokes(pager->commons, pager->index);

        pager->room_is_news |= pokes & POKE_ROOM;
        pager->quota_is_freed |= pokes & POKE_QUOTA;
        pager->turn_is_news |= pokes & POKE_TURN;
}

/* What others may wait for. */
static void pager_thread_tell_others(struct pager *pager) {
        struct commons *commons = pager->commons;

        if (pager->room_is_given)
                commons_poke_others(commons, pager->index, atomic_load(&commons->room_waiters), POKE_ROOM);
        pager->room_is_given = false;
        if (pager->quota_others != 0)
                commons_poke_others(commons, pager->index, pager->quota_others, POKE_QUOTA);
        pager->quota_others = 0;
        if (pager->turn_others != 0)
                commons_poke_others(commons, pager->index, pager->turn_others, POKE_TURN);
        pager->turn_others = 0;
        standing_publish(pager);
}

/* One turn: what has ended, what was asked, a step of each job, then loads that wait for theirs, then what waits for room, which any of these may have made,
 * and some reclaim and spilling. It sleeps only if none of them has more to do. */
static int pager_thread_turn(struct pager_thread *thread, bool *is_idle) {
        struct pager *pager = &thread->pager;
        bool reclaims, spills;
        int r;

        r = ring_run(pager->ring, *is_idle);
        if (r < 0)
                return r;
        pager_thread_hear_others(pager);
        jobs_run(&pager->jobs);
        if (pager->turn_is_news)
                admission_turns_changed(pager);
        if (!TAILQ_EMPTY(&pager->room_queue))
                admission_room_changed(pager);
        if (pager->quota_is_freed)
                quota_changed(pager);
        reclaims = reclaim_continue(pager);
        sweep_continue(pager);
        spills = spill_continue(pager);
        pager_thread_tell_others(pager);
        *is_idle = !reclaims && !spills && !pager->turn_is_news && jobs_is_idle(&pager->jobs);
        return 0;
}

static bool pager_thread_is_done(const struct pager_thread *thread, bool is_idle) {
        const struct pager *pager = &thread->pager;

        if (!thread->is_ending || thread->is_hanging)
                return thread->is_ending;
        return is_idle && fill_is_idle(pager) && pager->filehs.n_used == 0 && pager->n_leaving == 0 && ring_n_pending(pager->ring) <= 2; /* the timer, and who may call */
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
        struct pager *pager = &thread->pager;
        int r;

        atomic_store(&thread->tid, (int) gettid());
        r = pager_init(pager, thread->params.commons, thread->params.index, &thread->params.options);

        pager->reply = pager_thread_reply;
        pager->drop_peer = pager_thread_drop_peer;
        pager->post = pager_thread_post;
        pager->post_to = pager_thread_post_to;
        pager->pass_on = pager_thread_pass_on;
        pthread_mutex_lock(&thread->mutex);
        thread->has_started = true;
        thread->start_error = r;
        pthread_cond_signal(&thread->started);
        pthread_mutex_unlock(&thread->mutex);
        if (r < 0)
                return NULL;
        pager_thread_loop(thread);
        if (!thread->is_hanging) {
                fill_end(pager);
                pager_fini(pager);
        }
        return NULL;
}

/* --- outside ------------------------------------------------------------------------------------------------------------------------------------ */

static void pager_thread_destroy(struct pager_thread *thread) {
        struct spare_node *node;

        while ((node = STAILQ_FIRST(&thread->spare))) {
                STAILQ_REMOVE_HEAD(&thread->spare, entry);
                free(node);
        }
        if (thread->in_fd >= 0)
                close(thread->in_fd);
        pthread_cond_destroy(&thread->started);
        pthread_mutex_destroy(&thread->mutex);
        free(thread);
}

static int pager_thread_start(struct pager_thread *thread) {
        sigset_t all, before;
        char name[16];
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
        r = pthread_create(&thread->thread, NULL, pager_thread_main, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return -r;
        snprintf(name, sizeof(name), "pager %u", thread->params.index);
        (void) pthread_setname_np(thread->thread, name);
        pthread_mutex_lock(&thread->mutex);
        while (!thread->has_started)
                pthread_cond_wait(&thread->started, &thread->mutex);
        pthread_mutex_unlock(&thread->mutex);
        if (thread->start_error < 0)
                pthread_join(thread->thread, NULL);
        return thread->start_error;
}

int pager_thread_new(const struct pager_thread_params *params, struct pager_thread **ret) {
        struct pager_thread *thread = calloc(1, sizeof(*thread));
        int r;

        if (!thread)
                return -ENOMEM;
        thread->params = *params;
        thread->end.run = pager_thread_run_end;
        thread->in_op.done = pager_thread_on_in;
        STAILQ_INIT(&thread->in);
        STAILQ_INIT(&thread->spare);
        pthread_mutex_init(&thread->mutex, NULL);
        pthread_cond_init(&thread->started, NULL);
        thread->in_fd = eventfd(0, EFD_CLOEXEC);
        r = thread->in_fd < 0 ? -errno : pager_thread_start(thread);
        if (r < 0) {
                pager_thread_destroy(thread);
                return r;
        }
        *ret = thread; /* before others may pass something on to it */
        commons_add_pager(params->commons, thread->in_fd);
        return 0;
}

void pager_thread_end(struct pager_thread *thread) {
        pager_thread_call(thread, &thread->end);
}

bool pager_thread_join(struct pager_thread *thread) {
        pthread_join(thread->thread, NULL);
        return !thread->is_hanging;
}

void pager_thread_free(struct pager_thread *thread) {
        pager_thread_destroy(thread);
}

int pager_thread_request(struct pager_thread *thread, const struct request *request) {
        union pager_node *node = malloc(sizeof(*node));

        if (!node)
                return -ENOMEM;
        node->in = (struct pager_request) { .call = { .run = pager_thread_run_request }, .request = *request };
        pager_thread_call(thread, &node->in.call);
        return 0;
}

int pager_thread_tune(struct pager_thread *thread, const struct pager_options *options) {
        struct pager_tuning *tuning = malloc(sizeof(*tuning));

        if (!tuning)
                return -ENOMEM;
        *tuning = (struct pager_tuning) { .call = { .run = pager_thread_run_tuning }, .options = *options };
        pager_thread_call(thread, &tuning->call);
        return 0;
}

unsigned pager_thread_poke(struct pager_thread *thread) {
        unsigned n = atomic_load_explicit(&thread->n_turns_in, memory_order_relaxed);

        (void) !write(thread->in_fd, &(uint64_t) { 1 }, sizeof(uint64_t));
        return n;
}

static bool pager_thread_is_tid_in_kernel(int tid) {
        char path[64], text[256] = "", *end;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
        file = fopen(path, "re");
        if (!file)
                return false;
        (void) !fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
        end = strrchr(text, ')'); /* of its name */
        return end && strncmp(end, ") D", 3) == 0;
}

bool pager_thread_is_in_kernel(const struct pager_thread *thread) {
        int awaited_tid = atomic_load(&thread->pager.awaited_tid);

        return pager_thread_is_tid_in_kernel(awaited_tid > 0 ? awaited_tid : atomic_load(&thread->tid));
}

void pager_thread_close(struct pager_thread *thread, const int *fds, unsigned n_fds) {
        struct pager_closing *closing = n_fds > 0 ? malloc(sizeof(*closing)) : NULL;

        if (!closing) {
                for (unsigned i = 0; i < n_fds; i++)
                        closer_close(fds[i]);
                return;
        }
        *closing = (struct pager_closing) { .call = { .run = pager_thread_run_close }, .n_fds = n_fds };
        memcpy(closing->fds, fds, n_fds * sizeof(int));
        pager_thread_call(thread, &closing->call);
}

struct pager_farewell *pager_farewell_new(void) {
        return calloc(1, sizeof(struct pager_farewell));
}

void pager_farewell_free(struct pager_farewell *farewell) {
        free(farewell);
}

void pager_thread_farewell(struct pager_thread *thread, struct pager_farewell *farewell, uint64_t peer) {
        *farewell = (struct pager_farewell) { .call = { .run = pager_thread_run_farewell }, .peer = peer };
        pager_thread_call(thread, &farewell->call);
}
