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
#include "nbd_link.h"
#include "ring.h"

/* Connections to a server that offers several, and how many requests one gets before there is one more: some servers do so many of each at a time. */
#define NBD_LINES_MAX 4
#define NBD_LINE_ORDERS 16u

/* The same of the only one. */
#define NBD_LINE_ORDERS_ALONE 64u

/* Between tries to connect. */
#define NBD_PAUSE_USEC_MIN UINT64_C(50000)
#define NBD_PAUSE_USEC_MAX UINT64_C(2000000)

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
        struct nbd_line lines[NBD_LINES_MAX];
        struct nbd_orders waiting;
        struct nbd_orders done; /* on their way to ended */
        bool is_stopped;
        int lost_error; /* why there is no connection, as it was told last; 0: there is one, or was none yet */
        uint64_t pause_usec;
        uint64_t paused_till;
        uint64_t given_up_till; /* unless something is asked for before that again */
        uint64_t n_taken;   /* writes that the server said it has */
        uint64_t n_flushed; /* of these, those that a sync was about which ended well; or are told to be lost */
        bool is_doubtful;   /* others may have been lost */
};

static struct log_about nbd_link_about(const struct nbd_link *link, int error) {
        return (struct log_about) { .file = link->uri, .error = error };
}

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

static void nbd_link_set_status(struct nbd_link *link, int status, const struct nbd_export *export) {
        pthread_mutex_lock(&link->mutex);
        link->status = status;
        if (export)
                link->export = *export;
        pthread_mutex_unlock(&link->mutex);
        nbd_link_notify(link, true);
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
        struct log_about about = nbd_link_about(link, -EIO);

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
        if (order->kind == NBD_SYNC ? link->export.can_flush : order->length > 0)
                return false;
        nbd_link_end(link, order, 0); /* who offers no flush has what it has taken */
        return true;
}

static struct nbd_line *nbd_link_best(struct nbd_link *link) {
        unsigned max = link->export.can_multi ? NBD_LINE_ORDERS : NBD_LINE_ORDERS_ALONE, most = 0;
        struct nbd_line *best = NULL;

        for (struct nbd_line *line = link->lines; line < link->lines + NBD_LINES_MAX; line++) {
                unsigned room = nbd_line_room(line, max);

                if (room > most)
                        best = line;
                most = room > most ? room : most;
        }
        return best;
}

static void nbd_link_send(struct nbd_link *link) {
        struct nbd_order *order;
        struct nbd_line *line;
        int r;

        while ((order = STAILQ_FIRST(&link->waiting)) && (line = nbd_link_best(link))) {
                STAILQ_REMOVE_HEAD(&link->waiting, entry);
                if (nbd_link_ends_alone(link, order))
                        continue;
                order->n_taken_before = link->n_taken;
                r = nbd_line_send(line, order, link->export.bytes_max);
                if (r < 0)
                        nbd_link_end(link, order, r);
        }
}

/* --- connections -------------------------------------------------------------------------------------------------------------------------------- */

static unsigned nbd_link_n_lines(const struct nbd_link *link) {
        unsigned n = 0;

        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                n += link->lines[i].conn ? 1 : 0;
        return n;
}

static bool nbd_link_is_ready(const struct nbd_link *link) {
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                if (link->lines[i].is_ready)
                        return true;
        return false;
}

static void nbd_link_pause(struct nbd_link *link) {
        link->pause_usec = link->pause_usec * 2 > NBD_PAUSE_USEC_MAX ? NBD_PAUSE_USEC_MAX : link->pause_usec * 2;
        if (link->pause_usec < NBD_PAUSE_USEC_MIN)
                link->pause_usec = NBD_PAUSE_USEC_MIN;
        link->paused_till = ring_now() + link->pause_usec;
}

static void nbd_link_on_failure(struct nbd_link *link, int error, const char *words) {
        struct log_about about = nbd_link_about(link, error);

        if (link->status == -EINPROGRESS) {
                log_about(LOG_LEVEL_WARNING, &about, "%s: cannot connect: %s", link->uri, words);
                nbd_link_set_status(link, error, NULL);
        } else if (error != link->lost_error && !nbd_link_is_ready(link)) {
                log_about(LOG_LEVEL_WARNING, &about, "%s: no connection: %s (what is asked of it waits for one; see --nbd-timeout)", link->uri, words);
                link->lost_error = error;
        }
        nbd_link_pause(link);
}

/* What was under way is sent again. From the loss of the last connection on, all that waits waits so long at the most. */
static void nbd_link_close(struct nbd_link *link, struct nbd_line *line) {
        struct nbd_orders orders = STAILQ_HEAD_INITIALIZER(orders);
        uint64_t deadline = ring_now() + link->params.timeout_usec;
        bool was_ready = line->is_ready;
        struct nbd_order *order;

        nbd_line_close(line, &orders);
        STAILQ_CONCAT(&orders, &link->waiting);
        STAILQ_CONCAT(&link->waiting, &orders);
        if (!was_ready)
                return;
        link->is_doubtful |= link->n_taken > link->n_flushed;
        if (!nbd_link_is_ready(link))
                STAILQ_FOREACH(order, &link->waiting, entry)
                        order->deadline = deadline;
}

static void nbd_link_close_failed(struct nbd_link *link, struct nbd_line *line, int error, const char *words) {
        char copy[NBD_CONN_WORDS_MAX] = ""; /* they go with the connection */

        strncat(copy, words, sizeof(copy) - 1);
        nbd_link_close(link, line);
        nbd_link_on_failure(link, error, copy);
}

static void nbd_link_open(struct nbd_link *link, struct nbd_line *line) {
        char words[NBD_CONN_WORDS_MAX];
        int r;

        r = nbd_conn_new(link->uri, link->params.may_read_files, &line->conn, words);
        line->deadline = ring_now() + link->params.timeout_usec;
        if (r < 0)
                nbd_link_on_failure(link, r, words);
}

/* The one that came back may be another one. */
static const char *nbd_link_misfit(const struct nbd_link *link, const struct nbd_export *export) {
        uint64_t size_min = link->status == 0 ? link->export.size : link->params.size_min;
        bool must_be_writable = link->status == 0 ? !link->export.is_readonly : link->params.must_be_writable;

        if (export->size < size_min)
                return "it is smaller than it was";
        return must_be_writable && export->is_readonly ? "it is read-only now" : NULL;
}

static void nbd_link_on_ready(struct nbd_link *link, struct nbd_line *line) {
        struct nbd_export export = nbd_conn_export(line->conn);
        struct log_about about = nbd_link_about(link, 0);
        const char *misfit = nbd_link_misfit(link, &export);

        if (misfit) {
                nbd_link_close_failed(link, line, -ESTALE, misfit);
                return;
        }
        line->is_ready = true;
        link->pause_usec = 0;
        link->given_up_till = 0;
        if (link->lost_error < 0)
                log_about(LOG_LEVEL_INFO, &about, "%s: connected again", link->uri);
        link->lost_error = 0;
        if (link->status == 0)
                export.size = link->export.size;
        nbd_link_set_status(link, 0, &export);
}

static void nbd_link_look_at(struct nbd_link *link, struct nbd_line *line) {
        const char *words;
        int error;

        switch (nbd_conn_state(line->conn)) {
        case NBD_CONN_CONNECTING:
                if (ring_now() >= line->deadline)
                        nbd_link_close_failed(link, line, -ETIMEDOUT, "the server does not answer");
                return;
        case NBD_CONN_READY:
                if (!line->is_ready)
                        nbd_link_on_ready(link, line);
                if (!line->is_leaving)
                        return;
                break;
        case NBD_CONN_DEAD:
                break;
        }
        error = nbd_conn_error(line->conn, &words);
        nbd_link_close_failed(link, line, error, words);
}

static void nbd_link_look(struct nbd_link *link) {
        for (struct nbd_line *line = link->lines; line < link->lines + NBD_LINES_MAX; line++)
                if (line->conn)
                        nbd_link_look_at(link, line);
}

/* One is needed first, and for as long as there is something to do; more where more waits than the ones there are have room for. */
static bool nbd_link_needs_line(const struct nbd_link *link) {
        unsigned n = nbd_link_n_lines(link);

        if (n == 0)
                return link->status == -EINPROGRESS || !STAILQ_EMPTY(&link->waiting);
        return n < NBD_LINES_MAX && link->export.can_multi && nbd_link_is_ready(link) && !STAILQ_EMPTY(&link->waiting);
}

static void nbd_link_connect(struct nbd_link *link) {
        if (!nbd_link_needs_line(link) || ring_now() < link->paused_till)
                return;
        for (struct nbd_line *line = link->lines; line < link->lines + NBD_LINES_MAX; line++)
                if (!line->conn) {
                        nbd_link_open(link, line);
                        return;
                }
}

/* Without a connection nothing waits for ever. After one request has waited for too long the next ones do not, as long as they come: there are many of them, each
 * after the one before, when a file is read whose server is gone. */
static void nbd_link_expire(struct nbd_link *link) {
        struct nbd_orders waiting = STAILQ_HEAD_INITIALIZER(waiting);
        uint64_t now = ring_now();
        bool is_given_up = now < link->given_up_till && nbd_link_n_lines(link) == 0;
        struct nbd_order *order;

        if (nbd_link_is_ready(link))
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

/* Milliseconds until something is due by itself; -1: nothing is. */
static int nbd_link_patience(const struct nbd_link *link) {
        uint64_t due = UINT64_MAX, now = ring_now();
        const struct nbd_order *order;

        for (const struct nbd_line *line = link->lines; line < link->lines + NBD_LINES_MAX; line++) {
                if (line->conn && (line->is_leaving || nbd_conn_state(line->conn) == NBD_CONN_DEAD))
                        return 0;
                if (line->conn && !line->is_ready && line->deadline < due)
                        due = line->deadline;
        }
        if (nbd_link_needs_line(link) && link->paused_till < due)
                due = link->paused_till;
        if (!nbd_link_is_ready(link))
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
                struct nbd_conn *conn = link->lines[i].conn;

                fds[i + 1] = (struct pollfd) { .fd = conn ? nbd_conn_fd(conn) : -1, .events = conn ? nbd_conn_events(conn) : 0 };
        }
        if (poll(fds, NBD_LINES_MAX + 1, nbd_link_patience(link)) <= 0)
                return;
        if (fds[0].revents)
                (void) !read(link->wake_fd, &value, sizeof(value));
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                if (fds[i + 1].revents)
                        nbd_conn_step(link->lines[i].conn, fds[i + 1].revents);
}

static void *nbd_link_main(void *arg) {
        struct nbd_link *link = arg;

        for (;;) {
                nbd_link_take_in(link);
                if (link->is_stopped)
                        break;
                nbd_link_look(link);
                nbd_link_send(link);
                nbd_link_connect(link);
                nbd_link_expire(link);
                nbd_link_notify(link, false);
                nbd_link_poll(link);
        }
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                nbd_conn_free(link->lines[i].conn);
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
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                link->lines[i] = (struct nbd_line) { .on_done = nbd_link_on_done, .owner = link };
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
