/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl stats: all numbers there are; since the daemon began, or over a time. */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ask.h"
#include "commands.h"
#include "complain.h"
#include "figures.h"
#include "json.h"
#include "patience.h"
#include "size.h"

#define STATS_SECONDS_MAX 3600

static const struct {
        const char *name;
        const char *key;
        unsigned per_million;
} stats_quantiles[] = {
        { "p50", "p50_nsec", 500000 },
        { "p90", "p90_nsec", 900000 },
        { "p99", "p99_nsec", 990000 },
        { "p99.9", "p999_nsec", 999000 },
        { "max", "max_nsec", 1000000 },
};

#define N_STATS_QUANTILES (sizeof(stats_quantiles) / sizeof(stats_quantiles[0]))

static uint64_t stats_mean(const struct report_histogram *histogram) {
        uint64_t n = histogram_count(histogram->counts);

        return n > 0 ? histogram->sum_nsec / n : 0;
}

static void stats_words_figure(const struct report_stats *stats, const struct figure *figure, double seconds) {
        uint64_t value = figure_value(stats, figure);
        char size[SIZE_TEXT_MAX], rate[FIGURES_TEXT_MAX];

        printf("%-17s %20" PRIu64, figure->name, value);
        if (figure->kind == FIGURE_BYTES)
                printf("  %s", size_format(value, size));
        else if (figure->kind == FIGURE_COUNT)
                printf("  %s/s", figures_rate((double) value / seconds, rate));
        putchar('\n');
}

static void stats_words_latency(const char *name, const struct report_histogram *histogram) {
        char text[FIGURES_TEXT_MAX];

        printf("%-8s %12" PRIu64 " %9s", name, histogram_count(histogram->counts), figures_time(stats_mean(histogram), text));
        for (unsigned i = 0; i < N_STATS_QUANTILES; i++)
                printf(" %9s", figures_time(histogram_quantile(histogram->counts, stats_quantiles[i].per_million), text));
        putchar('\n');
}

static void stats_words(const struct report_stats *stats, double seconds) {
        for (const struct figure *figure = figures; figure->name; figure++)
                stats_words_figure(stats, figure, seconds);
        printf("\n%-8s %12s %9s", "latency", "count", "mean");
        for (unsigned i = 0; i < N_STATS_QUANTILES; i++)
                printf(" %9s", stats_quantiles[i].name);
        putchar('\n');
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++)
                stats_words_latency(figures_latencies[i], &stats->latencies[i]);
}

static void stats_json_latency(struct json_object *json, const struct report_histogram *histogram) {
        json_add_number(json, "count", histogram_count(histogram->counts));
        json_add_number(json, "mean_nsec", stats_mean(histogram));
        for (unsigned i = 0; i < N_STATS_QUANTILES; i++)
                json_add_number(json, stats_quantiles[i].key, histogram_quantile(histogram->counts, stats_quantiles[i].per_million));
}

static void stats_json(const struct report_stats *stats, double seconds) {
        struct json_object *json = json_new("bfctl.stats/1"), *rates, *latencies;

        json_add_real(json, "seconds", seconds);
        json_add_real(json, "uptime_seconds", (double) stats->uptime_nsec / 1e9);
        for (const struct figure *figure = figures; figure->name; figure++)
                json_add_number(json, figure->name, figure_value(stats, figure));
        rates = json_add_object(json, "per_second");
        for (const struct figure *figure = figures; figure->name; figure++)
                if (figure->kind == FIGURE_COUNT)
                        json_add_real(rates, figure->name, (double) figure_value(stats, figure) / seconds);
        latencies = json_add_object(json, "latencies");
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++)
                stats_json_latency(json_add_object(latencies, figures_latencies[i]), &stats->latencies[i]);
        json_print(json);
}

bool command_stats_check(const struct bfctl *bfctl) {
        uint64_t usec;

        if (!bfctl->operand || (seconds_parse(bfctl->operand, &usec) == 0 && usec > 0 && usec <= STATS_SECONDS_MAX * UINT64_C(1000000)))
                return true;
        complain("\"%s\" is no number of seconds (such as 1 or 0.5, at most %d; see bfctl --help)", bfctl->operand, STATS_SECONDS_MAX);
        return false;
}

/* What happens in the time that was asked for; *stats is of its beginning, and then the difference. */
static int stats_wait(const struct bfctl *bfctl, struct report_stats *stats, double *ret_seconds) {
        struct report_stats after, before = *stats;
        uint64_t usec = 0;
        int r;

        (void) seconds_parse(bfctl->operand, &usec);
        patience_end();
        for (uint64_t left = usec; left > 0; left -= left < 500000 ? left : 500000)
                (void) usleep((useconds_t) (left < 500000 ? left : 500000));
        patience_begin(bfctl->socket);
        r = ask_stats(bfctl->client, &after);
        if (r < 0)
                return r;
        *ret_seconds = figures_between(&before, &after, stats);
        return 0;
}

int command_stats(struct bfctl *bfctl) {
        struct report_stats stats;
        double seconds;
        int r;

        r = ask_stats(bfctl->client, &stats);
        if (r < 0)
                return r;
        seconds = (double) stats.uptime_nsec / 1e9;
        if (bfctl->operand)
                r = stats_wait(bfctl, &stats, &seconds);
        if (r < 0)
                return r;
        if (bfctl->as_json)
                stats_json(&stats, seconds);
        else
                stats_words(&stats, seconds);
        return 0;
}
