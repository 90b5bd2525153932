/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "options_show.h"

#define SHOW_COLUMN 32

const char *option_show(const struct options *options, const struct option_row *row, char text[static OPTION_TEXT_MAX]) {
        option_format(options, row, text);
        if (!*text)
                snprintf(text, OPTION_TEXT_MAX, "%s", row->otherwise);
        return text;
}

/* A value that depends on the host is told in words, in a comment. */
static void option_show_line(const struct options *options, const struct option_row *row) {
        const struct option_source *source = option_source(options, row);
        char value[OPTION_TEXT_MAX];
        int n;

        option_format(options, row, value);
        if (!*value) {
                printf("; %s: %s ; default\n", row->key, row->otherwise);
                return;
        }
        n = printf("%s = %s", row->key, value);
        printf("%*s ; %s\n", n < SHOW_COLUMN ? SHOW_COLUMN - n : 0, "", source->where ? source->where : "default");
}

void options_show(const struct options *options) {
        for (const struct option_row *row = options_table; row->key; row++)
                if (row->when != OPTION_COMMAND_LINE)
                        option_show_line(options, row);
}
