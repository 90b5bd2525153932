/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_WATCHDOG_H
#define BF_TEST_WATCHDOG_H

/*
 * Ends a test that hangs, even one whose every thread sleeps in a page fault, shows where it hung, and leaves nothing of a test program behind.
 * It is the parent process of the test program, so it needs nothing of it: watchdog_start() forks before there is any thread or mapping.
 */

#include <sys/types.h>

/* The exit status of a test program of which one test took too long. */
#define WATCHDOG_EXIT 99

/* Seconds for each test, unless BF_TEST_TIMEOUT in the environment says otherwise. */
#define WATCHDOG_SECONDS 60

/* First thing in main(). Returns in a child process, the test program; the parent watches it and ends with its exit status. */
void watchdog_start(void);

/* A test of this name begins and has this many seconds (0: the usual number; BF_TEST_TIMEOUT can only make it longer). */
void watchdog_arm(const char *name, unsigned seconds);

/* A process of the test program: on a hang its stacks are shown too, and it is killed at the end at the latest. Drop it before it is reaped. */
void watchdog_add(pid_t pid);
void watchdog_drop(pid_t pid);

/* When the test program has ended, however it did: removes this directory and all in it; writes text to this file. */
void watchdog_at_end_remove(const char *path);
void watchdog_at_end_write(const char *path, const char *text);

#endif
