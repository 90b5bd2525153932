/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "size.h"

#define USEC_PER_SECOND UINT64_C(1000000)
#define USEC_DIGITS 6

static bool size_is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* Reads the digits at *text, at least one, and moves *text behind them. */
static int size_parse_digits(const char **text, uint64_t *ret_value) {
        const char *p = *text;
        uint64_t value = 0;

        if (!size_is_digit(*p))
                return -EINVAL;
        for (; size_is_digit(*p); p++)
                if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t) (*p - '0'), &value))
                        return -ERANGE;
        *text = p;
        *ret_value = value;
        return 0;
}

static int size_parse_unit(const char *text, uint64_t *ret_factor) {
        static const char units[] = "KkMmGgTt";
        const char *unit;

        if (!*text) {
                *ret_factor = 1;
                return 0;
        }
        unit = strchr(units, *text);
        if (!unit || text[1])
                return -EINVAL;
        *ret_factor = UINT64_C(1024) << (unit - units) / 2 * 10;
        return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes) {
        uint64_t value, factor, bytes;
        int r;

        r = size_parse_digits(&text, &value);
        if (r < 0)
                return r;
        r = size_parse_unit(text, &factor);
        if (r < 0)
                return r;
        if (__builtin_mul_overflow(value, factor, &bytes))
                return -ERANGE;
        *ret_bytes = bytes;
        return 0;
}

/* What is behind the point, in microseconds; *text is moved behind it. */
static int seconds_parse_fraction(const char **text, uint64_t *ret_usec) {
        uint64_t usec = 0;
        unsigned n = 0;

        for (; size_is_digit(**text); (*text)++, n++)
                if (n < USEC_DIGITS)
                        usec = usec * 10 + (uint64_t) (**text - '0');
        if (n == 0 || n > USEC_DIGITS)
                return -EINVAL;
        for (; n < USEC_DIGITS; n++)
                usec *= 10;
        *ret_usec = usec;
        return 0;
}

int seconds_parse(const char *text, uint64_t *ret_usec) {
        uint64_t seconds, fraction = 0, usec;
        int r;

        r = size_parse_digits(&text, &seconds);
        if (r == 0 && *text == '.') {
                text++;
                r = seconds_parse_fraction(&text, &fraction);
        }
        if (r == 0 && *text)
                r = -EINVAL;
        if (r < 0)
                return r;
        if (__builtin_mul_overflow(seconds, USEC_PER_SECOND, &usec) || __builtin_add_overflow(usec, fraction, &usec))
                return -ERANGE;
        *ret_usec = usec;
        return 0;
}

const char *size_format(uint64_t bytes, char text[static SIZE_TEXT_MAX]) {
        static const char units[] = "KMGTPE";
        unsigned n = 0, shift;
        uint64_t whole, rest;

        if (bytes < 1024) {
                snprintf(text, SIZE_TEXT_MAX, "%u B", (unsigned) bytes);
                return text;
        }
        while (bytes >> n * 10 >= UINT64_C(1024) * 1024)
                n++;
        shift = (n + 1) * 10;
        whole = bytes >> shift;
        rest = bytes & ((UINT64_C(1) << shift) - 1);
        snprintf(text, SIZE_TEXT_MAX, "%u.%u %ciB", (unsigned) whole, (unsigned) (rest * 10 >> shift), units[n]);
        return text;
}
