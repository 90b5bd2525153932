/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FUZZ_TOUCHER_H
#define BF_FUZZ_TOUCHER_H

/*
 * Threads that touch memory, and may sleep there. They do it in a system call, so that memory that cannot be touched is an error and no signal.
 * For one thread that says what is to be touched.
 */

#include <stdbool.h>
#include <stdint.h>

void toucher_start(void);

/* Has one of them read or write a word there. False: all of them are asleep. waits: till it is done, or a moment has passed. */
bool toucher_touch(uint64_t address, bool write, bool waits);

/* Until none is at work. Aborts if it takes too long: a thread that nobody has woken. */
void toucher_settle(void);

#endif
