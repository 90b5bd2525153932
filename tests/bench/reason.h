/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_REASON_H
#define BENCH_REASON_H

/* Why something cannot be measured here, in words. */

#include <stdarg.h>
#include <stdio.h>

#define REASON_MAX 200

struct reason {
        char text[REASON_MAX];
};

__attribute__((format(printf, 2, 3))) static inline void reason_say(struct reason *reason, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(reason->text, sizeof(reason->text), format, args);
        va_end(args);
}

#endif
