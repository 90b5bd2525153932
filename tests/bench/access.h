/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_ACCESS_H
#define BENCH_ACCESS_H

/* Touches blocks of a subject, and checks what was seen. What the workloads share. */

#include "workload.h"

/* What is to be measured as a whole lies between these two. 0 or a negative errno. */
int access_begin(struct workload_run *run);
int access_end(struct workload_run *run);

/* Reads the first word of each block of run->order into run->seen, and takes the time of each, and of all. 0 or a negative errno. */
int access_read(struct workload_run *run);

/* Writes the tag of the run into each block of run->order, and takes the time of each, and of all. 0 or a negative errno. */
int access_write(struct workload_run *run);

/* These answer 0, or -EBADMSG with words on stderr. */
int access_check_seen(const struct workload_run *run);
int access_check_written(const struct workload_run *run);

/* The same of the file instead of the memory. */
int access_check_stored(const struct workload_run *run);

/* What was seen at one block; for those who look while they go. */
int access_check_word(const struct subject *subject, uint64_t block, uint64_t word);

#endif
