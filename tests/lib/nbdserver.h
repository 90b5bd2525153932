/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_NBDSERVER_H
#define BF_TEST_NBDSERVER_H

/* An NBD server, nbdkit or qemu-nbd, on a Unix socket in a directory of the test. It dies with the thread that started it. */

#include <sys/types.h>

#define NBDSERVER_ARGS_MAX 24

struct nbdserver {
        pid_t pid; /* 0: it does not run */
        char dir[64];
        char socket[80];
        char pidfile[80];
        char log[80];      /* what it prints */
        char uri[128];     /* for bf_open() */
        int listen_fd;     /* -1; or a TCP socket that stays when the server goes */
        const char *argv[NBDSERVER_ARGS_MAX];
};

/* What it serves: arguments up to NULL, which must live as long as it does. It does not run yet. The name is of its files in the directory. */
void nbdserver_init_nbdkit(struct nbdserver *server, const char *dir, const char *name, const char *const *args);
void nbdserver_init_qemu(struct nbdserver *server, const char *dir, const char *name, const char *const *args);

/* On a TCP port of this host: "localhost". */
void nbdserver_init_tcp(struct nbdserver *server, const char *dir, const char *name, const char *const *args);

/* Waits until it serves; also after it was killed. 0; -ENOENT there is no such program here; -ECHILD it ended instead (what it printed is shown). */
int nbdserver_start(struct nbdserver *server);

/* Ends it by SIGKILL and waits. One that does not run is fine. */
void nbdserver_kill(struct nbdserver *server);

/* The same, for good. */
void nbdserver_end(struct nbdserver *server);

/* With --filter=pause pause-control=PATH: the answers to all requests that came before are given, and no others, until it goes on. */
void nbdserver_pause(const char *path);
void nbdserver_go_on(const char *path);

/* With --filter=log logfile=PATH: how many requests of this kind, such as "Read", have come so far; and the most requests that were under way at a time, so far. */
unsigned nbdserver_count(const char *path, const char *kind);
unsigned nbdserver_most_under_way(const char *path);

#endif
