/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"
#include "nbd_lines.h"
#include "nbd_link.h"
#include "ring.h"

struct nbd_link {
        struct nbd_link_params params;
        char *uri;
        pthread_t thread;
        int wake_fd; /* an eventfd */

        pthread_mutex_t mutex; /* of what follows, for a few instructions at a time */
        struct nbd_orders in;
        struct nbd_orders ended;
        bool is_told;     /* of what has ended, and has not asked yet */
        bool is_stopping;
        bool is_over;
        int status;
        struct nbd_export export;

        /* the thread's own */
        struct nbd_lines lines;
        struct nbd_orders waiting;
        struct nbd_orders done; /* on their way to ended */
        bool is_stopped;
        uint64_t given_up_till; /* unless something is asked for before that again */
        uint64_t n_taken;   /* writes that the server said it has */
        uint64_t n_flushed; /* of these, those that a sync was about which ended well; or are told to be lost */
        bool is_doubtful;   /* others may have been lost */
};

/* --- ends of requests --------------------------------------------------------------------------------------------------------------------------- */

static void nbd_link_end(struct nbd_link *link, struct nbd_order *order, int error) {
        order->error = error;
        STAILQ_INSERT_TAIL(&link->done, order, entry);
}

static void nbd_link_notify(struct nbd_link *link, bool is_news) {
        bool is_to_tell;

        pthread_mutex_lock(&link->mutex);
        is_news |= !STAILQ_EMPTY(&link->done);
        STAILQ_CONCAT(&link->ended, &link->done);
        is_to_tell = is_news && !link->is_told;
        link->is_told |= is_news;
        pthread_mutex_unlock(&link->mutex);
        if (is_to_tell)
                link->params.on_news(link->params.owner);
}

/* --- sending ------------------------------------------------------------------------------------------------------------------------------------ */

static void nbd_link_on_done(struct nbd_line *line, struct nbd_order *order, int error) {
        struct nbd_link *link = line->owner;

        if (error == 0 && order->kind == NBD_WRITE)
                link->n_taken++;
        if (error == 0 && order->kind == NBD_SYNC && order->n_taken_before > link->n_flushed)
                link->n_flushed = order->n_taken_before;
        if (error == 0 && order->n_done < order->length)
                STAILQ_INSERT_HEAD(&link->waiting, order, entry);
        else
                nbd_link_end(link, order, error);
}

/* Whatever the server says now: it may be another one, and have lost what that one had taken. */
static bool nbd_link_fails_sync(struct nbd_link *link, struct nbd_order *order) {
        struct log_about about = { .file = link->uri, .error = -EIO };

        if (!link->is_doubtful)
                return false;
        log_about(LOG_LEVEL_WARNING, &about, "%s: the connection was lost after it had taken what was not flushed: this writeout fails, and what it was about is dirty again",
                  link->uri);
        link->is_doubtful = false;
        link->n_flushed = link->n_taken;
        nbd_link_end(link, order, -EIO);
        return true;
}

/* Ends what no server is asked for. */
static bool nbd_link_ends_alone(struct nbd_link *link, struct nbd_order *order) {
        if (order->kind == NBD_SYNC && nbd_link_fails_sync(link, order))
                return true;
        if (order->kind == NBD_SYNC ? link->lines.export.can_flush : order->length > 0)
                return false;
        nbd_link_end(link, order, 0); /* who offers no flush has what it has taken */
        return true;
}

static void nbd_link_send(struct nbd_link *link) {
        struct nbd_order *order;
        struct nbd_line *line;
        int r;

        while ((order = STAILQ_FIRST(&link->waiting)) && (line = nbd_lines_best(&link->lines))) {
                STAILQ_REMOVE_HEAD(&link->waiting, entry);
                if (nbd_link_ends_alone(link, order))
                        continue;
                order->n_taken_before = link->n_taken;
                r = nbd_line_send(line, order, link->lines.export.bytes_max);
                if (r < 0)
                        nbd_link_end(link, order, r);
        }
}

/* --- connections -------------------------------------------------------------------------------------------------------------------------------- */

static void nbd_link_on_status(void *owner) {
        struct nbd_link *link = owner;

        if (link->lines.status == 0)
                link->given_up_till = 0;
        pthread_mutex_lock(&link->mutex);
        link->status = link->lines.status;
        link->export = link->lines.export;
        pthread_mutex_unlock(&link->mutex);
        nbd_link_notify(link, true);
}

/* What was under way is sent again. From the loss of the last connection on, all that waits waits so long at the most. */
static void nbd_link_on_closed(void *owner, struct nbd_orders *orders, bool was_ready) {
        struct nbd_link *link = owner;
        uint64_t deadline = ring_now() + link->params.timeout_usec;
        struct nbd_order *order;

        STAILQ_CONCAT(orders, &link->waiting);
        STAILQ_CONCAT(&link->waiting, orders);
        if (!was_ready)
                return;
        link->is_doubtful |= link->n_taken > link->n_flushed;
        if (!nbd_lines_is_ready(&link->lines))
                STAILQ_FOREACH(order, &link->waiting, entry)
                        order->deadline = deadline;
}

/* Without a connection nothing waits for ever. After one request has waited for too long the next ones do not, as long as they come: there are many of them, each
 * after the one before, when a file is read whose server is gone. */
static void nbd_link_expire(struct nbd_link *link) {
        struct nbd_orders waiting = STAILQ_HEAD_INITIALIZER(waiting);
        uint64_t now = ring_now();
        bool is_given_up = now < link->given_up_till && !nbd_lines_is_any(&link->lines);
        struct nbd_order *order;

        if (nbd_lines_is_ready(&link->lines))
                return;
        STAILQ_CONCAT(&waiting, &link->waiting);
        while ((order = STAILQ_FIRST(&waiting))) {
                STAILQ_REMOVE_HEAD(&waiting, entry);
                if (!is_given_up && now < order->deadline) {
                        STAILQ_INSERT_TAIL(&link->waiting, order, entry);
                        continue;
                }
                link->given_up_till = now + link->params.timeout_usec;
                nbd_link_end(link, order, -EIO);
        }
}

/* --- the thread --------------------------------------------------------------------------------------------------------------------------------- */

static void nbd_link_take_in(struct nbd_link *link) {
        struct nbd_orders in = STAILQ_HEAD_INITIALIZER(in);
        uint64_t deadline = ring_now() + link->params.timeout_usec;
        struct nbd_order *order;

        pthread_mutex_lock(&link->mutex);
        STAILQ_CONCAT(&in, &link->in);
        link->is_stopped = link->is_stopping;
        pthread_mutex_unlock(&link->mutex);
        STAILQ_FOREACH(order, &in, entry)
                order->deadline = deadline;
        STAILQ_CONCAT(&link->waiting, &in);
}

static bool nbd_link_has_work(const struct nbd_link *link) {
        return !STAILQ_EMPTY(&link->waiting);
}

/* Milliseconds until something is due by itself; -1: nothing is. */
static int nbd_link_patience(const struct nbd_link *link) {
        uint64_t due = nbd_lines_due(&link->lines, nbd_link_has_work(link)), now = ring_now();
        const struct nbd_order *order;

        if (!nbd_lines_is_ready(&link->lines))
                STAILQ_FOREACH(order, &link->waiting, entry)
                        if (order->deadline < due)
                                due = order->deadline;
        if (due == UINT64_MAX)
                return -1;
        return due <= now ? 0 : (int) ((due - now) / 1000 + 1);
}

static void nbd_link_poll(struct nbd_link *link) {
        struct pollfd fds[NBD_LINES_MAX + 1] = { { .fd = link->wake_fd, .events = POLLIN } };
        uint64_t value;

        for (unsigned i = 0; i < NBD_LINES_MAX; i++) {
                struct nbd_conn *conn = link->lines.list[i].conn;

                fds[i + 1] = (struct pollfd) { .fd = conn ? nbd_conn_fd(conn) : -1, .events = conn ? nbd_conn_events(conn) : 0 };
        }
        if (poll(fds, NBD_LINES_MAX + 1, nbd_link_patience(link)) <= 0)
                return;
        if (fds[0].revents)
                (void) !read(link->wake_fd, &value, sizeof(value));
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                if (fds[i + 1].revents)
                        nbd_conn_step(link->lines.list[i].conn, fds[i + 1].revents);
}

static void *nbd_link_main(void *arg) {
        struct nbd_link *link = arg;

        for (;;) {
                nbd_link_take_in(link);
                if (link->is_stopped)
                        break;
                nbd_lines_look(&link->lines);
                nbd_link_send(link);
                nbd_lines_connect(&link->lines, nbd_link_has_work(link));
                nbd_link_expire(link);
                nbd_link_notify(link, false);
                nbd_link_poll(link);
        }
        nbd_lines_fini(&link->lines);
        pthread_mutex_lock(&link->mutex);
        link->is_over = true;
        pthread_mutex_unlock(&link->mutex);
        nbd_link_notify(link, true);
        return NULL;
}

/* --- from outside ------------------------------------------------------------------------------------------------------------------------------- */

static void nbd_link_wake(struct nbd_link *link) {
        (void) !write(link->wake_fd, &(uint64_t) { 1 }, sizeof(uint64_t)); /* full only if it was written to 2^64 times already */
}

int nbd_link_status(struct nbd_link *link, struct nbd_export *ret_export) {
        int status;

        pthread_mutex_lock(&link->mutex);
        status = link->status;
        *ret_export = link->export;
        pthread_mutex_unlock(&link->mutex);
        return status;
}

void nbd_link_give(struct nbd_link *link, struct nbd_order *order) {
        bool was_empty;

        order->n_done = 0;
        order->error = 0;
        order->line = NULL;
        pthread_mutex_lock(&link->mutex);
        was_empty = STAILQ_EMPTY(&link->in);
        STAILQ_INSERT_TAIL(&link->in, order, entry);
        pthread_mutex_unlock(&link->mutex);
        if (was_empty)
                nbd_link_wake(link);
}

bool nbd_link_take(struct nbd_link *link, struct nbd_orders *ended) {
        bool is_over;

        pthread_mutex_lock(&link->mutex);
        link->is_told = false;
        STAILQ_CONCAT(ended, &link->ended);
        is_over = link->is_over;
        pthread_mutex_unlock(&link->mutex);
        return !is_over;
}

void nbd_link_stop(struct nbd_link *link) {
        pthread_mutex_lock(&link->mutex);
        link->is_stopping = true;
        pthread_mutex_unlock(&link->mutex);
        nbd_link_wake(link);
}

static void nbd_link_destroy(struct nbd_link *link) {
        if (link->wake_fd >= 0)
                close(link->wake_fd);
        pthread_mutex_destroy(&link->mutex);
        free(link->uri);
        free(link);
}

void nbd_link_free(struct nbd_link *link) {
        pthread_join(link->thread, NULL);
        assert(STAILQ_EMPTY(&link->waiting) && STAILQ_EMPTY(&link->in));
        nbd_link_destroy(link);
}

static int nbd_link_start(struct nbd_link *link) {
        sigset_t all, before;
        int e;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
        e = pthread_create(&link->thread, NULL, nbd_link_main, link);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (e == 0)
                (void) pthread_setname_np(link->thread, "nbd");
        return -e;
}

int nbd_link_new(const struct nbd_link_params *params, struct nbd_link **ret) {
        struct nbd_link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return -ENOMEM;
        *link = (struct nbd_link) { .params = *params, .uri = strdup(params->uri), .status = -EINPROGRESS };
        STAILQ_INIT(&link->in);
        STAILQ_INIT(&link->ended);
        STAILQ_INIT(&link->waiting);
        STAILQ_INIT(&link->done);
        nbd_lines_init(&link->lines, &(struct nbd_lines_params) {
                .uri = link->uri,
                .may_read_files = params->may_read_files,
                .timeout_usec = params->timeout_usec,
                .size_min = params->size_min,
                .must_be_writable = params->must_be_writable,
                .on_done = nbd_link_on_done,
                .on_status = nbd_link_on_status,
                .on_closed = nbd_link_on_closed,
                .owner = link,
        });
        pthread_mutex_init(&link->mutex, NULL);
        link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = link->wake_fd < 0 ? -errno : link->uri ? nbd_link_start(link) : -ENOMEM;
        if (r < 0) {
                nbd_link_destroy(link);
                return r;
        }
        *ret = link;
        return 0;
}
