/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl top: what happens just now, drawn again and again. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"
#include "errmsg.h"
#include "figures.h"
#include "health.h"
#include "json.h"
#include "line_json.h"
#include "look.h"
#include "patience.h"
#include "size.h"
#include "snapshot.h"
#include "term.h"

#define TOP_SECONDS_MAX 3600
#define TOP_USEC_USUAL 1000000u

/* An answer takes that long only if something is wrong; from then on it is said, so often. */
#define TOP_ANSWER_USEC 1000000u
#define TOP_SILENT_USEC 200000u

/* A terminal as wide as this has room for all columns. */
#define TOP_WIDE 132

#define TOP_TEXT_MAX 1024
#define TOP_BAR_MAX 60

enum top_table {
        TOP_FILES,
        TOP_PEERS,
        N_TOP_TABLES,
};

struct top {
        struct bfctl *bfctl;
        uint64_t usec; /* between two looks */
        struct look look;
        struct snapshot now;
        bool has_now;
        enum top_table shown;
        const struct column *sorts[N_TOP_TABLES]; /* by which each is sorted */
        unsigned rows;
        unsigned columns;
};

static const struct columns *const top_columns[N_TOP_TABLES] = {
        [TOP_FILES] = &file_columns,
        [TOP_PEERS] = &peer_columns,
};

/* --- drawing ------------------------------------------------------------------------------------------------------------------------------------ */

static bool top_is_gone(const struct top *top) {
        return !session_is_connected(&top->bfctl->client->session);
}

/* What is below this line is old while there is no answer. */
static void top_draw_health(const struct top *top) {
        struct health health[HEALTH_MAX];
        unsigned n = health_look(&top->now.stats, health);
        char age[FIGURES_TEXT_MAX];

        term_write(TERM_BOLD, "bigfiled");
        term_write(TERM_PLAIN, " up %s: ", figures_age(top->now.stats.uptime_nsec, age));
        if (top->look.is_pending)
                term_write(TERM_BAD, "no answer for %" PRIu64 " s%s", look_silent_nsec(&top->look) / 1000000000,
                           top_is_gone(top) ? ": it is gone; waiting for another" : "");
        else
                term_write(n > 0 ? TERM_BAD : TERM_GOOD, "%s", n > 0 ? health[0].text : "healthy");
        term_newline();
}

/* Dirty, clean and free, in parts of a line. */
static void top_draw_bar(const struct top *top) {
        const struct report_stats *stats = &top->now.stats;
        unsigned width = top->columns > 2 * TOP_BAR_MAX ? TOP_BAR_MAX : top->columns / 2;
        unsigned dirty = (unsigned) (figures_percent(health_dirty_in_pool(stats), stats->pool_bytes) * width / 100.0 + 0.5);
        unsigned used = (unsigned) (figures_percent(stats->resident_bytes, stats->pool_bytes) * width / 100.0 + 0.5);

        term_write(TERM_PLAIN, "pool [");
        for (unsigned i = 0; i < width; i++)
                term_write(i < dirty ? TERM_BAD : i < used ? TERM_GOOD : TERM_DIM, "%s", i < dirty ? "#" : i < used ? "|" : ".");
        term_write(TERM_PLAIN, "] %.1f %%", figures_percent(stats->resident_bytes, stats->pool_bytes));
        term_newline();
}

static void top_draw_sizes(const struct top *top) {
        const struct report_stats *stats = &top->now.stats;
        char used[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX], spilled[SIZE_TEXT_MAX];

        term_write(TERM_PLAIN, "in use %s of %s  dirty %s  spilled %s  clients %" PRIu64 "  files %" PRIu64, size_format(stats->resident_bytes, used),
                   size_format(stats->pool_bytes, pool), size_format(health_dirty_in_pool(stats), dirty), size_format(stats->spilled_bytes, spilled),
                   stats->peers, stats->filehs);
        term_newline();
}

static void top_draw_rates(const struct top *top) {
        char text[FIGURES_TEXT_MAX];

        for (const struct figure *figure = figures; figure->name; figure++) {
                uint64_t n = figure_value(&top->now.lately, figure);

                if (figure->kind == FIGURE_COUNT && strcmp(figure->name, "unspills") != 0 && (n > 0 || !strstr(figure->name, "errors")))
                        term_write(strstr(figure->name, "errors") ? TERM_BAD : TERM_PLAIN, "%s %s/s  ", figure->name,
                                   figures_rate(top->now.seconds > 0.0 ? (double) n / top->now.seconds : 0.0, text));
        }
        term_newline();
}

static void top_draw_latencies(const struct top *top) {
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++) {
                const uint64_t *counts = top->now.lately.latencies[i].counts;
                char median[FIGURES_TEXT_MAX], slow[FIGURES_TEXT_MAX];

                term_write(TERM_BOLD, "%s", figures_latencies[i]);
                if (histogram_count(counts) > 0)
                        term_write(TERM_PLAIN, " %s, p99 %s   ", figures_time(histogram_quantile(counts, 500000), median),
                                   figures_time(histogram_quantile(counts, 990000), slow));
                else
                        term_write(TERM_PLAIN, " -   ");
        }
        term_newline();
}

static void top_draw_table(const struct top *top, const void *lines, size_t n, size_t size) {
        const struct columns *columns = top_columns[top->shown];
        bool is_wide = top->columns >= TOP_WIDE;
        char text[TOP_TEXT_MAX];
        const unsigned first = 6;

        columns_write_titles(columns, is_wide, text, sizeof(text));
        term_write(TERM_REVERSE, "%-*s", (int) top->columns, text);
        term_newline();
        for (size_t i = 0; i < n && first + i + 1 < top->rows; i++) {
                columns_write(columns, (const char *) lines + i * size, is_wide, top->columns, text, sizeof(text));
                term_write(TERM_PLAIN, "%s", text);
                term_newline();
        }
}

static void top_draw(struct top *top) {
        term_draw(&top->rows, &top->columns);
        top_draw_health(top);
        top_draw_bar(top);
        top_draw_sizes(top);
        top_draw_rates(top);
        top_draw_latencies(top);
        if (top->shown == TOP_FILES)
                top_draw_table(top, top->now.files.lines, top->now.files.n, sizeof(struct file_line));
        else
                top_draw_table(top, top->now.peers.lines, top->now.peers.n, sizeof(struct peer_line));
        term_go(top->rows - 1);
        term_write(TERM_DIM, "%s by %s   q quit  tab %s  < > other column", top->shown == TOP_FILES ? "files" : "clients", top->sorts[top->shown]->name,
                   top->shown == TOP_FILES ? "clients" : "files");
        term_newline();
        term_show();
}

/* --- what is looked at -------------------------------------------------------------------------------------------------------------------------- */

static void top_sort(struct top *top) {
        columns_sort(top->sorts[TOP_FILES], top->now.files.lines, top->now.files.n, sizeof(struct file_line));
        columns_sort(top->sorts[TOP_PEERS], top->now.peers.lines, top->now.peers.n, sizeof(struct peer_line));
}

/* Goes on with the look that is pending, or begins one. 1: there is no answer yet. */
static int top_look(struct top *top, uint64_t usec) {
        struct snapshot next;
        int r = 0;

        if (!top->look.is_pending) {
                patience_begin(top->bfctl->socket);
                r = look_begin(&top->look, top->bfctl->client);
        }
        if (r == 0)
                r = look_wait(&top->look, usec, &next);
        if (!top->look.is_pending)
                patience_end();
        if (r != 0)
                return r;
        snapshot_compare(&next, top->has_now ? &top->now : NULL);
        snapshot_fini(&top->now);
        top->now = next;
        top->has_now = true;
        return 0;
}

static void top_choose_column(struct top *top, int step) {
        const struct column *all = top_columns[top->shown]->columns, **sort = &top->sorts[top->shown];
        int n = 0, i = (int) (*sort - all);

        while (all[n].name)
                n++;
        *sort = &all[(i + n + step) % n];
}

/* False: it is over. */
static bool top_obey(struct top *top, enum term_key key) {
        switch (key) {
        case TERM_QUIT:
                return false;
        case TERM_TAB:
                top->shown = (top->shown + 1) % N_TOP_TABLES;
                return true;
        case TERM_LEFT:
                top_choose_column(top, -1);
                return true;
        case TERM_RIGHT:
                top_choose_column(top, 1);
                return true;
        default:
                return true;
        }
}

/* A key is answered at once, with what is known; what is known is not of less than a whole interval. */
static int top_loop(struct top *top) {
        enum term_key key;
        int r = 0;

        do {
                top_sort(top);
                top_draw(top);
                key = term_wait(top->look.is_pending ? TOP_SILENT_USEC : top->usec);
                if (top->look.is_pending)
                        r = top_look(top, 0);
                else if (key == TERM_SPACE || (key == TERM_NOTHING && !term_take_resize()))
                        r = top_look(top, TOP_ANSWER_USEC);
        } while (r >= 0 && top_obey(top, key));
        return r < 0 ? r : 0;
}

/* --- for programs ------------------------------------------------------------------------------------------------------------------------------- */

static void top_json_rates(const struct top *top, struct json_object *json) {
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->kind == FIGURE_COUNT)
                        json_add_real(json, figure->name, top->now.seconds > 0.0 ? (double) figure_value(&top->now.lately, figure) / top->now.seconds : 0.0);
}

static void top_json_latencies(const struct top *top, struct json_object *json) {
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++) {
                struct json_object *object = json_add_object(json, figures_latencies[i]);
                const uint64_t *counts = top->now.lately.latencies[i].counts;

                json_add_number(object, "count", histogram_count(counts));
                json_add_number(object, "p50_nsec", histogram_quantile(counts, 500000));
                json_add_number(object, "p99_nsec", histogram_quantile(counts, 990000));
        }
}

static void top_json_lines(const struct top *top, struct json_object *json) {
        struct json_object *array = json_add_array(json, "files"), *object;

        for (size_t i = 0; i < top->now.files.n; i++) {
                object = json_append_object(array);
                file_line_json(object, &top->now.files.lines[i]);
                json_add_real(object, "faults_per_second", top->now.files.lines[i].faults_per_second);
        }
        array = json_add_array(json, "peers");
        for (size_t i = 0; i < top->now.peers.n; i++) {
                object = json_append_object(array);
                peer_line_json(object, &top->now.peers.lines[i]);
                json_add_real(object, "faults_per_second", top->now.peers.lines[i].faults_per_second);
        }
}

static void top_json(const struct top *top) {
        struct json_object *json = json_new("bfctl.top/1");

        json_add_real(json, "seconds", top->now.seconds);
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->kind != FIGURE_COUNT)
                        json_add_number(json, figure->name, figure_value(&top->now.stats, figure));
        top_json_rates(top, json_add_object(json, "per_second"));
        top_json_latencies(top, json_add_object(json, "latencies"));
        top_json_lines(top, json);
        json_print_line(json);
}

static void top_json_silence(const struct top *top) {
        struct json_object *json = json_new("bfctl.silence/1");

        json_add_text(json, "error", top_is_gone(top) ? "gone" : "no-answer");
        json_add_real(json, "seconds", (double) look_silent_nsec(&top->look) / 1e9);
        json_print_line(json);
}

static void top_sleep(uint64_t usec) {
        for (uint64_t left = usec, step; left > 0; left -= step) {
                step = left < 500000 ? left : 500000;
                (void) usleep((useconds_t) step);
        }
}

/* A line for each look, and one for each second without an answer; until it is interrupted, or nobody reads them. */
static int top_json_loop(struct top *top) {
        int r = 0;

        while (r >= 0) {
                if (r == 0) {
                        top_sort(top);
                        top_json(top);
                } else
                        top_json_silence(top);
                if (fflush(stdout) != 0)
                        return 0;
                if (r == 0)
                        top_sleep(top->usec);
                r = top_look(top, TOP_ANSWER_USEC);
        }
        return r;
}

/* --- the command -------------------------------------------------------------------------------------------------------------------------------- */

static bool top_parse(const struct bfctl *bfctl, struct top *ret) {
        *ret = (struct top) { .usec = TOP_USEC_USUAL };
        if (bfctl->operand && (seconds_parse(bfctl->operand, &ret->usec) < 0 || ret->usec == 0 || ret->usec > TOP_SECONDS_MAX * UINT64_C(1000000))) {
                complain("\"%s\" is no number of seconds (such as 1 or 0.5, at most %d; see bfctl --help)", bfctl->operand, TOP_SECONDS_MAX);
                return false;
        }
        ret->sorts[TOP_FILES] = columns_find(&file_columns, bfctl->sort ? bfctl->sort : file_columns.sort);
        ret->sorts[TOP_PEERS] = columns_find(&peer_columns, peer_columns.sort);
        return ret->sorts[TOP_FILES];
}

bool command_top_check(const struct bfctl *bfctl) {
        struct top top;

        return top_parse(bfctl, &top);
}

static int top_in_terminal(struct top *top) {
        int r;

        patience_set_farewell(term_end);
        r = term_begin();
        if (r < 0)
                r = errmsg_fail(r, "with --json, and stats SECONDS, files and peers work without", "top needs a terminal");
        else
                r = top_loop(top);
        term_end();
        patience_set_farewell(NULL);
        return r;
}

int command_top(struct bfctl *bfctl) {
        struct top top;
        int r;

        (void) top_parse(bfctl, &top);
        top.bfctl = bfctl;
        do
                r = top_look(&top, TOP_ANSWER_USEC);
        while (r > 0); /* patience ends it */
        if (r == 0)
                r = bfctl->as_json ? top_json_loop(&top) : top_in_terminal(&top);
        look_fini(&top.look);
        snapshot_fini(&top.now);
        return r;
}
