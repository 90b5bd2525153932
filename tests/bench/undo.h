/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_UNDO_H
#define BENCH_UNDO_H

/*
 * What this process has changed outside of itself, and how it is undone: at the end by who changed it; or, if SIGINT or SIGTERM ends the process before that,
 * by a handler, the last change first.
 */

#include <sys/types.h>

#define UNDO_PATH_MAX 300

struct undo;

/* Call it before any other. */
void undo_init(void);

/* Each answers a handle for undo_run(). There is room for some dozens at a time. path has fewer than UNDO_PATH_MAX bytes. */
struct undo *undo_write(const char *path, const char *text); /* writes a short text to the file */
struct undo *undo_remove(const char *path); /* a file, or a folder that is empty by then */
struct undo *undo_process(pid_t pid); /* of a child: ends it by SIGTERM, or by SIGKILL if that does not help, and waits */

/* Undoes it, and forgets it. NULL is fine. */
void undo_run(struct undo *undo);

/* Forgets it: it has been undone. NULL is fine. */
void undo_forget(struct undo *undo);

#endif
