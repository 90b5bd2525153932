/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_FLOOR_SERVER_H
#define BENCH_FLOOR_SERVER_H

/* The other process of the subject "floor": what a server of page faults must do at the least. */

#include <stdint.h>
#include <stdnoreturn.h>

/* All descriptors are borrowed. */
struct floor_server {
        int uffd;    /* that blocks */
        int memory;  /* the memfd that the client has mapped */
        int file;
        int control; /* one byte each way: a command, and 0 or an errno */
        uint8_t *client_memory; /* where it is mapped in the client */
        uint64_t n_blocks;
        uint64_t n_run;  /* blocks that are loaded together, aligned: a power of two */
        uint64_t n_pool; /* blocks it may have in memory: what came first goes first, unless it is dirty */
};

enum floor_command {
        FLOOR_DROP,
        FLOOR_STORE,
        FLOOR_SYNC,
        N_FLOOR_COMMANDS,
};

/* Serves until the other end of control is closed. Commands come only while no thread of the client is in a fault. */
noreturn void floor_server_run(const struct floor_server *server);

#endif
