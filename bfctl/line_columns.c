/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The columns of lines.h. */

#include <inttypes.h>
#include <stdio.h>

#include "figures.h"
#include "lines.h"
#include "size.h"

static void cell_size(uint64_t bytes, char text[static COLUMNS_CELL_MAX]) {
        char size[SIZE_TEXT_MAX];

        snprintf(text, COLUMNS_CELL_MAX, "%s", size_format(bytes, size));
}

static void cell_number(uint64_t number, char text[static COLUMNS_CELL_MAX]) {
        snprintf(text, COLUMNS_CELL_MAX, "%" PRIu64, number);
}

static void cell_rate(double rate, char text[static COLUMNS_CELL_MAX]) {
        char rate_text[FIGURES_TEXT_MAX];

        snprintf(text, COLUMNS_CELL_MAX, "%s", figures_rate(rate, rate_text));
}

/* How a cell is made of a field, and what it is sorted by. */
#define CELL(line_type, prefix, name, field, cell) \
        static void prefix##_##name(const void *line, char text[static COLUMNS_CELL_MAX]) { \
                cell(((const struct line_type *) line)->field, text); \
        } \
        static double prefix##_##name##_key(const void *line) { \
                return (double) ((const struct line_type *) line)->field; \
        }

CELL(file_line, file, size, file.size, cell_size)
CELL(file_line, file, resident, file.resident_bytes, cell_size)
CELL(file_line, file, dirty, file.dirty_bytes, cell_size)
CELL(file_line, file, spilled, file.spilled_bytes, cell_size)
CELL(file_line, file, faults, faults_per_second, cell_rate)
CELL(file_line, file, loads, loads_per_second, cell_rate)
CELL(file_line, file, stores, stores_per_second, cell_rate)
CELL(file_line, file, handles, file.handles, cell_number)
CELL(file_line, file, uid, file.uid, cell_number)

static void file_how(const void *line, char text[static COLUMNS_CELL_MAX]) {
        uint32_t flags = ((const struct file_line *) line)->file.flags;

        snprintf(text, COLUMNS_CELL_MAX, "%c%c%c%c%c", flags & REPORT_FILE_WRITABLE ? 'w' : 'r', flags & REPORT_FILE_SHARED ? 's' : '-',
                 flags & REPORT_FILE_HUGE ? 'h' : '-', flags & REPORT_FILE_TRUNCATED ? 't' : '-',
                 flags & REPORT_FILE_DIRECT ? 'd' : flags & REPORT_FILE_DIRECT_REFUSED ? 'c' : '-');
}

static void file_path(const void *line, char text[static COLUMNS_CELL_MAX]) {
        snprintf(text, COLUMNS_CELL_MAX, "%.512s", ((const struct file_line *) line)->file.path);
}

static const struct column file_columns_all[] = {
        { "size", "SIZE", 10, false, false, file_size, file_size_key },
        { "resident", "RESIDENT", 10, false, false, file_resident, file_resident_key },
        { "dirty", "DIRTY", 10, false, false, file_dirty, file_dirty_key },
        { "spilled", "SPILLED", 10, false, true, file_spilled, file_spilled_key },
        { "faults", "FAULTS/s", 8, false, false, file_faults, file_faults_key },
        { "loads", "LOADS/s", 8, false, true, file_loads, file_loads_key },
        { "stores", "STORES/s", 8, false, true, file_stores, file_stores_key },
        { "handles", "USERS", 5, false, false, file_handles, file_handles_key },
        { "uid", "UID", 5, false, true, file_uid, file_uid_key },
        { "how", "HOW", 5, true, false, file_how, NULL },
        { "file", "FILE", 4, true, false, file_path, NULL },
        { .name = NULL },
};

const struct columns file_columns = { file_columns_all, "resident" };

CELL(peer_line, peer, pid, peer.pid, cell_number)
CELL(peer_line, peer, uid, peer.uid, cell_number)
CELL(peer_line, peer, files, peer.handles, cell_number)
CELL(peer_line, peer, mappings, peer.mappings, cell_number)
CELL(peer_line, peer, mapped, mapped_bytes, cell_size)
CELL(peer_line, peer, faults, faults_per_second, cell_rate)
CELL(peer_line, peer, waiting, peer.requests, cell_number)

static double peer_age_key(const void *line) {
        return (double) ((const struct peer_line *) line)->age_nsec;
}

static void peer_age(const void *line, char text[static COLUMNS_CELL_MAX]) {
        char age[FIGURES_TEXT_MAX];

        snprintf(text, COLUMNS_CELL_MAX, "%s", figures_age(((const struct peer_line *) line)->age_nsec, age));
}

static void peer_command(const void *line, char text[static COLUMNS_CELL_MAX]) {
        const char *command = ((const struct peer_line *) line)->peer.command;

        snprintf(text, COLUMNS_CELL_MAX, "%.16s", *command ? command : "?");
}

static const struct column peer_columns_all[] = {
        { "pid", "PID", 8, false, false, peer_pid, peer_pid_key },
        { "uid", "UID", 6, false, false, peer_uid, peer_uid_key },
        { "files", "FILES", 6, false, false, peer_files, peer_files_key },
        { "mappings", "MAPPINGS", 8, false, true, peer_mappings, peer_mappings_key },
        { "mapped", "MAPPED", 10, false, false, peer_mapped, peer_mapped_key },
        { "faults", "FAULTS/s", 8, false, false, peer_faults, peer_faults_key },
        { "waiting", "WAITING", 7, false, false, peer_waiting, peer_waiting_key },
        { "age", "AGE", 10, false, false, peer_age, peer_age_key },
        { "command", "COMMAND", 7, true, false, peer_command, NULL },
        { .name = NULL },
};

const struct columns peer_columns = { peer_columns_all, "faults" };
