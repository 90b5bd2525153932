/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOG_H
#define BF_LOG_H

/* One line on stderr for each event. The level is the only global of the daemon. */

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
        N_LOG_LEVELS,
};

/* 0, or -EINVAL for a name that is none. */
int log_level_parse(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern enum log_level log_max_level; /* read by the macros, so that a message that is not wanted costs one comparison */

#define log_at(level, ...) ((level) <= log_max_level ? log_write(level, __VA_ARGS__) : (void) 0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
