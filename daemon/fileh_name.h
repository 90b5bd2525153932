/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILEH_NAME_H
#define BF_FILEH_NAME_H

/* What the log says of a fileh: its file by name, as the kernel knows the descriptor that the client sent. */

#include "log.h"

struct fileh;

/* Longer paths are cut. */
#define FILEH_NAME_MAX 512

struct fileh_name {
        struct log_about about;
        char path[FILEH_NAME_MAX]; /* "inode N", if nobody knows it */
};

/* error: a negative errno, or 0. Returns name. */
const struct fileh_name *fileh_name_get(const struct fileh *fileh, int error, struct fileh_name *name);

/* A message about a file: the text comes after its name. */
#define fileh_say(level, fileh, error, format, ...) \
        ({ \
                struct fileh_name fileh_name_here; \
                if ((int) (level) <= atomic_load_explicit(&log_max_level, memory_order_relaxed)) { \
                        fileh_name_get(fileh, error, &fileh_name_here); \
                        log_about(level, &fileh_name_here.about, "%s: " format, fileh_name_here.path __VA_OPT__(,) __VA_ARGS__); \
                } \
        })
#define fileh_warning(fileh, error, ...) fileh_say(LOG_LEVEL_WARNING, fileh, error, __VA_ARGS__)
#define fileh_info(fileh, ...) fileh_say(LOG_LEVEL_INFO, fileh, 0, __VA_ARGS__)

#endif
