/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_VERDICT_H
#define DEMO_VERDICT_H

/* The last line that the demonstration prints. */

/* Prints "FAILED: " and the words, at the beginning of a line. Returns -1, for the caller to return. */
int verdict_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

void verdict_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on a touch of memory that cannot be loaded ends the program with a verdict that tells what failed, instead of a bare SIGBUS. */
void verdict_catch_sigbus(void);

#endif
