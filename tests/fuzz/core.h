/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FUZZ_CORE_H
#define BF_FUZZ_CORE_H

/*
 * The daemon's server and pager inside this process, with their two threads, its io_uring and real userfaultfds: all of bigfiled but main(). It is started
 * once and serves every input. After each the core must have come back to where it was: nothing that a client had may be left.
 */

#include <stdbool.h>

/* The whole program ends if it cannot be started. core_started(): the descriptors that are open now are the program's own. */
void core_start(void);
void core_started(void);

/* A directory for files, removed in the end. */
const char *core_directory(void);

/* Connects to it. */
int core_connect(void);

/* /dev/userfaultfd, or -1. */
int core_device(void);

/* Has the core no client, fileh, mapping, or byte in the pool, and this process no descriptors but its own and n_fds others? */
bool core_is_settled(unsigned n_fds);

/* Waits until that is so, without others; aborts, with what is left, if it takes too long. */
void core_settle(void);

/* What must hold; else the program aborts. */
#define CORE_CHECK(condition) ((condition) ? (void) 0 : core_fail(__FILE__, __LINE__, #condition))
_Noreturn void core_fail(const char *file, int line, const char *condition);

/* A moment, while waiting for another thread. */
void core_pause(void);

#endif
