/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_DAEMONPROC_H
#define BF_TEST_DAEMONPROC_H

/*
 * A real bigfiled for a test: the program named by BIGFILED_PROGRAM, on a socket in a directory of the test. It dies with the thread that started it.
 * What it prints goes to a file beside the socket, is shown when something is wrong, and is searched for a sanitizer's report.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemonproc {
        pid_t pid;        /* 0: none */
        char socket[108]; /* DIR/socket */
        char log[108];    /* DIR/daemon.log */
};

/*
 * Starts it with --socket DIR/socket and these options (argv style, ending with NULL; NULL: none), and waits until it says that it serves.
 * 0; -ENOENT BIGFILED_PROGRAM is not set; -ECHILD it ended instead (what it printed is shown); another negative errno.
 */
int daemonproc_start(struct daemonproc *daemonproc, const char *dir, const char *const *options);

/* Ends it by SIGTERM and waits. 0; -EBADMSG it did not end with status 0, or a sanitizer had something to say: shown on stderr. */
int daemonproc_stop(struct daemonproc *daemonproc);

/* Ends it by SIGKILL and waits. */
void daemonproc_kill(struct daemonproc *daemonproc);

/* Waits for it to end by itself; returns the status of waitpid(). */
int daemonproc_wait(struct daemonproc *daemonproc);

/* Is there such a text in what it has printed so far? */
bool daemonproc_says(const struct daemonproc *daemonproc, const char *text);

struct daemonproc_usage {
        unsigned n_fds;
        unsigned n_threads;
        uint64_t rss_bytes;
        uint64_t n_wakeups; /* how often its threads went to sleep so far, and so were woken */
};

/* What it uses now. 0, or a negative errno. */
int daemonproc_usage(const struct daemonproc *daemonproc, struct daemonproc_usage *ret_usage);

#endif
