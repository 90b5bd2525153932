/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NBD_CONN_H
#define BF_NBD_CONN_H

/*
 * One connection to an NBD server, by libnbd, which nothing else knows. It lives in a loop of its owner's, who polls nbd_conn_fd() for nbd_conn_events() and then calls
 * nbd_conn_step(). Looking up a host's name may take as long as it likes: this is not for threads that must not wait.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nbd_conn;

/* What the server says of the export. */
struct nbd_export {
        uint64_t size;
        bool is_readonly;
        bool can_flush;
        bool can_multi; /* several connections at once, a flush of one of which is a flush of all */
        uint32_t bytes_min; /* of a request, and what it is a multiple of */
        uint32_t bytes_max;
};

/* Embedded by its owner; under way until done() was called, from within nbd_conn_step(). */
struct nbd_command {
        void (*done)(struct nbd_command *command, int error); /* 0 or a negative errno; not called when the connection ends first */
};

#define NBD_CONN_WORDS_MAX 256

/* Begins to connect. On failure words, for a person. may_read_files: the URI may name files of this host, such as keys. */
int nbd_conn_new(const char *uri, bool may_read_files, struct nbd_conn **ret, char words[static NBD_CONN_WORDS_MAX]);

/* Commands under way are forgotten: their done() is not called any more. */
void nbd_conn_free(struct nbd_conn *conn);

int nbd_conn_fd(const struct nbd_conn *conn);
short nbd_conn_events(const struct nbd_conn *conn);
void nbd_conn_step(struct nbd_conn *conn, short events);

enum nbd_conn_state {
        NBD_CONN_CONNECTING,
        NBD_CONN_READY,
        NBD_CONN_DEAD,
};

enum nbd_conn_state nbd_conn_state(const struct nbd_conn *conn);

/* Why it is dead: a negative errno, and words. */
int nbd_conn_error(const struct nbd_conn *conn, const char **ret_words);

/* While it is READY: from now on a host that is gone without a word makes it dead, in about half a minute. */
void nbd_conn_watch_host(struct nbd_conn *conn);

/* The same. */
struct nbd_export nbd_conn_export(const struct nbd_conn *conn);

/* A negative errno: it has not begun. */
int nbd_conn_read(struct nbd_conn *conn, struct nbd_command *command, void *buf, size_t length, uint64_t offset);
int nbd_conn_write(struct nbd_conn *conn, struct nbd_command *command, const void *buf, size_t length, uint64_t offset);
int nbd_conn_flush(struct nbd_conn *conn, struct nbd_command *command);

#endif
