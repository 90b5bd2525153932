/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "options_show.h"
#include "report.h"

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

static int options_report_row(const struct options *options, const struct option_row *row, struct report *report) {
        const struct option_source *source = option_source(options, row);
        struct report_setting setting = { .flags = row->when == OPTION_RELOADED ? REPORT_SETTING_RELOADED : 0 };
        char value[OPTION_TEXT_MAX];

        option_format(options, row, value);
        if (!*value)
                setting.flags |= REPORT_SETTING_IN_WORDS;
        snprintf(setting.key, sizeof(setting.key), "%s", row->key);
        snprintf(setting.value, sizeof(setting.value), "%.479s", option_show(options, row, value));
        snprintf(setting.where, sizeof(setting.where), "%.479s", source->where ? source->where : "default");
        return report_add(report, &setting, sizeof(setting));
}

int options_report(const struct options *options, struct report *report) {
        int r = 0;

        for (const struct option_row *row = options_table; r == 0 && row->key; row++)
                if (row->when != OPTION_COMMAND_LINE)
                        r = options_report_row(options, row, report);
        return r;
}
