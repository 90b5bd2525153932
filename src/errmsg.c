/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bfclient.h"
#include "errmsg.h"

#define ERRMSG_MAX 1024
#define ERRMSG_ENDING_MAX 320 /* of these, for the words of the errno and the hint */

static _Thread_local char errmsg_text[ERRMSG_MAX];

/* What strerror() calls by the name of something else. */
static const char *errmsg_words(int error, char *buffer, size_t size) {
        switch (-error) {
        case ENOTCONN:
                return "the daemon is gone";
        case ESHUTDOWN:
                return "the daemon is ending";
        case EUSERS:
                return "the daemon gives this user no more";
        case ENXIO:
                return "Beyond the end of the file";
        default:
                return strerror_r(-error, buffer, size);
        }
}

int errmsg_set(int error, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(errmsg_text, sizeof(errmsg_text), format, args);
        va_end(args);
        return error;
}

int errmsg_fail(int error, const char *hint, const char *format, ...) {
        char buffer[128];
        const char *words = errmsg_words(error, buffer, sizeof(buffer));
        va_list args;
        size_t n;

        va_start(args, format);
        vsnprintf(errmsg_text, sizeof(errmsg_text) - ERRMSG_ENDING_MAX, format, args);
        va_end(args);
        n = strlen(errmsg_text);
        if (hint)
                snprintf(errmsg_text + n, sizeof(errmsg_text) - n, ": %s (%s)", words, hint);
        else
                snprintf(errmsg_text + n, sizeof(errmsg_text) - n, ": %s", words);
        return error;
}

int errmsg_prefix(int error, const char *format, ...) {
        char rest[ERRMSG_MAX];
        va_list args;
        size_t n;

        memcpy(rest, errmsg_text, sizeof(rest));
        va_start(args, format);
        vsnprintf(errmsg_text, sizeof(errmsg_text), format, args);
        va_end(args);
        n = strlen(errmsg_text);
        snprintf(errmsg_text + n, sizeof(errmsg_text) - n, "%s", rest);
        return error;
}

const char *bf_errmsg(void) {
        return errmsg_text;
}
