/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_METRICS_H
#define BF_METRICS_H

/* The figures of a report as OpenMetrics text, for Prometheus and its like. Pure. */

#include <stddef.h>

#include "report.h"

#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The text is allocated. -ENOMEM. */
int metrics_write(const struct report_stats *stats, char **ret_text, size_t *ret_length);

#endif
