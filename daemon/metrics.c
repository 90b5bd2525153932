/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

/* The buckets that are told: up to each power of two nanoseconds between these, where ours have a bound as well. */
#define METRICS_POWER_MIN 10u
#define METRICS_POWER_MAX 35u

enum metric_kind {
        METRIC_BYTES,
        METRIC_GAUGE,
        METRIC_COUNTER,
};

static const struct {
        const char *name;
        size_t offset;
        enum metric_kind kind;
        const char *help;
} metrics[] = {
#define METRIC(member, kind, help) { #member, offsetof(struct report_stats, member), kind, help }
        METRIC(pool_bytes, METRIC_BYTES, "The size of the pool."),
        METRIC(resident_bytes, METRIC_BYTES, "Of the pool, in use."),
        METRIC(dirty_bytes, METRIC_BYTES, "Changed and not stored, in RAM or spilled."),
        METRIC(spilled_bytes, METRIC_BYTES, "Of what is dirty, on the daemon's disk and not in RAM."),
        METRIC(spill_file_bytes, METRIC_BYTES, "What the spill files take of their disk."),
        METRIC(spill_limit_bytes, METRIC_BYTES, "What they may take."),
        METRIC(peers, METRIC_GAUGE, "Connected clients."),
        METRIC(filehs, METRIC_GAUGE, "Open files."),
        METRIC(lingering, METRIC_GAUGE, "Open files whose clients may come back."),
        METRIC(mappings, METRIC_GAUGE, "Mappings of all clients."),
        METRIC(pagers, METRIC_GAUGE, "Threads that answer page faults."),
        METRIC(pagers_held, METRIC_GAUGE, "Of these, in the kernel just now."),
        METRIC(faults, METRIC_COUNTER, "Page faults answered."),
        METRIC(loads, METRIC_COUNTER, "Pages loaded."),
        METRIC(stores, METRIC_COUNTER, "Pages stored."),
        METRIC(evictions, METRIC_COUNTER, "Clean pages dropped to make room."),
        METRIC(spills, METRIC_COUNTER, "Pages spilled."),
        METRIC(unspills, METRIC_COUNTER, "Spilled pages brought back."),
        METRIC(load_errors, METRIC_COUNTER, "Pages that could not be loaded."),
        METRIC(store_errors, METRIC_COUNTER, "Writes that failed."),
#undef METRIC
};

static const struct {
        const char *name;
        const char *help;
} metrics_latencies[N_REPORT_LATENCIES] = {
        [REPORT_FAULT] = { "fault_seconds", "Page faults, from when the daemon heard of one until its thread went on." },
        [REPORT_LOAD] = { "load_seconds", "Reads of a file or spill file, until what was read is in place." },
        [REPORT_STORE] = { "store_seconds", "Writes to a file." },
};

static void metrics_write_figure(FILE *file, const struct report_stats *stats, size_t i) {
        const char *name = metrics[i].name;
        bool is_counter = metrics[i].kind == METRIC_COUNTER;
        uint64_t value;

        memcpy(&value, (const char *) stats + metrics[i].offset, sizeof(value));
        fprintf(file, "# TYPE bigfiled_%s %s\n", name, is_counter ? "counter" : "gauge");
        if (metrics[i].kind == METRIC_BYTES)
                fprintf(file, "# UNIT bigfiled_%s bytes\n", name);
        fprintf(file, "# HELP bigfiled_%s %s\nbigfiled_%s%s %" PRIu64 "\n", name, metrics[i].help, name, is_counter ? "_total" : "", value);
}

static void metrics_write_latency(FILE *file, const struct report_histogram *histogram, unsigned i) {
        const char *name = metrics_latencies[i].name;
        uint64_t n = histogram_count(histogram->counts);

        fprintf(file, "# TYPE bigfiled_%s histogram\n# UNIT bigfiled_%s seconds\n# HELP bigfiled_%s %s\n", name, name, name, metrics_latencies[i].help);
        for (unsigned power = METRICS_POWER_MIN; power <= METRICS_POWER_MAX; power++) {
                uint64_t bound = (UINT64_C(1) << power) - 1;

                fprintf(file, "bigfiled_%s_bucket{le=\"%" PRIu64 ".%09" PRIu64 "\"} %" PRIu64 "\n", name, bound / 1000000000, bound % 1000000000,
                        histogram_count_to(histogram->counts, bound));
        }
        fprintf(file, "bigfiled_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nbigfiled_%s_sum %.9f\nbigfiled_%s_count %" PRIu64 "\n", name, n, name,
                (double) histogram->sum_nsec / 1e9, name, n);
}

int metrics_write(const struct report_stats *stats, char **ret_text, size_t *ret_length) {
        char *text = NULL;
        size_t length = 0;
        FILE *file = open_memstream(&text, &length);

        if (!file)
                return -ENOMEM;
        for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
                metrics_write_figure(file, stats, i);
        fprintf(file, "# TYPE bigfiled_uptime_seconds gauge\n# UNIT bigfiled_uptime_seconds seconds\n# HELP bigfiled_uptime_seconds Since the daemon began.\n"
                      "bigfiled_uptime_seconds %.3f\n", (double) stats->uptime_nsec / 1e9);
        for (unsigned i = 0; i < N_REPORT_LATENCIES; i++)
                metrics_write_latency(file, &stats->latencies[i], i);
        fputs("# EOF\n", file);
        if (fclose(file) != 0 || !text) {
                free(text);
                return -ENOMEM;
        }
        *ret_text = text;
        *ret_length = length;
        return 0;
}
