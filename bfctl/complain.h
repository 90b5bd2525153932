/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_COMPLAIN_H
#define BF_COMPLAIN_H

/* What goes wrong, on standard error, and what bfctl exits with then. */

#define EXIT_USAGE 2
#define EXIT_NO_DAEMON 3

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* unknown KIND "TEXT" (did you mean ...?). words: those there are, which NULL ends; none of them is written with the prefix, such as "--". */
void complain_unknown(const char *kind, const char *text, const char *prefix, const char *const *words);

/* The same of words that --help does not tell: all of them are named. */
void complain_unlisted(const char *kind, const char *text, const char *const *words);

#endif
