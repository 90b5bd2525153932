/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"

const struct figure figures[] = {
#define FIGURE(member, kind, is_status) { #member, offsetof(struct report_stats, member), kind, is_status }
        FIGURE(pool_bytes, FIGURE_BYTES, true),
        FIGURE(resident_bytes, FIGURE_BYTES, true),
        FIGURE(dirty_bytes, FIGURE_BYTES, true),
        FIGURE(spilled_bytes, FIGURE_BYTES, true),
        FIGURE(spill_file_bytes, FIGURE_BYTES, false),
        FIGURE(spill_limit_bytes, FIGURE_BYTES, true),
        FIGURE(peers, FIGURE_NOW, true),
        FIGURE(filehs, FIGURE_NOW, true),
        FIGURE(lingering, FIGURE_NOW, true),
        FIGURE(mappings, FIGURE_NOW, true),
        FIGURE(pagers, FIGURE_NOW, true),
        FIGURE(pagers_held, FIGURE_NOW, true),
        FIGURE(faults, FIGURE_COUNT, false),
        FIGURE(loads, FIGURE_COUNT, false),
        FIGURE(stores, FIGURE_COUNT, false),
        FIGURE(evictions, FIGURE_COUNT, false),
        FIGURE(spills, FIGURE_COUNT, false),
        FIGURE(unspills, FIGURE_COUNT, false),
        FIGURE(load_errors, FIGURE_COUNT, true),
        FIGURE(store_errors, FIGURE_COUNT, true),
#undef FIGURE
        { NULL, 0, FIGURE_NOW, false },
};

const char *const figures_latencies[N_REPORT_LATENCIES] = {
        [REPORT_FAULT] = "fault",
        [REPORT_LOAD] = "load",
        [REPORT_STORE] = "store",
};

uint64_t figure_value(const struct report_stats *stats, const struct figure *figure) {
        uint64_t value;

        memcpy(&value, (const char *) stats + figure->offset, sizeof(value));
        return value;
}

static void figure_subtract(struct report_stats *stats, const struct report_stats *before, const struct figure *figure) {
        uint64_t value = figure_value(stats, figure) - figure_value(before, figure);

        memcpy((char *) stats + figure->offset, &value, sizeof(value));
}

static void figures_subtract_latency(struct report_histogram *histogram, const struct report_histogram *before) {
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                histogram->counts[i] -= before->counts[i];
        histogram->sum_nsec -= before->sum_nsec;
}

bool figures_continue(const struct report_stats *before, const struct report_stats *after) {
        if (after->time_nsec < before->time_nsec || after->uptime_nsec < after->time_nsec - before->time_nsec)
                return false;
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->kind == FIGURE_COUNT && figure_value(after, figure) < figure_value(before, figure))
                        return false;
        return true;
}

double figures_between(const struct report_stats *before, const struct report_stats *after, struct report_stats *ret) {
        *ret = *after;
        if (!before || !figures_continue(before, after))
                return (double) after->uptime_nsec / 1e9;
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->kind == FIGURE_COUNT)
                        figure_subtract(ret, before, figure);
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++)
                figures_subtract_latency(&ret->latencies[i], &before->latencies[i]);
        return (double) (after->time_nsec - before->time_nsec) / 1e9;
}

double figures_percent(uint64_t part, uint64_t whole) {
        return whole > 0 ? 100.0 * (double) part / (double) whole : 0.0;
}

const char *figures_time(uint64_t nsec, char text[static FIGURES_TEXT_MAX]) {
        double n = (double) nsec;

        if (nsec < 1000)
                snprintf(text, FIGURES_TEXT_MAX, "%" PRIu64 " ns", nsec);
        else if (nsec < 1000000)
                snprintf(text, FIGURES_TEXT_MAX, "%.1f us", n / 1e3);
        else if (nsec < 1000000000)
                snprintf(text, FIGURES_TEXT_MAX, "%.1f ms", n / 1e6);
        else
                snprintf(text, FIGURES_TEXT_MAX, "%.1f s", n / 1e9);
        return text;
}

const char *figures_age(uint64_t nsec, char text[static FIGURES_TEXT_MAX]) {
        uint64_t seconds = nsec / 1000000000, minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

        if (seconds < 60)
                snprintf(text, FIGURES_TEXT_MAX, "%" PRIu64 " s", seconds);
        else if (minutes < 60)
                snprintf(text, FIGURES_TEXT_MAX, "%" PRIu64 " min", minutes);
        else if (hours < 24)
                snprintf(text, FIGURES_TEXT_MAX, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
        else
                snprintf(text, FIGURES_TEXT_MAX, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
        return text;
}

const char *figures_rate(double per_second, char text[static FIGURES_TEXT_MAX]) {
        if (per_second <= 0.0)
                snprintf(text, FIGURES_TEXT_MAX, "0");
        else if (per_second < 10.0)
                snprintf(text, FIGURES_TEXT_MAX, "%.1f", per_second);
        else if (per_second < 10000.0)
                snprintf(text, FIGURES_TEXT_MAX, "%.0f", per_second);
        else if (per_second < 1e6)
                snprintf(text, FIGURES_TEXT_MAX, "%.1fk", per_second / 1e3);
        else
                snprintf(text, FIGURES_TEXT_MAX, "%.1fM", per_second / 1e6);
        return text;
}
