/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "errmsg.h"
#include "msec.h"
#include "nofork.h"
#include "process.h"
#include "size.h"
#include "uffd.h"

#define TIMEOUT_VARIABLE "BIGFILED_RECONNECT_TIMEOUT"
#define TIMEOUT_DEFAULT_USEC (UINT64_C(30) * 1000000)

/* How long requests and faults wait for another daemon when this one is gone. */
static int client_timeout(int64_t *ret_msec) {
        const char *text = secure_getenv(TIMEOUT_VARIABLE);
        uint64_t usec = TIMEOUT_DEFAULT_USEC;

        if (text && *text && seconds_parse(text, &usec) < 0)
                return errmsg_set(-EINVAL, "\"" ERRMSG_NAME "\" in $" TIMEOUT_VARIABLE " is no number of seconds (such as 30 or 0.5)", text);
        *ret_msec = (int64_t) (usec / 1000);
        return 0;
}

/* A daemon that has just ended may have let somebody in whom it did not hear any more: another look tells how it is. */
#define CONNECT_TRIES_MAX 3

static int client_connect_once(struct bf_client *client, const struct address *address, int *ret_socket) {
        struct dial_line line = { .stop = -1 };
        int r;

        r = dial_init(&client->dial, address, &line.socket);
        if (r < 0)
                return r;
        r = dial_hello(&client->dial, &line, MSEC_NEVER);
        if (r < 0) {
                close(line.socket);
                dial_fini(&client->dial);
                return r;
        }
        *ret_socket = line.socket;
        return 0;
}

static int client_connect(struct bf_client *client, const struct address *address, int *ret_socket) {
        unsigned n_tries = 0;
        int r;

        do
                r = client_connect_once(client, address, ret_socket);
        while (r == -ENOTCONN && !client->dial.is_private && ++n_tries < CONNECT_TRIES_MAX);
        return r;
}

/* Takes the socket, also if it fails. */
static int client_start(struct bf_client *client, int64_t timeout, int socket) {
        const struct keeper_params params = { .session = &client->session, .handles = &client->handles, .serves = &client->serves, .dial = &client->dial, .timeout = timeout };
        char *daemon = strdup(client->dial.daemon);
        int r = daemon ? handles_init(&client->handles) : -ENOMEM;

        if (r < 0) {
                free(daemon);
                close(socket);
                return errmsg_fail(r, NULL, "cannot connect to bigfiled");
        }
        serves_init(&client->serves);
        session_init(&client->session, socket, daemon);
        r = keeper_start(&client->keeper, &params);
        if (r < 0) {
                session_fini(&client->session);
                serves_fini(&client->serves);
                handles_fini(&client->handles);
                return errmsg_fail(r, NULL, "cannot connect to bigfiled: cannot start a thread");
        }
        return 0;
}

static int client_build(struct bf_client *client, const struct address *address) {
        int64_t timeout = 0;
        int socket, r;

        r = client_timeout(&timeout);
        if (r < 0)
                return r;
        r = client_connect(client, address, &socket);
        if (r < 0)
                return r;
        r = client_start(client, timeout, socket);
        if (r < 0)
                dial_fini(&client->dial);
        return r;
}

int client_new(const struct address *address, struct bf_client **ret) {
        struct bf_client *client;
        int r;

        client = calloc(1, sizeof(*client));
        if (!client || process_init() < 0 || nofork_init() < 0) {
                free(client);
                return errmsg_fail(-ENOMEM, NULL, "cannot connect");
        }
        r = client_build(client, address);
        if (r < 0) {
                free(client);
                return r;
        }
        *ret = client;
        return 0;
}

void client_stop(struct bf_client *client) {
        keeper_stop(&client->keeper);
}

void client_free(struct bf_client *client) {
        keeper_stop(&client->keeper);
        session_fini(&client->session);
        serves_fini(&client->serves);
        handles_fini(&client->handles);
        dial_fini(&client->dial);
        free(client);
}

int client_uffd_new(const struct bf_client *client, int *ret_fd) {
        return uffd_new(client->dial.device, client->dial.is_private, ret_fd);
}

int client_check(const struct bf_client *client) {
        if (!client)
                return errmsg_set(-EINVAL, "no client: the pointer is NULL");
        return session_check(&client->session);
}
