/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOG_H
#define BF_LOG_H

/*
 * One line for each event: on stderr, or where log_set_sink() says. Of each message in the code only so many pass in a time (ratelimit.h), and how many did
 * not is told after it; but who asks for debug gets all of that. The level, the sink and what was suppressed are the only globals of the daemon.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "ratelimit.h"

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
        N_LOG_LEVELS,
};

/* Whom and what an event is about, for sinks that keep it apart from the text; the text says what people need of it. All zeros: nothing. */
struct log_about {
        pid_t pid; /* of the client; 0: none */
        bool has_uid;
        uid_t uid;
        const char *file; /* its path; NULL: none */
        uint64_t device;
        uint64_t inode; /* 0: none */
        int error;      /* a negative errno; 0: none */
};

/* A message in the code; the macros make it. */
struct log_site {
        struct ratelimit limit;
        enum log_level level;
        bool is_listed;
        LIST_ENTRY(log_site) entry; /* of those with something suppressed: log_suppressed -> site->entry */
        char last[160];             /* that was suppressed */
};

/* 0, or -EINVAL for a name that is none. */
int log_level_parse(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);
void log_set_level(enum log_level level);

/* Looks whether stderr is the journal, which then is told the level of each line (<3> to <7>). To be called before there are threads. */
bool log_find_journal(void);

/* Where messages go from now on; called by any thread, one at a time. False: it could not take it, and it goes to stderr. */
typedef bool log_sink(enum log_level level, const char *text, const struct log_about *about);
void log_set_sink(log_sink *sink);

/* Tells what was suppressed and not told yet: what is told by itself with the next message, if there is one. */
void log_flush(void);

/* site NULL: never suppressed; about NULL: nothing. */
void log_write(enum log_level level, struct log_site *site, const struct log_about *about, const char *format, ...) __attribute__((format(printf, 4, 5)));

extern atomic_int log_max_level; /* read by the macros, so that a message that is not wanted costs one comparison */

#define log_about(level, about, ...) \
        ({ \
                static struct log_site log_site_here; \
                if ((int) (level) <= atomic_load_explicit(&log_max_level, memory_order_relaxed)) \
                        log_write(level, &log_site_here, about, __VA_ARGS__); \
        })
/* What only the person who runs the daemon can bring about: each time. */
#define log_each(level, ...) \
        ((int) (level) <= atomic_load_explicit(&log_max_level, memory_order_relaxed) ? log_write(level, NULL, NULL, __VA_ARGS__) : (void) 0)

#define log_error(...) log_about(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_about(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

#endif
