/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_TEXT_MAX 1400

atomic_int log_max_level = LOG_LEVEL_INFO;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows, of all sites, and of the order of lines */
static LIST_HEAD(, log_site) log_suppressed = LIST_HEAD_INITIALIZER(log_suppressed); /* sites with something suppressed -> site->entry */
static log_sink *log_sink_now;
static bool log_stderr_is_journal;

static const struct {
        const char *name;
        const char *journal_prefix; /* as systemd reads it from a service's stderr */
} log_levels[N_LOG_LEVELS] = {
        [LOG_LEVEL_ERROR] = { "error", "<3>" },
        [LOG_LEVEL_WARNING] = { "warning", "<4>" },
        [LOG_LEVEL_INFO] = { "info", "<6>" },
        [LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

int log_level_parse(const char *name, enum log_level *ret) {
        for (unsigned i = 0; i < N_LOG_LEVELS; i++)
                if (strcmp(name, log_levels[i].name) == 0) {
                        *ret = (enum log_level) i;
                        return 0;
                }
        return -EINVAL;
}

const char *log_level_name(enum log_level level) {
        return log_levels[level].name;
}

void log_set_level(enum log_level level) {
        atomic_store_explicit(&log_max_level, (int) level, memory_order_relaxed);
}

/* systemd names the stream it gave us; what stderr is may be another one. */
bool log_find_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        log_stderr_is_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
                                st.st_ino == inode;
        return log_stderr_is_journal;
}

void log_set_sink(log_sink *sink) {
        pthread_mutex_lock(&log_mutex);
        log_sink_now = sink;
        pthread_mutex_unlock(&log_mutex);
}

static uint64_t log_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* Names come from outside: whatever they have in them, an event is one line. */
static void log_make_one_line(char *text) {
        for (; *text; text++)
                if ((unsigned char) *text < ' ' || *text == 127)
                        *text = '?';
}

static void log_to_stderr(enum log_level level, const char *text) {
        char line[LOG_TEXT_MAX + 16];
        int n = snprintf(line, sizeof(line), "%s%s\n", log_stderr_is_journal ? log_levels[level].journal_prefix : "bigfiled: ", text);

        (void) !write(STDERR_FILENO, line, (size_t) n); /* one call: lines of two processes do not mix */
}

static void log_out(enum log_level level, const char *text, const struct log_about *about) {
        static const struct log_about nothing;

        if (!log_sink_now || !log_sink_now(level, text, about ? about : &nothing))
                log_to_stderr(level, text);
}

static void log_tell_suppressed(uint64_t now) {
        struct log_site *site, *next;
        char text[LOG_TEXT_MAX];

        for (site = LIST_FIRST(&log_suppressed); site; site = next) {
                uint64_t n = ratelimit_take_suppressed(&site->limit, now);

                next = LIST_NEXT(site, entry);
                if (n == 0)
                        continue;
                snprintf(text, sizeof(text), "%" PRIu64 " more of these were not told, the last one: %s", n, site->last);
                log_out(site->level, text, NULL);
                LIST_REMOVE(site, entry);
                site->is_listed = false;
        }
}

static void log_suppress(struct log_site *site, enum log_level level, const char *text) {
        snprintf(site->last, sizeof(site->last), "%.*s", (int) sizeof(site->last) - 1, text);
        site->level = level;
        if (site->is_listed)
                return;
        site->is_listed = true;
        LIST_INSERT_HEAD(&log_suppressed, site, entry);
}

void log_flush(void) {
        pthread_mutex_lock(&log_mutex);
        log_tell_suppressed(log_now());
        pthread_mutex_unlock(&log_mutex);
}

void log_write(enum log_level level, struct log_site *site, const struct log_about *about, const char *format, ...) {
        int errno_before = errno;
        char text[LOG_TEXT_MAX];
        uint64_t now = log_now();
        va_list args;

        va_start(args, format);
        (void) vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_make_one_line(text);
        pthread_mutex_lock(&log_mutex);
        log_tell_suppressed(now);
        if (!site || level == LOG_LEVEL_DEBUG || ratelimit_passes(&site->limit, now))
                log_out(level, text, about);
        else
                log_suppress(site, level, text);
        pthread_mutex_unlock(&log_mutex);
        errno = errno_before;
}
