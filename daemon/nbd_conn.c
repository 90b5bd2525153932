/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <libnbd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd_conn.h"

/* What every server takes in one request, and every one gives to who asks nothing about it. */
#define NBD_CONN_BYTES_MAX (UINT32_C(32) << 20)

#define NBD_CONN_TLS_DIR "/tmp/bigfiled-tls-XXXXXX"
#define NBD_CONN_TLS_FILE "ca-cert.pem" /* as libnbd wants it */
#define NBD_CONN_TLS_PATH_MAX sizeof(NBD_CONN_TLS_DIR "/" NBD_CONN_TLS_FILE)

/* Where distributions keep the authorities that the host trusts. */
static const char *const nbd_conn_authorities[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem" };

struct nbd_conn {
        struct nbd_handle *nbd;
        bool has_failed;
        int error;
        char words[NBD_CONN_WORDS_MAX];
        char tls_dir[sizeof(NBD_CONN_TLS_DIR)]; /* "": none was made */
};

/* --- errors ------------------------------------------------------------------------------------------------------------------------------------- */

/* What the last call in this thread complained of. Not every mistake of a server has an errno. */
static int nbd_conn_last_error(char words[static NBD_CONN_WORDS_MAX]) {
        const char *text = nbd_get_error();
        int e = nbd_get_errno();

        snprintf(words, NBD_CONN_WORDS_MAX, "%s", text ? text : strerror(e != 0 ? e : EPROTO));
        return e > 0 ? -e : -EPROTO;
}

static void nbd_conn_fail(struct nbd_conn *conn) {
        if (!conn->has_failed)
                conn->error = nbd_conn_last_error(conn->words);
        conn->has_failed = true;
}

int nbd_conn_error(const struct nbd_conn *conn, const char **ret_words) {
        *ret_words = conn->has_failed ? conn->words : "the server has closed the connection";
        return conn->has_failed ? conn->error : -ECONNRESET;
}

/* --- its life ----------------------------------------------------------------------------------------------------------------------------------- */

static const char *nbd_conn_find_authorities(void) {
        for (size_t i = 0; i < sizeof(nbd_conn_authorities) / sizeof(*nbd_conn_authorities); i++)
                if (access(nbd_conn_authorities[i], R_OK) == 0)
                        return nbd_conn_authorities[i];
        return "/etc/ssl/certs"; /* which is no file: whoever answers is not trusted */
}

static void nbd_conn_tls_path(const struct nbd_conn *conn, char ret_path[static NBD_CONN_TLS_PATH_MAX]) {
        snprintf(ret_path, NBD_CONN_TLS_PATH_MAX, "%s/%s", conn->tls_dir, NBD_CONN_TLS_FILE);
}

static void nbd_conn_remove_tls_dir(struct nbd_conn *conn) {
        char path[NBD_CONN_TLS_PATH_MAX];

        if (!*conn->tls_dir)
                return;
        nbd_conn_tls_path(conn, path);
        (void) unlink(path);
        (void) rmdir(conn->tls_dir);
        *conn->tls_dir = '\0';
}

static int nbd_conn_refuse_tls_dir(struct nbd_conn *conn, const char *path) {
        conn->error = -EIO; /* other numbers would tell a client of the server */
        conn->has_failed = true;
        snprintf(conn->words, sizeof(conn->words), "cannot make %s, to name the certificate authorities to trust: %s", path, strerror(errno));
        return -1;
}

static int nbd_conn_make_tls_dir(struct nbd_conn *conn) {
        char path[NBD_CONN_TLS_PATH_MAX];

        strcpy(conn->tls_dir, NBD_CONN_TLS_DIR);
        if (!mkdtemp(conn->tls_dir)) {
                *conn->tls_dir = '\0';
                return nbd_conn_refuse_tls_dir(conn, NBD_CONN_TLS_DIR);
        }
        nbd_conn_tls_path(conn, path);
        return symlink(nbd_conn_find_authorities(), path) < 0 ? nbd_conn_refuse_tls_dir(conn, path) : 0;
}

/* libnbd before 1.18.5 and 1.20.3 checks a server's certificate only against authorities that are named (CVE-2024-7383): so they are, those that the host trusts. */
static int nbd_conn_trust(struct nbd_conn *conn, const char *uri) {
        if (strncmp(uri, "nbds", strlen("nbds")) != 0 || strstr(uri, "tls-certificates=") || strstr(uri, "tls-psk-file="))
                return 0;
        return nbd_conn_make_tls_dir(conn) < 0 ? -1 : nbd_set_tls_certificates(conn->nbd, conn->tls_dir);
}

static int nbd_conn_begin(struct nbd_conn *conn, const char *uri, bool may_read_files) {
        int r = 0;

        conn->nbd = nbd_create();
        if (conn->nbd)
                r = nbd_set_uri_allow_local_file(conn->nbd, may_read_files);
        if (conn->nbd && r == 0)
                r = nbd_set_pread_initialize(conn->nbd, false); /* what did not come is not looked at */
        if (conn->nbd && r == 0)
                r = nbd_conn_trust(conn, uri);
        if (conn->nbd && r == 0)
                r = nbd_aio_connect_uri(conn->nbd, uri);
        return conn->nbd && r == 0 ? 0 : -1;
}

int nbd_conn_new(const char *uri, bool may_read_files, struct nbd_conn **ret, char words[static NBD_CONN_WORDS_MAX]) {
        struct nbd_conn *conn = calloc(1, sizeof(*conn));
        int r;

        if (!conn) {
                snprintf(words, NBD_CONN_WORDS_MAX, "no memory");
                return -ENOMEM;
        }
        if (nbd_conn_begin(conn, uri, may_read_files) < 0) {
                nbd_conn_fail(conn);
                snprintf(words, NBD_CONN_WORDS_MAX, "%s", conn->words);
                r = conn->error;
                nbd_close(conn->nbd);
                nbd_conn_remove_tls_dir(conn);
                free(conn);
                return r;
        }
        *ret = conn;
        return 0;
}

/* A server that hears it knows that nobody was cut off. */
static void nbd_conn_say_goodbye(struct nbd_conn *conn) {
        if (nbd_aio_is_ready(conn->nbd) > 0 && nbd_aio_in_flight(conn->nbd) == 0)
                (void) nbd_aio_disconnect(conn->nbd, 0);
}

void nbd_conn_free(struct nbd_conn *conn) {
        if (!conn)
                return;
        nbd_conn_say_goodbye(conn);
        nbd_close(conn->nbd);
        nbd_conn_remove_tls_dir(conn);
        free(conn);
}

/* --- its loop ----------------------------------------------------------------------------------------------------------------------------------- */

int nbd_conn_fd(const struct nbd_conn *conn) {
        return nbd_aio_get_fd(conn->nbd);
}

short nbd_conn_events(const struct nbd_conn *conn) {
        unsigned direction = nbd_aio_get_direction(conn->nbd);

        return (short) ((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) | (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

/* Which direction counts may change by each call. What is neither is the end of the connection, which the next read or write finds out. */
void nbd_conn_step(struct nbd_conn *conn, short events) {
        unsigned direction = nbd_aio_get_direction(conn->nbd);
        int r = 0;

        if (events & (POLLIN | POLLHUP | POLLERR) && direction & LIBNBD_AIO_DIRECTION_READ)
                r = nbd_aio_notify_read(conn->nbd);
        else if (events & (POLLOUT | POLLHUP | POLLERR) && direction & LIBNBD_AIO_DIRECTION_WRITE)
                r = nbd_aio_notify_write(conn->nbd);
        if (r < 0)
                nbd_conn_fail(conn);
}

enum nbd_conn_state nbd_conn_state(const struct nbd_conn *conn) {
        struct nbd_handle *nbd = conn->nbd;

        if (conn->has_failed || nbd_aio_is_dead(nbd) != 0 || nbd_aio_is_closed(nbd) != 0)
                return NBD_CONN_DEAD;
        return nbd_aio_is_ready(nbd) > 0 || nbd_aio_is_processing(nbd) > 0 ? NBD_CONN_READY : NBD_CONN_CONNECTING;
}

/* Asked when nothing was heard for that long, that often; and what was sent is to be acknowledged in that time. */
#define NBD_CONN_IDLE_SECONDS 15
#define NBD_CONN_PROBE_SECONDS 5
#define NBD_CONN_PROBES 3
#define NBD_CONN_UNHEARD_MSEC 30000

/* Of a Unix socket none of it can be set, nor has to be. */
void nbd_conn_watch_host(struct nbd_conn *conn) {
        int fd = nbd_aio_get_fd(conn->nbd);

        (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int) { 1 }, sizeof(int));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int) { NBD_CONN_IDLE_SECONDS }, sizeof(int));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int) { NBD_CONN_PROBE_SECONDS }, sizeof(int));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int) { NBD_CONN_PROBES }, sizeof(int));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int) { NBD_CONN_UNHEARD_MSEC }, sizeof(int));
}

struct nbd_export nbd_conn_export(const struct nbd_conn *conn) {
        int64_t size = nbd_get_size(conn->nbd), bytes_min = nbd_get_block_size(conn->nbd, LIBNBD_SIZE_MINIMUM),
                bytes_max = nbd_get_block_size(conn->nbd, LIBNBD_SIZE_MAXIMUM);

        return (struct nbd_export) {
                .size = size > 0 ? (uint64_t) size : 0,
                .is_readonly = nbd_is_read_only(conn->nbd) != 0,
                .can_flush = nbd_can_flush(conn->nbd) > 0,
                .can_multi = nbd_can_multi_conn(conn->nbd) > 0,
                .bytes_min = bytes_min > 0 ? (uint32_t) bytes_min : 1,
                .bytes_max = bytes_max > 0 && bytes_max < NBD_CONN_BYTES_MAX ? (uint32_t) bytes_max : NBD_CONN_BYTES_MAX,
        };
}

/* --- commands ----------------------------------------------------------------------------------------------------------------------------------- */

/* libnbd says ENOTCONN of what was under way when the connection ended, and no server can say that. The others are the server's own. */
static int nbd_conn_on_completion(void *user_data, int *error) {
        struct nbd_command *command = user_data;

        if (*error != ENOTCONN)
                command->done(command, -*error);
        return 1; /* libnbd need not keep it */
}

static nbd_completion_callback nbd_conn_callback(struct nbd_command *command) {
        return (nbd_completion_callback) { .callback = nbd_conn_on_completion, .user_data = command };
}

/* What makes the connection die is told by its state, and whoever gave the command has it still. */
static int nbd_conn_issued(int64_t cookie) {
        char words[NBD_CONN_WORDS_MAX];

        return cookie > 0 ? 0 : nbd_conn_last_error(words);
}

int nbd_conn_read(struct nbd_conn *conn, struct nbd_command *command, void *buf, size_t length, uint64_t offset) {
        return nbd_conn_issued(nbd_aio_pread(conn->nbd, buf, length, offset, nbd_conn_callback(command), 0));
}

int nbd_conn_write(struct nbd_conn *conn, struct nbd_command *command, const void *buf, size_t length, uint64_t offset) {
        return nbd_conn_issued(nbd_aio_pwrite(conn->nbd, buf, length, offset, nbd_conn_callback(command), 0));
}

int nbd_conn_flush(struct nbd_conn *conn, struct nbd_command *command) {
        return nbd_conn_issued(nbd_aio_flush(conn->nbd, nbd_conn_callback(command), 0));
}
