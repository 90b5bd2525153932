/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl trace: what happens, a line each, as it does. */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"
#include "errmsg.h"
#include "figures.h"
#include "json.h"
#include "ledger.h"
#include "lines.h"
#include "patience.h"
#include "size.h"

#define TRACE_SECONDS_MAX 86400

/* Names that are not known are asked for, but not all the time. */
#define TRACE_NAMES_NSEC 20000000

static const char *const trace_kinds[] = {
        [REPORT_EVENT_FAULT] = "fault",
        [REPORT_EVENT_STATE] = "state",
        [REPORT_EVENT_LOST] = NULL, /* which is not to be chosen */
};

static const char *const trace_states[N_PAGE_STATES] = {
        [PAGE_EMPTY] = "empty",
        [PAGE_LOADING] = "loading",
        [PAGE_LOADED] = "loaded",
        [PAGE_DIRTY] = "dirty",
        [PAGE_STORING] = "storing",
        [PAGE_STORING_DIRTIED] = "storing, dirtied",
        [PAGE_STORING_DROPPED] = "storing, dropped",
        [PAGE_FAILED] = "failed",
        [PAGE_SPILLING] = "spilling",
        [PAGE_SPILLING_DIRTIED] = "spilling, dirtied",
        [PAGE_SPILLING_DROPPED] = "spilling, dropped",
        [PAGE_SPILLED] = "spilled",
        [PAGE_UNSPILLING] = "unspilling",
        [PAGE_STORING_SPILLED] = "storing, spilled",
        [PAGE_UNSYNCED] = "unsynced",
};

struct trace_view {
        const struct bfctl *bfctl;
        struct file_lines files;
        struct peer_lines peers;
        uint64_t named_nsec;  /* when the names were asked for */
        int64_t offset_nsec;  /* from the daemon's clock to that on the wall */
        uint64_t end_nsec;    /* by the daemon's clock; UINT64_MAX: there is none */
        char unknown[32];
};

static volatile sig_atomic_t trace_is_ended;

static void trace_on_signal(int signal) {
        (void) signal;
        trace_is_ended = 1;
}

static uint64_t trace_clock(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static const char *trace_state(unsigned state) {
        return state < N_PAGE_STATES ? trace_states[state] : "?";
}

/* --- names -------------------------------------------------------------------------------------------------------------------------------------- */

static int trace_name(struct trace_view *view) {
        struct file_lines files;
        struct peer_lines peers;
        int r;

        r = file_lines_ask(view->bfctl->client, &files);
        if (r < 0)
                return r;
        r = peer_lines_ask(view->bfctl->client, &peers);
        if (r < 0) {
                file_lines_fini(&files);
                return r;
        }
        file_lines_fini(&view->files);
        peer_lines_fini(&view->peers);
        view->files = files;
        view->peers = peers;
        view->named_nsec = trace_clock(CLOCK_MONOTONIC);
        return 0;
}

static const struct report_file *trace_find_file(const struct trace_view *view, const struct report_event *event) {
        for (size_t i = 0; i < view->files.n; i++) {
                const struct report_file *file = &view->files.lines[i].file;

                if (file->inode == event->inode && file->device == event->device)
                        return file;
        }
        return NULL;
}

static bool trace_is_named(const struct trace_view *view, const struct report_event *event) {
        return trace_find_file(view, event) && (event->kind != REPORT_EVENT_FAULT || peer_lines_find(&view->peers, event->peer));
}

/* Who is gone already has no name. */
static void trace_know(struct trace_view *view, const struct report_event *event) {
        if (event->kind != REPORT_EVENT_LOST && !trace_is_named(view, event) &&
            trace_clock(CLOCK_MONOTONIC) > view->named_nsec + TRACE_NAMES_NSEC)
                (void) trace_name(view);
}

static const char *trace_path(struct trace_view *view, const struct report_event *event) {
        const struct report_file *file = trace_find_file(view, event);

        if (file)
                return file->path;
        if (view->bfctl->file)
                return view->bfctl->file; /* all of it is of that one */
        snprintf(view->unknown, sizeof(view->unknown), "inode %" PRIu64, event->inode);
        return view->unknown;
}

/* --- telling ------------------------------------------------------------------------------------------------------------------------------------ */

static void trace_words(struct trace_view *view, const struct report_event *event) {
        uint64_t nsec = event->time_nsec + (uint64_t) view->offset_nsec;
        const struct peer_line *peer = peer_lines_find(&view->peers, event->peer);
        time_t seconds = (time_t) (nsec / 1000000000);
        char path[REPORT_PATH_MAX], text[FIGURES_TEXT_MAX];
        struct tm tm;

        localtime_r(&seconds, &tm);
        printf("%02d:%02d:%02d.%06u ", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned) (nsec % 1000000000 / 1000));
        if (event->kind == REPORT_EVENT_LOST) {
                printf("%" PRIu64 " events were not told: they came faster than they were read\n", event->n);
                return;
        }
        snprintf(path, sizeof(path), "%.511s", trace_path(view, event));
        columns_clean(path);
        if (event->kind == REPORT_EVENT_STATE)
                printf("state %s at %" PRIu64 ": %s -> %s\n", path, event->offset, trace_state(event->before), trace_state(event->after));
        else
                printf("fault %s at %" PRIu64 ": %s by pid %d (%s), answered in %s, now %s\n", path, event->offset, event->is_write ? "write" : "read",
                       peer ? peer->peer.pid : 0, peer ? peer->peer.command : "gone", figures_time(event->duration_nsec, text), trace_state(event->after));
}

static void trace_json(struct trace_view *view, const struct report_event *event) {
        const struct peer_line *peer = peer_lines_find(&view->peers, event->peer);
        struct json_object *json = json_new("bfctl.trace/1");

        json_add_number(json, "time_nsec", event->time_nsec + (uint64_t) view->offset_nsec);
        json_add_text(json, "kind", event->kind == REPORT_EVENT_LOST ? "lost" : trace_kinds[event->kind]);
        if (event->kind == REPORT_EVENT_LOST) {
                json_add_number(json, "events", event->n);
                json_print_line(json);
                return;
        }
        json_add_text(json, "path", trace_path(view, event));
        json_add_number(json, "offset", event->offset);
        if (event->kind == REPORT_EVENT_STATE)
                json_add_text(json, "before", trace_state(event->before));
        json_add_text(json, "after", trace_state(event->after));
        if (event->kind == REPORT_EVENT_FAULT) {
                json_add_bool(json, "write", event->is_write);
                json_add_number(json, "pid", peer ? (uint64_t) peer->peer.pid : 0);
                json_add_number(json, "duration_nsec", event->duration_nsec);
        }
        json_print_line(json);
}

static void trace_tell(struct trace_view *view, const struct report_event *event) {
        if (event->kind >= N_REPORT_EVENT_KINDS)
                return; /* of a newer daemon */
        trace_know(view, event);
        if (view->bfctl->peer && event->kind == REPORT_EVENT_FAULT && peer_lines_pid(&view->peers, event->peer) != view->bfctl->peer)
                return;
        if (view->bfctl->as_json)
                trace_json(view, event);
        else
                trace_words(view, event);
}

/* 1: go on; 0: it is over. */
static int trace_read(struct trace_view *view, int fd) {
        struct report_event events[REPORT_EVENTS_MAX];
        ssize_t n = read(fd, events, sizeof(events));

        if (n < 0)
                return errno == EINTR ? 1 : errmsg_fail(-errno, NULL, "cannot read what happens");
        if (n == 0)
                return errmsg_set(-EPIPE, "bigfiled at %s tells no more: it has ended", view->bfctl->socket);
        for (size_t i = 0; i < (size_t) n / sizeof(events[0]); i++)
                trace_tell(view, &events[i]);
        return fflush(stdout) == 0 ? 1 : 0;
}

static int trace_loop(struct trace_view *view, int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        int r = 1;

        while (r > 0 && !trace_is_ended) {
                uint64_t now = trace_clock(CLOCK_MONOTONIC), left = view->end_nsec > now ? (view->end_nsec - now) / 1000000 + 1 : 0;

                if (left == 0)
                        return 0;
                if (poll(&pollfd, 1, left < 1000 ? (int) left : 1000) > 0)
                        r = trace_read(view, fd);
        }
        return r < 0 ? r : 0;
}

/* --- the command -------------------------------------------------------------------------------------------------------------------------------- */

/* A bit; 0: none is called that, which has been said. */
static uint32_t trace_find_kind(const char *name) {
        for (unsigned i = 0; trace_kinds[i]; i++)
                if (strcmp(name, trace_kinds[i]) == 0)
                        return 1u << i;
        complain_unlisted("kind", name, trace_kinds);
        return 0;
}

/* The bits of what is wanted; 0: what is wrong with it has been said. Of one process its faults are known to be its doing. */
static uint32_t trace_wanted_kinds(const struct bfctl *bfctl) {
        const uint32_t all = bfctl->peer ? 1u << REPORT_EVENT_FAULT : 1u << REPORT_EVENT_FAULT | 1u << REPORT_EVENT_STATE;
        uint32_t wanted = bfctl->kind ? trace_find_kind(bfctl->kind) : all;

        if (wanted & ~all) {
                complain("of one process (--peer) only faults can be told, not --kind %s (see bfctl --help)", bfctl->kind);
                return 0;
        }
        return wanted;
}

bool command_trace_check(const struct bfctl *bfctl) {
        uint64_t usec;

        if (trace_wanted_kinds(bfctl) == 0)
                return false;
        if (!bfctl->operand || (seconds_parse(bfctl->operand, &usec) == 0 && usec > 0 && usec <= TRACE_SECONDS_MAX * UINT64_C(1000000)))
                return true;
        complain("\"%s\" is no number of seconds (such as 10 or 0.5, at most %d; see bfctl --help)", bfctl->operand, TRACE_SECONDS_MAX);
        return false;
}

/* A file that is not open yet is known by what the file system says of it. */
static int trace_find_wanted(const struct trace_view *view, struct wire_trace *wanted) {
        const char *name = view->bfctl->file;
        struct stat stat_buf;

        if (!name)
                return 0;
        for (size_t i = 0; i < view->files.n; i++)
                if (file_line_is(&view->files.lines[i], name)) {
                        wanted->device = view->files.lines[i].file.device;
                        wanted->inode = view->files.lines[i].file.inode;
                        return 0;
                }
        if (stat(name, &stat_buf) < 0)
                return errmsg_set(-ENOENT, "no file \"%s\" is open or to be found (see bfctl files)", name);
        wanted->device = stat_buf.st_dev;
        wanted->inode = stat_buf.st_ino;
        return 0;
}

static int trace_begin(const struct trace_view *view, int *ret_fd) {
        struct bf_client *client = view->bfctl->client;
        struct call call = { .handle = NULL };
        int r;

        wire_init(&call.msg, WIRE_TRACE, 0);
        call.msg.trace.kinds = trace_wanted_kinds(view->bfctl);
        r = trace_find_wanted(view, &call.msg.trace);
        if (r < 0)
                return r;
        r = session_call(&client->session, &call);
        if (r < 0)
                return errmsg_fail(r, r == -EPERM ? "only root and the user that bigfiled runs as may" : r == -EBUSY ? "too many others do" : NULL,
                                   "cannot trace %s", client->dial.daemon);
        *ret_fd = chan_packet_take(&call.reply, 0);
        return 0;
}

static void trace_catch(int signal) {
        const struct sigaction action = { .sa_handler = trace_on_signal }; /* poll() is to be interrupted */

        (void) sigaction(signal, &action, NULL);
}

int command_trace(struct bfctl *bfctl) {
        struct trace_view view = { .bfctl = bfctl, .end_nsec = UINT64_MAX };
        uint64_t usec = 0;
        int fd = -1, r;

        view.offset_nsec = (int64_t) (trace_clock(CLOCK_REALTIME) - trace_clock(CLOCK_MONOTONIC));
        r = trace_name(&view);
        if (r == 0)
                r = trace_begin(&view, &fd);
        if (r == 0 && bfctl->peer)
                r = peer_lines_need(&view.peers, bfctl->peer);
        if (r == 0) {
                patience_end();
                trace_catch(SIGINT);
                trace_catch(SIGTERM);
                fprintf(stderr, "bfctl: tracing %s\n", bfctl->client->dial.daemon);
                if (bfctl->operand && seconds_parse(bfctl->operand, &usec) == 0)
                        view.end_nsec = trace_clock(CLOCK_MONOTONIC) + usec * 1000;
                r = trace_loop(&view, fd);
        }
        if (fd >= 0)
                close(fd);
        file_lines_fini(&view.files);
        peer_lines_fini(&view.peers);
        return r;
}
