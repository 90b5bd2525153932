/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PATIENCE_H
#define BF_PATIENCE_H

/* A daemon that does not answer for ten seconds is hung or stopped: that is said, and bfctl ends. */

/* From now on an answer is awaited; until patience_end(). */
void patience_begin(const char *socket);
void patience_end(void);

/* What is to be done before it ends so; in a signal handler. */
void patience_set_farewell(void (*farewell)(void));

#endif
