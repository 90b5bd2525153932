/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "client.h"
#include "errmsg.h"
#include "private.h"
#include "process.h"
#include "uffd.h"

#define PROGRAM_VARIABLE "BIGFILED_PROGRAM"

static const char *client_connect_hint(int r) {
        switch (r) {
        case -ENOENT:
        case -ECONNREFUSED:
                return "start bigfiled there; a program can also have a private one, with the address \"spawn:\"";
        case -EACCES:
                return "add the user to the socket's group; a program can also have a private bigfiled, with the address \"spawn:\"";
        case -EPROTOTYPE:
                return "this is the socket of another program";
        default:
                return NULL;
        }
}

static int client_connect_unix(const struct address *address, int *ret_socket) {
        int r;

        r = chan_connect(address->path, ret_socket);
        return r < 0 ? errmsg_fail(r, client_connect_hint(r), "cannot connect to %s", address->path) : 0;
}

static int client_connect_private(const struct address *address, int *ret_socket) {
        const char *program = secure_getenv(PROGRAM_VARIABLE);
        struct private settings = { .pool = address->pool, .room_timeout_usec = address->room_timeout_usec };

        if (address->kind == ADDRESS_SPAWN && address->path[0])
                settings.program = address->path;
        else
                settings.program = program && *program ? program : BIGFILED_PROGRAM;
        return private_start(&settings, ret_socket);
}

/* Connects as the address says. */
static int client_connect(struct bf_client *client, const struct address *address, int *ret_socket) {
        int r;

        client->is_private = address->kind == ADDRESS_SPAWN;
        if (client->is_private)
                return client_connect_private(address, ret_socket);
        r = client_connect_unix(address, ret_socket);
        if (address->kind != ADDRESS_DEFAULT || (r != -ENOENT && r != -ECONNREFUSED))
                return r;
        client->is_private = true;
        r = client_connect_private(address, ret_socket);
        return r < 0 ? errmsg_prefix(r, "nobody serves %s, and ", address->path) : 0;
}

static int client_fail_hello(const struct bf_client *client, int r, const struct chan_packet *reply) {
        const char *daemon = client->session.daemon;

        if (reply->size > 0 && (r == -EPROTONOSUPPORT || r == 0))
                return errmsg_set(-EPROTONOSUPPORT, "%s speaks version %u of the protocol, this library version %u (use both of one release)", daemon,
                                  reply->msg.hello_reply.version, WIRE_VERSION);
        if (r == -ENOTCONN)
                return errmsg_set(r, "%s has closed the connection at once (its log tells why)", daemon);
        return errmsg_fail(r, NULL, "cannot connect to %s", daemon);
}

/* The first message: do both sides speak the same protocol? */
static int client_hello(struct bf_client *client) {
        struct chan_packet reply;
        union wire_msg msg;
        int r;

        wire_init(&msg, WIRE_HELLO, 0);
        msg.hello.version = WIRE_VERSION;
        msg.hello.features = WIRE_FEATURES;
        r = session_call(&client->session, &msg, NULL, 0, &reply);
        if (r < 0 || reply.msg.hello_reply.version != WIRE_VERSION)
                r = client_fail_hello(client, r, &reply);
        else if (reply.n_fds > 0)
                client->uffd_device = chan_packet_take(&reply, 0);
        chan_packet_close(&reply);
        return r;
}

static char *client_name_daemon(const struct bf_client *client, const struct address *address) {
        char *name;

        if (client->is_private)
                return strdup("the private bigfiled");
        return asprintf(&name, "bigfiled at %s", address->path) < 0 ? NULL : name;
}

/* Takes the socket, also if it fails. */
static int client_start(struct bf_client *client, const struct address *address, int socket) {
        char *daemon = client_name_daemon(client, address);
        int r = daemon ? handles_init(&client->handles) : -ENOMEM;

        if (r < 0) {
                free(daemon);
                close(socket);
                return errmsg_fail(r, NULL, "cannot connect to bigfiled");
        }
        session_init(&client->session, socket, daemon);
        r = keeper_start(&client->keeper, &client->session, &client->handles);
        if (r < 0) {
                session_fini(&client->session);
                handles_fini(&client->handles);
                return errmsg_fail(r, NULL, "cannot connect to bigfiled: cannot start a thread");
        }
        return 0;
}

int client_new(const struct address *address, struct bf_client **ret) {
        struct bf_client *client;
        int socket, r;

        client = calloc(1, sizeof(*client));
        if (!client || process_init() < 0) {
                free(client);
                return errmsg_fail(-ENOMEM, NULL, "cannot connect");
        }
        client->uffd_device = -1;
        r = client_connect(client, address, &socket);
        if (r == 0)
                r = client_start(client, address, socket);
        if (r < 0) {
                free(client);
                return r;
        }
        r = client_hello(client);
        if (r < 0) {
                client_free(client);
                return r;
        }
        *ret = client;
        return 0;
}

void client_free(struct bf_client *client) {
        keeper_stop(&client->keeper);
        session_fini(&client->session);
        handles_fini(&client->handles);
        if (client->uffd_device >= 0)
                close(client->uffd_device);
        free(client);
}

int client_uffd_new(const struct bf_client *client, int *ret_fd) {
        return uffd_new(client->uffd_device, client->is_private, ret_fd);
}

int client_check(const struct bf_client *client) {
        if (!client)
                return errmsg_set(-EINVAL, "no client: the pointer is NULL");
        return session_check(&client->session);
}
