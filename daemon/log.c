/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

enum log_level log_max_level = LOG_LEVEL_INFO;

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
        log_max_level = level;
}

void log_write(enum log_level level, const char *format, ...) {
        char line[1024];
        int errno_before = errno, n_prefix, n;
        va_list args;

        n_prefix = snprintf(line, sizeof(line), "%s", getenv("JOURNAL_STREAM") ? log_levels[level].journal_prefix : "bigfiled: ");
        va_start(args, format);
        n = vsnprintf(line + n_prefix, sizeof(line) - (size_t) n_prefix - 1, format, args);
        va_end(args);
        if (n >= 0) {
                strcat(line, "\n");
                (void) !write(STDERR_FILENO, line, strlen(line)); /* one call: lines of two threads do not mix */
        }
        errno = errno_before;
}
