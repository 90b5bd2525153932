/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "errmsg.h"
#include "lines.h"

/* How the kernel ends the path of a file that was removed. */
#define LINES_REMOVED " (deleted)"

/* --- asking ------------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t lines_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static uint64_t lines_age(uint64_t since, uint64_t now) {
        return now > since ? now - since : 0;
}

int file_lines_ask(struct bf_client *client, struct file_lines *ret) {
        struct answer answer;
        struct file_line *lines;
        uint64_t now;
        int r;

        r = ask(client, REPORT_FILES, sizeof(struct report_file), &answer);
        if (r < 0)
                return r;
        now = lines_now();
        lines = calloc(answer.n + 1, sizeof(*lines));
        for (size_t i = 0; lines && i < answer.n; i++) {
                lines[i].file = *answer_file(&answer, i);
                lines[i].age_nsec = lines_age(lines[i].file.since_nsec, now);
        }
        answer_fini(&answer);
        if (!lines)
                return errmsg_fail(-ENOMEM, NULL, "cannot list files");
        *ret = (struct file_lines) { .lines = lines, .n = answer.n, .n_silent = answer.n_silent };
        return 0;
}

const struct peer_line *peer_lines_find(const struct peer_lines *lines, uint64_t id) {
        for (size_t i = 0; i < lines->n; i++)
                if (lines->lines[i].peer.id == id)
                        return &lines->lines[i];
        return NULL;
}

static int peer_lines_add_handles(struct bf_client *client, struct peer_lines *lines) {
        struct answer answer;
        int r;

        r = ask(client, REPORT_HANDLES, sizeof(struct report_handle), &answer);
        if (r < 0)
                return r;
        for (size_t i = 0; i < answer.n; i++) {
                const struct report_handle *handle = answer_handle(&answer, i);
                struct peer_line *line = (struct peer_line *) peer_lines_find(lines, handle->peer);

                if (!line)
                        continue;
                line->mapped_bytes += handle->mapped_bytes;
                line->faults += handle->faults;
        }
        lines->n_silent = answer.n_silent;
        answer_fini(&answer);
        return 0;
}

/* A daemon that sees no processes of others (ProtectProc=) does not know what they are called: then who asks may. */
static void peer_line_set_command(struct peer_line *line) {
        char path[40];
        FILE *file;

        if (line->peer.pid == 0 || line->peer.command[0])
                return;
        snprintf(path, sizeof(path), "/proc/%d/comm", (int) line->peer.pid);
        file = fopen(path, "re");
        if (!file)
                return;
        line->peer.command[fread(line->peer.command, 1, sizeof(line->peer.command) - 1, file)] = '\0';
        line->peer.command[strcspn(line->peer.command, "\n")] = '\0';
        fclose(file);
}

int peer_lines_ask(struct bf_client *client, struct peer_lines *ret) {
        uint64_t now = lines_now();
        struct peer_lines lines;
        struct answer answer;
        int r;

        r = ask(client, REPORT_PEERS, sizeof(struct report_peer), &answer);
        if (r < 0)
                return r;
        lines = (struct peer_lines) { .lines = calloc(answer.n + 1, sizeof(struct peer_line)), .n = answer.n };
        for (size_t i = 0; lines.lines && i < answer.n; i++) {
                const struct report_peer *peer = answer_peer(&answer, i);

                lines.lines[i] = (struct peer_line) { .peer = *peer, .age_nsec = lines_age(peer->since_nsec, now) };
                peer_line_set_command(&lines.lines[i]);
        }
        answer_fini(&answer);
        r = lines.lines ? peer_lines_add_handles(client, &lines) : errmsg_fail(-ENOMEM, NULL, "cannot list clients");
        if (r < 0) {
                peer_lines_fini(&lines);
                return r;
        }
        *ret = lines;
        return 0;
}

void file_lines_fini(struct file_lines *lines) {
        free(lines->lines);
        *lines = (struct file_lines) { .lines = NULL };
}

void peer_lines_fini(struct peer_lines *lines) {
        free(lines->lines);
        *lines = (struct peer_lines) { .lines = NULL };
}

/* --- rates -------------------------------------------------------------------------------------------------------------------------------------- */

/* A count that was not there before, or began anew, is all of this time. */
static double lines_rate(uint64_t now, uint64_t before, double seconds) {
        return seconds > 0.0 ? (double) (now >= before ? now - before : now) / seconds : 0.0;
}

/* What was not there at the look before has been counted for as long as it has been there; of what was, the same if it came anew since. */
static double lines_seconds(uint64_t age_nsec, bool was_there, double seconds) {
        double age = (double) age_nsec / 1e9;

        return was_there && seconds < age ? seconds : age;
}

static const struct report_file *file_lines_before(const struct file_lines *before, const struct report_file *file) {
        for (size_t i = 0; i < before->n; i++)
                if (before->lines[i].file.number == file->number && before->lines[i].file.inode == file->inode)
                        return &before->lines[i].file;
        return NULL;
}

void file_lines_rate(struct file_lines *now, const struct file_lines *before, double seconds) {
        for (size_t i = 0; i < now->n; i++) {
                struct file_line *line = &now->lines[i];
                const struct report_file *file = file_lines_before(before, &line->file);
                double of = lines_seconds(line->age_nsec, file, seconds);

                line->faults_per_second = lines_rate(line->file.faults, file ? file->faults : 0, of);
                line->loads_per_second = lines_rate(line->file.loads, file ? file->loads : 0, of);
                line->stores_per_second = lines_rate(line->file.stores, file ? file->stores : 0, of);
        }
}

void peer_lines_rate(struct peer_lines *now, const struct peer_lines *before, double seconds) {
        for (size_t i = 0; i < now->n; i++) {
                struct peer_line *line = &now->lines[i];
                const struct peer_line *peer = peer_lines_find(before, line->peer.id);
                double of = lines_seconds(line->age_nsec, peer, seconds);

                line->faults_per_second = lines_rate(line->faults, peer ? peer->faults : 0, of);
        }
}

/* --- names -------------------------------------------------------------------------------------------------------------------------------------- */

static bool path_is(const char *path, const char *name) {
        const char *last = strrchr(path, '/');

        return strcmp(path, name) == 0 || (last && strcmp(last + 1, name) == 0);
}

/* What the path was before the file was removed; the kernel adds a word to it then. */
static bool path_was(const char *path, const char *name) {
        size_t n = strlen(path), n_added = strlen(LINES_REMOVED);
        char before[REPORT_PATH_MAX];

        if (n <= n_added || n >= sizeof(before) || strcmp(path + n - n_added, LINES_REMOVED) != 0)
                return false;
        snprintf(before, sizeof(before), "%.*s", (int) (n - n_added), path);
        return path_is(before, name);
}

bool file_line_is(const struct file_line *line, const char *name) {
        struct stat stat_buf;

        if (path_is(line->file.path, name))
                return true;
        if (stat(name, &stat_buf) == 0)
                return stat_buf.st_dev == line->file.device && stat_buf.st_ino == line->file.inode;
        return path_was(line->file.path, name); /* and no other file has its name now */
}

/* --- processes ---------------------------------------------------------------------------------------------------------------------------------- */

pid_t peer_lines_pid(const struct peer_lines *lines, uint64_t id) {
        const struct peer_line *line = peer_lines_find(lines, id);

        return line ? line->peer.pid : 0;
}

int peer_lines_need(const struct peer_lines *lines, pid_t pid) {
        for (size_t i = 0; i < lines->n; i++)
                if (lines->lines[i].peer.pid == pid)
                        return 0;
        return errmsg_set(-ENOENT, "no client has the pid %d (see bfctl peers)", (int) pid);
}
