/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

/* A bigfiled of the bench's own, and what it takes of the machine. */

#include <stdint.h>
#include <sys/types.h>

#include "setup.h"

struct undo;

struct server {
        pid_t pid;
        char dir[32];
        char address[64]; /* for bf_connect() */
        struct undo *undo_dir;
        struct undo *undo_left;
        struct undo *undo_process;
};

/* Starts it with the pool of the setup, where this process is allowed to run. 0, or a negative errno with words on stderr. */
int server_start(struct server *server, const struct setup *setup);

/* Ends it, and waits. */
void server_stop(struct server *server);

struct server_usage {
        uint64_t cpu_ns;     /* of all its threads, since it was started */
        uint64_t n_sleeps;   /* how often a thread that is there now went to sleep, and so was woken */
        uint64_t anon_bytes; /* its RAM, without the memory of files */
};

/* 0 or a negative errno. */
int server_cpu_ns(pid_t pid, uint64_t *ret_ns);
int server_usage(const struct server *server, struct server_usage *ret_usage);

#endif
