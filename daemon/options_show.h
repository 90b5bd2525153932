/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPTIONS_SHOW_H
#define BF_OPTIONS_SHOW_H

/* What is in force, for people: and how it differs from what was. */

#include "options.h"
#include "reports.h"

/* To stdout, as a configuration, each line with where it comes from. */
void options_show(const struct options *options);

/* The value as the configuration would have it, or, if nobody has said one, what is so then. Returns text. */
const char *option_show(const struct options *options, const struct option_row *row, char text[static OPTION_TEXT_MAX]);

/* Into a report, as struct report_setting. */
int options_report(const struct options *options, struct report *report);

#endif
