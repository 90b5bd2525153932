/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_COMMANDS_H
#define BF_COMMANDS_H

/* The commands of bfctl. Each has a file of its own. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client.h"

/* What the command line says. */
struct bfctl {
        const char *socket;
        bool as_json;
        const char *operand; /* the word after the command; NULL: none */
        const char *file;    /* of --file; NULL */
        const char *peer_text; /* of --peer; NULL */
        pid_t peer;            /* the same; 0 */
        const char *sort;    /* of --sort; NULL */
        const char *kind;    /* of --kind; NULL */
        struct bf_client *client;
};

/* What the operand has to be is checked before there is a connection: false, having said what is wrong. */
bool command_stats_check(const struct bfctl *bfctl);
bool command_reclaim_check(const struct bfctl *bfctl);
bool command_files_check(const struct bfctl *bfctl);
bool command_peers_check(const struct bfctl *bfctl);
bool command_top_check(const struct bfctl *bfctl);
bool command_trace_check(const struct bfctl *bfctl);

/* Each returns 0, or a negative errno with bf_errmsg(). */
int command_status(struct bfctl *bfctl);
int command_stats(struct bfctl *bfctl);
int command_files(struct bfctl *bfctl);
int command_peers(struct bfctl *bfctl);
int command_top(struct bfctl *bfctl);
int command_trace(struct bfctl *bfctl);
int command_reclaim(struct bfctl *bfctl);
int command_config(struct bfctl *bfctl);
int command_metrics(struct bfctl *bfctl);

#endif
