/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "complain.h"
#include "nearest.h"

void complain(const char *format, ...) {
        va_list args;

        va_start(args, format);
        fputs("bfctl: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
}

void complain_unknown(const char *kind, const char *text, const char *prefix, const char *const *words) {
        size_t n = strlen(prefix);
        const char *near = nearest_word(strncmp(text, prefix, n) == 0 ? text + n : text, words);

        if (near)
                complain("unknown %s \"%s\" (did you mean \"%s%s\"? see bfctl --help)", kind, text, prefix, near);
        else
                complain("unknown %s \"%s\" (see bfctl --help)", kind, text);
}
