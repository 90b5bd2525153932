/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

/* How far a step is: a bar on a terminal, a plain line now and then elsewhere. Steps that take no time show nothing. */

#include <stdint.h>

void progress_begin(uint64_t total_bytes);
void progress_update(uint64_t done_bytes);

/* Takes the bar away. Fine when there is none. */
void progress_clear(void);

/* Seconds since progress_begin(). */
double progress_seconds(void);

#endif
