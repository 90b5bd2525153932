/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bfctl_report.h"
#include "size.h"

/* The pool is in trouble when so many per cent of it are dirty: clean pages, the only ones that can make room, are few. */
#define DIRTY_PERCENT_MAX 90

static const struct {
        const char *name;
        size_t offset;
        bool is_size;   /* in bytes; else a count */
        bool is_status; /* also part of the status */
} report_fields[] = {
#define FIELD(field, is_size, is_status) { #field, offsetof(struct bf_pool_stat, field), is_size, is_status }
        FIELD(pool_bytes, true, true),
        FIELD(resident_bytes, true, true),
        FIELD(dirty_bytes, true, true),
        FIELD(peers, false, true),
        FIELD(filehs, false, true),
        FIELD(mappings, false, true),
        FIELD(faults, false, false),
        FIELD(loads, false, false),
        FIELD(stores, false, false),
        FIELD(evictions, false, false),
#undef FIELD
};

#define N_REPORT_FIELDS (sizeof(report_fields) / sizeof(report_fields[0]))

static uint64_t report_value(const struct bf_pool_stat *stat, size_t i) {
        uint64_t value;

        memcpy(&value, (const char *) stat + report_fields[i].offset, sizeof(value));
        return value;
}

static double report_percent(uint64_t part, uint64_t whole) {
        return whole > 0 ? 100.0 * (double) part / (double) whole : 0.0;
}

static bool report_is_healthy(const struct bf_pool_stat *stat) {
        return report_percent(stat->dirty_bytes, stat->pool_bytes) < DIRTY_PERCENT_MAX;
}

static struct json_object *report_json_new(const char *schema) {
        struct json_object *json = json_object_new_object();

        json_object_object_add(json, "schema", json_object_new_string(schema));
        return json;
}

static void report_json_add(struct json_object *json, const struct bf_pool_stat *stat, bool is_status) {
        for (size_t i = 0; i < N_REPORT_FIELDS; i++)
                if (!is_status || report_fields[i].is_status)
                        json_object_object_add(json, report_fields[i].name, json_object_new_uint64(report_value(stat, i)));
}

/* Frees it, too. */
static void report_json_print(struct json_object *json) {
        puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(json);
}

static void report_status_words(const char *socket, const struct bf_pool_stat *stat) {
        char pool[SIZE_TEXT_MAX], resident[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX];

        if (report_is_healthy(stat))
                printf("bigfiled at %s: healthy\n", socket);
        else
                printf("bigfiled at %s: the pool is nearly full of changes; who needs room waits until they are written out or discarded\n", socket);
        printf("pool      %s of %s in use (%.1f %%)\n", size_format(stat->resident_bytes, resident), size_format(stat->pool_bytes, pool),
               report_percent(stat->resident_bytes, stat->pool_bytes));
        printf("dirty     %s (%.1f %% of the pool)\n", size_format(stat->dirty_bytes, dirty), report_percent(stat->dirty_bytes, stat->pool_bytes));
        printf("peers     %" PRIu64 ", this one included\n", stat->peers);
        printf("handles   %" PRIu64 ", with %" PRIu64 " mappings\n", stat->filehs, stat->mappings);
}

void report_status(const char *socket, const struct bf_pool_stat *stat, bool as_json) {
        struct json_object *json;

        if (!as_json) {
                report_status_words(socket, stat);
                return;
        }
        json = report_json_new("bfctl.status/1");
        json_object_object_add(json, "socket", json_object_new_string(socket));
        json_object_object_add(json, "status", json_object_new_string(report_is_healthy(stat) ? "healthy" : "nearly-all-dirty"));
        report_json_add(json, stat, true);
        report_json_print(json);
}

void report_stats(const struct bf_pool_stat *stat, bool as_json) {
        struct json_object *json;

        if (as_json) {
                json = report_json_new("bfctl.stats/1");
                report_json_add(json, stat, false);
                report_json_print(json);
                return;
        }
        for (size_t i = 0; i < N_REPORT_FIELDS; i++) {
                uint64_t value = report_value(stat, i);
                char size[SIZE_TEXT_MAX];

                if (report_fields[i].is_size)
                        printf("%-16s %20" PRIu64 "  %s\n", report_fields[i].name, value, size_format(value, size));
                else
                        printf("%-16s %20" PRIu64 "\n", report_fields[i].name, value);
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
