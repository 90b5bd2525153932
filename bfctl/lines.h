/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LINES_H
#define BF_LINES_H

/* Files and peers as lines of a table: what the daemon says of them, put together. */

#include "ask.h"
#include "columns.h"

struct file_line {
        struct report_file file;
        uint64_t age_nsec;        /* since it was opened */
        double faults_per_second; /* these three: since the look before, or, if it was not there then, since it was opened */
        double loads_per_second;
        double stores_per_second;
};

struct peer_line {
        struct report_peer peer;
        uint64_t mapped_bytes;
        uint64_t faults;
        uint64_t age_nsec;
        double faults_per_second;
};

/* Allocated. */
struct file_lines {
        struct file_line *lines;
        size_t n;
        unsigned n_silent; /* as of struct answer */
};

struct peer_lines {
        struct peer_line *lines;
        size_t n;
        unsigned n_silent;
};

extern const struct columns file_columns, peer_columns;

int file_lines_ask(struct bf_client *client, struct file_lines *ret);
int peer_lines_ask(struct bf_client *client, struct peer_lines *ret);
void file_lines_fini(struct file_lines *lines);
void peer_lines_fini(struct peer_lines *lines);

/* The rates since then, so many seconds ago. */
void file_lines_rate(struct file_lines *now, const struct file_lines *before, double seconds);
void peer_lines_rate(struct peer_lines *now, const struct peer_lines *before, double seconds);

/* Is that what the user means by a file's name: its path, or the last part of it, also of a file that was
 * removed, or a name that leads there? */
bool file_line_is(const struct file_line *line, const char *name);

/* The connection with that number, or NULL. */
const struct peer_line *peer_lines_find(const struct peer_lines *lines, uint64_t id);

/* The pid of the connection with that number; 0: it is not there, or not to be seen. */
pid_t peer_lines_pid(const struct peer_lines *lines, uint64_t id);

/* 0, or -ENOENT: the process is no client. */
int peer_lines_need(const struct peer_lines *lines, pid_t pid);

#endif
