/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_CHILD_H
#define BF_TEST_CHILD_H

/*
 * A forked process of a test, with a line to talk over: numbers, one at a time, in both directions. It dies with the thread that forked it.
 * In the child no assertion of cmocka may be used (it would go on with the next test there): CHILD_CHECK ends the child instead.
 */

#include <stdint.h>
#include <sys/types.h>

struct child {
        pid_t pid; /* 0: none */
        int line;
};

/* Runs fn(line, arg) in a new process, which ends with what it returns as exit status. 0 or a negative errno. */
int child_start(struct child *child, int (*fn)(int line, void *arg), void *arg);

/* For both sides. child_hear() returns CHILD_GONE when the other side has ended. */
#define CHILD_GONE UINT64_MAX
void child_say(int line, uint64_t number);
uint64_t child_hear(int line);

/* In a child of root: changes the user for good. /proc/self stays readable, as it is for a program that the user started himself. */
void child_become(uid_t uid);

/* Waits for its end. Its exit status; or minus the number of the signal that killed it. */
int child_wait(struct child *child);

/* Kills and reaps it, if it is still there. */
void child_kill(struct child *child);

/* In a child: says which line was wrong and ends with status 1. */
#define CHILD_CHECK(condition) ((condition) ? (void) 0 : child_fail(__FILE__, __LINE__, #condition))
_Noreturn void child_fail(const char *file, int line, const char *condition);

#endif
