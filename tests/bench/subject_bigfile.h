/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SUBJECT_BIGFILE_H
#define BENCH_SUBJECT_BIGFILE_H

/* What can be asked of the subjects "bigfile" alone. All answer 0 or a negative errno. */

#include <stdint.h>

struct server_usage;
struct subject;

/* What its daemon takes of the machine. */
int subject_bigfile_usage(const struct subject *subject, struct server_usage *ret_usage);

/* Loads so many bytes from the beginning; *ret_resident are in RAM then. */
int subject_bigfile_fill(struct subject *subject, uint64_t bytes, uint64_t *ret_resident);

#endif
