/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <string.h>

#include "log.h"
#include "nbd_lines.h"
#include "ring.h"

/* How many requests a connection gets before there is one more, as some servers do so many of each at a time; and the only one. */
#define NBD_LINES_ORDERS 16u
#define NBD_LINES_ORDERS_ALONE 64u

/* Between tries to connect. */
#define NBD_LINES_PAUSE_USEC_MIN UINT64_C(50000)
#define NBD_LINES_PAUSE_USEC_MAX UINT64_C(2000000)

#define NBD_LINES_EACH(lines, line) for (struct nbd_line *line = (lines)->list; line < (lines)->list + NBD_LINES_MAX; line++)

static unsigned nbd_lines_n(const struct nbd_lines *lines) {
        unsigned n = 0;

        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                n += lines->list[i].conn ? 1 : 0;
        return n;
}

bool nbd_lines_is_any(const struct nbd_lines *lines) {
        return nbd_lines_n(lines) > 0;
}

bool nbd_lines_is_ready(const struct nbd_lines *lines) {
        for (unsigned i = 0; i < NBD_LINES_MAX; i++)
                if (lines->list[i].is_ready)
                        return true;
        return false;
}

struct nbd_line *nbd_lines_best(struct nbd_lines *lines) {
        unsigned max = lines->export.can_multi ? NBD_LINES_ORDERS : NBD_LINES_ORDERS_ALONE, most = 0;
        struct nbd_line *best = NULL;

        NBD_LINES_EACH(lines, line) {
                unsigned room = nbd_line_room(line, max);

                if (room > most)
                        best = line;
                most = room > most ? room : most;
        }
        return best;
}

/* --- losing them -------------------------------------------------------------------------------------------------------------------------------- */

static void nbd_lines_pause(struct nbd_lines *lines) {
        uint64_t usec = lines->pause_usec * 2;

        if (usec < NBD_LINES_PAUSE_USEC_MIN)
                usec = NBD_LINES_PAUSE_USEC_MIN;
        lines->pause_usec = usec < NBD_LINES_PAUSE_USEC_MAX ? usec : NBD_LINES_PAUSE_USEC_MAX;
        lines->paused_till = ring_now() + lines->pause_usec;
}

/* It is told once, and again when there is another reason. */
static void nbd_lines_on_failure(struct nbd_lines *lines, int error, const char *words) {
        struct log_about about = { .file = lines->params.uri, .error = error };

        if (lines->status == -EINPROGRESS) {
                log_about(LOG_LEVEL_WARNING, &about, "%s: cannot connect: %s", lines->params.uri, words);
                lines->status = error;
                lines->params.on_status(lines->params.owner);
        } else if (error != lines->lost_error && !nbd_lines_is_ready(lines)) {
                log_about(LOG_LEVEL_WARNING, &about, "%s: no connection: %s (what is asked of it waits for one; see --nbd-timeout)", lines->params.uri, words);
                lines->lost_error = error;
        }
        nbd_lines_pause(lines);
}

static void nbd_lines_fail(struct nbd_lines *lines, struct nbd_line *line, int error, const char *words) {
        struct nbd_orders orders = STAILQ_HEAD_INITIALIZER(orders);
        char copy[NBD_CONN_WORDS_MAX] = ""; /* they go with the connection */
        bool was_ready = line->is_ready;

        strncat(copy, words, sizeof(copy) - 1);
        nbd_line_close(line, &orders);
        lines->params.on_closed(lines->params.owner, &orders, was_ready);
        nbd_lines_on_failure(lines, error, copy);
}

/* --- looking ------------------------------------------------------------------------------------------------------------------------------------ */

/* The one that came back may be another one. */
static const char *nbd_lines_misfit(const struct nbd_lines *lines, const struct nbd_export *export) {
        uint64_t size_min = lines->status == 0 ? lines->export.size : lines->params.size_min;
        bool must_be_writable = lines->status == 0 ? !lines->export.is_readonly : lines->params.must_be_writable;

        if (export->size < size_min)
                return "it is smaller than it was";
        return must_be_writable && export->is_readonly ? "it is read-only now" : NULL;
}

static void nbd_lines_on_ready(struct nbd_lines *lines, struct nbd_line *line) {
        struct nbd_export export = nbd_conn_export(line->conn);
        struct log_about about = { .file = lines->params.uri };
        const char *misfit = nbd_lines_misfit(lines, &export);

        if (misfit) {
                nbd_lines_fail(lines, line, -ESTALE, misfit);
                return;
        }
        nbd_conn_watch_host(line->conn);
        line->is_ready = true;
        lines->pause_usec = 0;
        if (lines->lost_error < 0)
                log_about(LOG_LEVEL_INFO, &about, "%s: connected again", lines->params.uri);
        lines->lost_error = 0;
        if (lines->status == 0)
                export.size = lines->export.size;
        lines->status = 0;
        lines->export = export;
        lines->params.on_status(lines->params.owner);
}

static void nbd_lines_look_at(struct nbd_lines *lines, struct nbd_line *line) {
        const char *words;
        int error;

        switch (nbd_conn_state(line->conn)) {
        case NBD_CONN_CONNECTING:
                if (ring_now() >= line->deadline)
                        nbd_lines_fail(lines, line, -ETIMEDOUT, "the server does not answer");
                return;
        case NBD_CONN_READY:
                if (!line->is_ready)
                        nbd_lines_on_ready(lines, line);
                if (!line->is_leaving)
                        return;
                break;
        case NBD_CONN_DEAD:
                break;
        }
        error = nbd_conn_error(line->conn, &words);
        nbd_lines_fail(lines, line, error, words);
}

void nbd_lines_look(struct nbd_lines *lines) {
        NBD_LINES_EACH(lines, line)
                if (line->conn)
                        nbd_lines_look_at(lines, line);
}

/* --- making them -------------------------------------------------------------------------------------------------------------------------------- */

static void nbd_lines_open(struct nbd_lines *lines, struct nbd_line *line) {
        char words[NBD_CONN_WORDS_MAX];
        int r;

        r = nbd_conn_new(lines->params.uri, lines->params.may_read_files, &line->conn, words);
        line->deadline = ring_now() + lines->params.timeout_usec;
        if (r < 0)
                nbd_lines_on_failure(lines, r, words);
}

/* The first one in any case, and again when there is something to do; more of them where more waits than those have room for. */
static bool nbd_lines_needs_one(const struct nbd_lines *lines, bool has_work) {
        unsigned n = nbd_lines_n(lines);

        if (n == 0)
                return has_work || lines->status == -EINPROGRESS;
        return has_work && n < NBD_LINES_MAX && lines->export.can_multi && nbd_lines_is_ready(lines);
}

void nbd_lines_connect(struct nbd_lines *lines, bool has_work) {
        if (!nbd_lines_needs_one(lines, has_work) || ring_now() < lines->paused_till)
                return;
        NBD_LINES_EACH(lines, line)
                if (!line->conn) {
                        nbd_lines_open(lines, line);
                        return;
                }
}

/* Something has become of it that was not noted yet: it may be connected, or dead, as soon as something was asked of it. */
static bool nbd_lines_is_news(const struct nbd_line *line) {
        enum nbd_conn_state state = nbd_conn_state(line->conn);

        return line->is_leaving || state == NBD_CONN_DEAD || (state == NBD_CONN_READY && !line->is_ready);
}

uint64_t nbd_lines_due(const struct nbd_lines *lines, bool has_work) {
        uint64_t due = nbd_lines_needs_one(lines, has_work) ? lines->paused_till : UINT64_MAX;

        for (unsigned i = 0; i < NBD_LINES_MAX; i++) {
                const struct nbd_line *line = &lines->list[i];

                if (line->conn && nbd_lines_is_news(line))
                        return 0;
                if (line->conn && !line->is_ready && line->deadline < due)
                        due = line->deadline;
        }
        return due;
}

/* --- all of them -------------------------------------------------------------------------------------------------------------------------------- */

void nbd_lines_init(struct nbd_lines *lines, const struct nbd_lines_params *params) {
        *lines = (struct nbd_lines) { .params = *params, .status = -EINPROGRESS };
        NBD_LINES_EACH(lines, line)
                *line = (struct nbd_line) { .on_done = params->on_done, .owner = params->owner };
}

void nbd_lines_fini(struct nbd_lines *lines) {
        NBD_LINES_EACH(lines, line)
                nbd_conn_free(line->conn);
}
