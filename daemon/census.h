/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CENSUS_H
#define BF_CENSUS_H

/* What a pager has, written into a report, a few lines at a time: its filehs, or its handles. */

#include <sys/types.h>

#include "pager.h"

/* For a client of that user, who is told of his own alone, unless he may see all. -EINVAL: it is of another kind. */
int census_begin(struct pager *pager, enum report_kind kind, uid_t uid, const struct reply_to *to);

#endif
