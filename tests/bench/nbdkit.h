/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_NBDKIT_H
#define BENCH_NBDKIT_H

/* An NBD server on a Unix socket, with a copy of the content in its RAM. */

#include <stdbool.h>
#include <sys/types.h>

#include "reason.h"
#include "setup.h"

struct undo;

struct nbdkit {
        pid_t pid; /* 0: none */
        char dir[32];
        char socket[64];
        char pidfile[64];
        char uri[128];
        struct undo *undo_dir;
        struct undo *undo_pidfile;
        struct undo *undo_socket;
        struct undo *undo_process;
};

#define NBDKIT_DELAY_MS 2 /* of a slow one: how long each read takes at the least */

/* 0; SUBJECT_HAS_NONE: it is not here; or a negative errno with words on stderr. */
int nbdkit_start(struct nbdkit *nbdkit, const struct setup *setup, bool is_slow, struct reason *reason);

/* One that was not started is fine. */
void nbdkit_stop(struct nbdkit *nbdkit);

/* Runs nbdcopy and waits for it. 0 or a negative errno, with words on stderr; -ENOENT: there is none, without words. */
int nbdkit_copy(const char *from, const char *to);

#endif
