/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SUBJECT_NBDCOPY_H
#define BENCH_SUBJECT_NBDCOPY_H

/* What nbdcopy alone can do: read all of it, in order. */

#include <stdbool.h>

#include "subject.h"

bool subject_nbdcopy_is(const struct subject *subject);

/* Reads all, to nowhere. */
int subject_nbdcopy_read(struct subject *subject);

#endif
