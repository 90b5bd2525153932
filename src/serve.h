/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SERVE_H
#define BF_SERVE_H

/*
 * A file that this process serves: its threads, which take up what the daemon asks, and the connection it comes through. When the daemon is gone they wait for
 * the next one, to which the keeper shows the file (serve_again()).
 */

#include <stdbool.h>
#include <stdint.h>

#include "bfclient.h"
#include "dial.h"
#include "session.h"

#define SERVE_PREFIX "ops:" /* before the name of such a file, where others have paths */

struct bf_fileh;
struct serve;

/* All that a client serves. */
struct serves {
        pthread_mutex_t lock; /* guards what follows */
        LIST_HEAD(, serve) all; /* -> serve->entry */
};

struct serve_params {
        const struct bf_file_ops *ops;
        void *file;
        uint64_t size;
        uint64_t block_size;
        const char *name; /* "": none */
        unsigned n_threads; /* at the most */
};

void serves_init(struct serves *serves);
void serves_fini(struct serves *serves);

/* Shows all to another daemon, on the keeper's thread. A negative errno: the connection is of no use any more. */
int serves_again(struct serves *serves, const struct dial_line *line);

/* From now on the daemon may ask. Sets bf_errmsg() on failure; the program's file is not released then. */
int serve_new(struct session *session, struct serves *serves, const struct serve_params *params, struct serve **ret);

/* Nothing is asked any more. Waits for what is under way. Once more is fine. */
void serve_stop(struct serve *serve);

/* After serve_stop(). is_released: the program's file is. NULL is fine. */
void serve_free(struct serve *serve, bool is_released);

/* What tells the daemon of which file a handle is; the serve's. */
int serve_token(const struct serve *serve);

/* Is this thread in one of the program's functions for that file? NULL is fine. */
bool serve_is_here(const struct serve *serve);

/* The same of the file that a handle is of, whether it was made to serve it or opened by its name. */
bool serve_is_of(const struct bf_fileh *fileh);

#endif
