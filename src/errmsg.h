/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ERRMSG_H
#define BF_ERRMSG_H

/* What bf_errmsg() returns: the last failure of a thread, in words. It knows neither the daemon nor files. */

/* How a name from outside stands in a text: cut off, if it is so long that the reason behind it would have no room. */
#define ERRMSG_NAME "%.512s"

/* Sets the text as it is, and returns error. */
int errmsg_set(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets "text: words of the errno (hint)", and returns error, a negative errno. hint, what the user can do, may be NULL. However long the text is,
 * the words and the hint have room. */
int errmsg_fail(int error, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts more words before the text there is, and returns error. */
int errmsg_prefix(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
