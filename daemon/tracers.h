/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TRACERS_H
#define BF_TRACERS_H

/*
 * Clients that are told what happens as it does (trace.h), the main thread's. One who does not read as fast as things happen misses some, and is told how many: nobody waits for
 * him. While there is none, nothing is recorded.
 */

#include "commons.h"
#include "loop.h"
#include "wire.h"

struct tracers;

/* Both are borrowed. */
int tracers_new(struct loop *loop, struct commons *commons, struct tracers **ret);
void tracers_free(struct tracers *tracers);

/* One more, until he closes the socket *ret_fd, which is the caller's to give to him. -EBUSY: there are too many; -EINVAL. */
int tracers_add(struct tracers *tracers, const struct wire_trace *wanted, int *ret_fd);

#endif
