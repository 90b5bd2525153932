/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bfctl_report.h"
#include "size.h"

/* The pool is in trouble when so many per cent of it are dirty: clean pages are few, and nothing else can make room but spilling. */
#define DIRTY_PERCENT_MAX 90

/* And spilling is no help when its files have reached so many per cent of their limit. */
#define SPILL_PERCENT_MAX 90

static const struct {
        const char *name;
        size_t offset;
        bool is_size;   /* in bytes; else a count */
        bool is_status; /* also part of the status */
} report_fields[] = {
#define FIELD(name, member, is_size, is_status) { #name, offsetof(struct report, member), is_size, is_status }
        FIELD(pool_bytes, pool.pool_bytes, true, true),
        FIELD(resident_bytes, pool.resident_bytes, true, true),
        FIELD(dirty_bytes, pool.dirty_bytes, true, true),
        FIELD(spilled_bytes, spill.spilled_bytes, true, true),
        FIELD(spill_file_bytes, spill.file_bytes, true, false),
        FIELD(spill_limit_bytes, spill.limit_bytes, true, true),
        FIELD(peers, pool.peers, false, true),
        FIELD(filehs, pool.filehs, false, true),
        FIELD(mappings, pool.mappings, false, true),
        FIELD(faults, pool.faults, false, false),
        FIELD(loads, pool.loads, false, false),
        FIELD(stores, pool.stores, false, false),
        FIELD(evictions, pool.evictions, false, false),
        FIELD(spills, spill.spills, false, false),
        FIELD(unspills, spill.unspills, false, false),
#undef FIELD
};

#define N_REPORT_FIELDS (sizeof(report_fields) / sizeof(report_fields[0]))

static uint64_t report_value(const struct report *report, size_t i) {
        uint64_t value;

        memcpy(&value, (const char *) report + report_fields[i].offset, sizeof(value));
        return value;
}

static double report_percent(uint64_t part, uint64_t whole) {
        return whole > 0 ? 100.0 * (double) part / (double) whole : 0.0;
}

/* The numbers are not of one moment. */
static uint64_t report_dirty_in_pool(const struct report *report) {
        return report->pool.dirty_bytes > report->spill.spilled_bytes ? report->pool.dirty_bytes - report->spill.spilled_bytes : 0;
}

static bool report_is_healthy(const struct report *report) {
        bool can_spill = report->spill.limit_bytes > 0 && report_percent(report->spill.file_bytes, report->spill.limit_bytes) < SPILL_PERCENT_MAX;

        return can_spill || report_percent(report_dirty_in_pool(report), report->pool.pool_bytes) < DIRTY_PERCENT_MAX;
}

static struct json_object *report_json_new(const char *schema) {
        struct json_object *json = json_object_new_object();

        json_object_object_add(json, "schema", json_object_new_string(schema));
        return json;
}

static void report_json_add(struct json_object *json, const struct report *report, bool is_status) {
        for (size_t i = 0; i < N_REPORT_FIELDS; i++)
                if (!is_status || report_fields[i].is_status)
                        json_object_object_add(json, report_fields[i].name, json_object_new_uint64(report_value(report, i)));
}

/* Frees it, too. */
static void report_json_print(struct json_object *json) {
        puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(json);
}

static void report_status_words(const char *socket, const struct report *report) {
        char pool[SIZE_TEXT_MAX], resident[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX], spilled[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
        const struct bf_pool_stat *stat = &report->pool;
        uint64_t n_dirty = report_dirty_in_pool(report);

        if (report_is_healthy(report))
                printf("bigfiled at %s: healthy\n", socket);
        else
                printf("bigfiled at %s: the pool is nearly full of changes; who needs room waits until they are written out or discarded\n", socket);
        printf("pool      %s of %s in use (%.1f %%)\n", size_format(stat->resident_bytes, resident), size_format(stat->pool_bytes, pool),
               report_percent(stat->resident_bytes, stat->pool_bytes));
        printf("dirty     %s (%.1f %% of the pool)", size_format(n_dirty, dirty), report_percent(n_dirty, stat->pool_bytes));
        if (report->spill.limit_bytes > 0 || report->spill.spilled_bytes > 0)
                printf(", and %s spilled (of at most %s)", size_format(report->spill.spilled_bytes, spilled), size_format(report->spill.limit_bytes, limit));
        putchar('\n');
        printf("peers     %" PRIu64 ", this one included\n", stat->peers);
        printf("handles   %" PRIu64 ", with %" PRIu64 " mappings\n", stat->filehs, stat->mappings);
}

void report_status(const char *socket, const struct report *report, bool as_json) {
        struct json_object *json;

        if (!as_json) {
                report_status_words(socket, report);
                return;
        }
        json = report_json_new("bfctl.status/1");
        json_object_object_add(json, "socket", json_object_new_string(socket));
        json_object_object_add(json, "status", json_object_new_string(report_is_healthy(report) ? "healthy" : "nearly-all-dirty"));
        report_json_add(json, report, true);
        report_json_print(json);
}

void report_stats(const struct report *report, bool as_json) {
        struct json_object *json;

        if (as_json) {
                json = report_json_new("bfctl.stats/1");
                report_json_add(json, report, false);
                report_json_print(json);
                return;
        }
        for (size_t i = 0; i < N_REPORT_FIELDS; i++) {
                uint64_t value = report_value(report, i);
                char size[SIZE_TEXT_MAX];

                if (report_fields[i].is_size)
                        printf("%-17s %20" PRIu64 "  %s\n", report_fields[i].name, value, size_format(value, size));
                else
                        printf("%-17s %20" PRIu64 "\n", report_fields[i].name, value);
        }
}

void report_reclaim(uint64_t bytes, bool as_json) {
        struct json_object *json;
        char size[SIZE_TEXT_MAX];

        if (!as_json) {
                printf("reclaimed %s (%" PRIu64 " bytes)\n", size_format(bytes, size), bytes);
                return;
        }
        json = report_json_new("bfctl.reclaim/1");
        json_object_object_add(json, "reclaimed_bytes", json_object_new_uint64(bytes));
        report_json_print(json);
}
