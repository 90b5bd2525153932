/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FIGURES_H
#define BF_FIGURES_H

/* The numbers of a struct report_stats by name, and how numbers are written for people. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

enum figure_kind {
        FIGURE_BYTES,
        FIGURE_NOW,   /* how many there are */
        FIGURE_COUNT, /* how many there have been */
};

struct figure {
        const char *name; /* in JSON and in tables: for ever */
        size_t offset;    /* in struct report_stats */
        enum figure_kind kind;
        bool is_status; /* also part of the status */
};

/* One without name ends them. */
extern const struct figure figures[];

uint64_t figure_value(const struct report_stats *stats, const struct figure *figure);

/* Is the later look of the same daemon? Another one, which came in between, runs for less than the time since then, or has counted less. */
bool figures_continue(const struct report_stats *before, const struct report_stats *after);

/* What happened between two looks: counts and latencies are differences, the rest is of the later one. Returns the seconds it is of. If there was none before (NULL),
 * or one at another daemon: what happened since this one began. */
double figures_between(const struct report_stats *before, const struct report_stats *after, struct report_stats *ret);

double figures_percent(uint64_t part, uint64_t whole);

/* The names of enum report_latency. */
extern const char *const figures_latencies[N_REPORT_LATENCIES];

/* Room for any text of these. */
#define FIGURES_TEXT_MAX 24

/* A time for people: "850 ns", "12.3 us", "4.0 ms", "1.2 s". Returns text. */
const char *figures_time(uint64_t nsec, char text[static FIGURES_TEXT_MAX]);

/* The same of something long: "3 s", "5 min", "2 h 10 min", "4 d 3 h". */
const char *figures_age(uint64_t nsec, char text[static FIGURES_TEXT_MAX]);

/* A rate: "0", "0.5", "123", "45.6k". */
const char *figures_rate(double per_second, char text[static FIGURES_TEXT_MAX]);

#endif
