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

void complain_unlisted(const char *kind, const char *text, const char *const *words) {
        const char *near = nearest_word(text, words);

        fprintf(stderr, "bfctl: unknown %s \"%s\" (", kind, text);
        if (near)
                fprintf(stderr, "did you mean \"%s\"? ", near);
        fputs("there are ", stderr);
        for (size_t i = 0; words[i]; i++)
                fprintf(stderr, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " and ", words[i]);
        fputs("; see bfctl --help)\n", stderr);
}

void complain_unknown(const char *kind, const char *text, const char *prefix, const char *const *words) {
        size_t n = strlen(prefix);
        const char *near = nearest_word(strncmp(text, prefix, n) == 0 ? text + n : text, words);

        if (near)
                complain("unknown %s \"%s\" (did you mean \"%s%s\"? see bfctl --help)", kind, text, prefix, near);
        else
                complain("unknown %s \"%s\" (see bfctl --help)", kind, text);
}
