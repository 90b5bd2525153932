/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SURVEY_H
#define BF_SURVEY_H

/* The daemon as a whole, in numbers, as the main thread can see them without asking anybody. */

#include <stddef.h>

#include "commons.h"
#include "crew.h"
#include "report.h"

void survey_stats(const struct commons *commons, const struct crew *crew, struct report_stats *ret);

/* The same as text (metrics.h), allocated. */
int survey_metrics(const struct commons *commons, const struct crew *crew, char **ret_text, size_t *ret_length);

#endif
