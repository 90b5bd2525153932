/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PROCESS_H
#define BF_PROCESS_H

/* Tells this process from one that it forked. */

#include <stdint.h>

/* To be called once before process_id() is of use: from bf_connect(). 0 or -ENOMEM. */
int process_init(void);

/*
 * A number that this process keeps and no child of it has: unlike a pid it is not given again, is not the same in another pid namespace, and needs no
 * system call. Also right after _Fork() and clone(), which run no handlers. 0 before process_init(). Async-signal-safe.
 */
uint64_t process_id(void);

#endif
