/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FUZZ_SERVANT_H
#define BF_FUZZ_SERVANT_H

/* A process that serves a file, as the input says: what it has of the daemon, and how it answers what that asks. */

#include <stdint.h>

#include "chan.h"

struct servant {
        int token; /* -1: none, like the others */
        int socket;
        int area;
        uint64_t size;
        uint64_t block_size;
        uint32_t pending; /* the request that is to give it these; 0: none */
};

void servant_init(struct servant *servant);

/* A request to serve a file. Its name, size and block size are the input's, and the descriptor in *ret_token is borrowed; -1: none. */
void servant_ask(struct servant *servant, union wire_msg *msg, int *ret_token);

/* The reply: takes its descriptors. */
void servant_hear(struct servant *servant, struct chan_packet *reply);

/* Hears what is asked, if anything is, and answers it, well or badly. */
void servant_answer(struct servant *servant);

/* Serves no more, but keeps the token; or not even that. */
void servant_stop(struct servant *servant);
void servant_forget(struct servant *servant);

/* How many descriptors it has. */
unsigned servant_n_fds(const struct servant *servant);

/* A name that somebody may serve a file by. */
void servant_name(char name[static WIRE_SERVED_NAME_MAX]);

#endif
