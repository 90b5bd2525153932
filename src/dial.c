/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "errmsg.h"
#include "msec.h"
#include "private.h"

#define PROGRAM_VARIABLE "BIGFILED_PROGRAM"

/* --- connecting ----------------------------------------------------------------------------------------------------------------------------------- */

static const char *dial_hint(int r) {
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

/* Of a path that is relative: the program may change its folder before it is needed again. As it is, where that would be longer than max. */
static void dial_make_absolute(char path[static ADDRESS_PATH_MAX], size_t max) {
        char absolute[ADDRESS_PATH_MAX], folder[PATH_MAX];

        if (path[0] == '/' || !getcwd(folder, sizeof(folder)))
                return;
        if (snprintf(absolute, sizeof(absolute), "%s/%s", folder, path) < (int) max)
                strcpy(path, absolute);
}

static int dial_unix(const struct dial *dial, int (*connect)(const char *path, int *ret_fd), int *ret_socket) {
        int r;

        r = connect(dial->address.path, ret_socket);
        return r < 0 ? errmsg_fail(r, dial_hint(r), "cannot connect to %s", dial->address.path) : 0;
}

static int dial_private(const struct dial *dial, int *ret_socket) {
        const struct private settings = {
                .program = dial->address.path,
                .pool = dial->address.pool,
                .room_timeout_usec = dial->address.room_timeout_usec,
                .spill_size = dial->address.spill_size,
                .spill_dir = dial->address.spill_dir,
        };

        return private_start(&settings, ret_socket);
}

/* The program that the address names, or the usual one. */
static int dial_set_program(struct dial *dial, const struct address *address) {
        const char *program = secure_getenv(PROGRAM_VARIABLE);

        dial->is_private = true;
        if (address->kind == ADDRESS_SPAWN && address->path[0])
                program = address->path;
        else if (!program || !*program)
                program = BIGFILED_PROGRAM;
        if (strlen(program) >= sizeof(dial->address.path))
                return errmsg_set(-EINVAL, "the path in $" PROGRAM_VARIABLE " is too long: %zu bytes", strlen(program));
        snprintf(dial->address.path, sizeof(dial->address.path), "%s", program);
        dial_make_absolute(dial->address.path, sizeof(dial->address.path));
        return 0;
}

/* Connects as the address says. */
static int dial_connect(struct dial *dial, const struct address *address, int *ret_socket) {
        int r = 0;

        if (address->kind != ADDRESS_SPAWN) {
                dial_make_absolute(dial->address.path, CHAN_ADDRESS_MAX);
                r = dial_unix(dial, chan_connect, ret_socket);
                if (address->kind != ADDRESS_DEFAULT || (r != -ENOENT && r != -ECONNREFUSED))
                        return r;
        }
        r = dial_set_program(dial, address);
        if (r == 0)
                r = dial_private(dial, ret_socket);
        return r < 0 && address->kind == ADDRESS_DEFAULT ? errmsg_prefix(r, "nobody serves %s, and ", address->path) : r;
}

static char *dial_name(const struct dial *dial) {
        char *name;

        if (dial->is_private)
                return strdup("the private bigfiled");
        return asprintf(&name, "bigfiled at %s", dial->address.path) < 0 ? NULL : name;
}

int dial_init(struct dial *dial, const struct address *address, int *ret_socket) {
        int socket, r;

        dial->address = *address;
        dial->is_private = false;
        atomic_init(&dial->wants_direct, false);
        atomic_init(&dial->device, -1);
        r = dial_connect(dial, address, &socket);
        if (r < 0)
                return r;
        dial->daemon = dial_name(dial);
        if (!dial->daemon) {
                close(socket);
                return errmsg_fail(-ENOMEM, NULL, "cannot connect to bigfiled");
        }
        *ret_socket = socket;
        return 0;
}

void dial_fini(struct dial *dial) {
        if (dial->device >= 0)
                close(dial->device);
        free(dial->daemon);
}

int dial_again(const struct dial *dial, int *ret_socket) {
        return dial->is_private ? dial_private(dial, ret_socket) : dial_unix(dial, chan_connect_at_once, ret_socket);
}

/* --- asking --------------------------------------------------------------------------------------------------------------------------------------- */

static int dial_wait(const struct dial_line *line, int64_t until) {
        struct pollfd polls[] = { { .fd = line->socket, .events = POLLIN }, { .fd = line->stop, .events = POLLIN } };
        int n;

        do
                n = poll(polls, 2, msec_until(until));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (polls[1].revents)
                return -ECANCELED;
        return n == 0 ? -ETIMEDOUT : 0;
}

static bool dial_is_reply(const struct chan_packet *packet, const union wire_msg *msg) {
        return wire_validate(WIRE_TO_CLIENT, &packet->msg, packet->size, packet->n_fds) == WIRE_OK &&
               packet->msg.header.id == (msg->header.id | WIRE_REPLY) && packet->msg.header.serial == msg->header.serial;
}

static int dial_exchange(const struct dial_line *line, union wire_msg *msg, const int *fds, unsigned n_fds, int64_t until, struct chan_packet *ret_reply) {
        struct chan_packet reply;
        int r;

        r = chan_send(line->socket, msg, fds, n_fds);
        if (r == 0)
                r = dial_wait(line, until);
        if (r < 0)
                return r;
        r = chan_receive(line->socket, &reply);
        if (r <= 0)
                return r < 0 ? r : -EPIPE;
        if (!dial_is_reply(&reply, msg)) {
                chan_packet_close(&reply);
                return -EPROTO;
        }
        *ret_reply = reply;
        return 0;
}

int dial_ask_packet(const struct dial_line *line, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply) {
        return dial_exchange(line, msg, fds, n_fds, MSEC_NEVER, ret_reply);
}

int dial_pause(const struct dial_line *line, int msec) {
        struct pollfd stop = { .fd = line->stop, .events = POLLIN };

        return poll(&stop, 1, msec) > 0 ? -ECANCELED : 0;
}

int dial_ask(const struct dial_line *line, union wire_msg *msg, const int *fds, unsigned n_fds, union wire_msg *ret_reply) {
        struct chan_packet reply;
        int r;

        r = dial_exchange(line, msg, fds, n_fds, MSEC_NEVER, &reply);
        if (r < 0)
                return r;
        *ret_reply = reply.msg;
        chan_packet_close(&reply);
        return 0;
}

static int dial_fail_hello(const struct dial *dial, int r) {
        if (r == -EUSERS)
                return errmsg_fail(r, "it has as many clients as it may have: see --uid-peers of bigfiled", "cannot connect to %s", dial->daemon);
        if (r == -EMFILE || r == -ENFILE)
                return errmsg_fail(r, "the daemon has as many as it may have: see its LimitNOFILE=", "cannot connect to %s", dial->daemon);
        if (r == -EPIPE)
                return errmsg_set(-ENOTCONN, "%s has closed the connection at once (%s)", dial->daemon,
                                  dial->is_private ? "it may have said why on standard error" : "its log tells why");
        return errmsg_fail(r, NULL, "cannot connect to %s", dial->daemon);
}

static int dial_judge_hello(const struct dial *dial, const struct wire_hello_reply *reply) {
        if (reply->error == -EPROTONOSUPPORT || (reply->error == 0 && reply->version != WIRE_VERSION))
                return errmsg_set(-EPROTONOSUPPORT, "%s speaks version %u of the protocol, this library version %u (use both of one release)",
                                  dial->daemon, reply->version, WIRE_VERSION);
        if (reply->error != 0)
                return dial_fail_hello(dial, reply->error < 0 ? reply->error : -EPROTO);
        return 0;
}

int dial_hello(struct dial *dial, const struct dial_line *line, int64_t until) {
        struct chan_packet reply;
        union wire_msg msg;
        int r;

        wire_init(&msg, WIRE_HELLO, 0);
        msg.hello.version = WIRE_VERSION;
        msg.hello.features = WIRE_FEATURES;
        r = dial_exchange(line, &msg, NULL, 0, until, &reply);
        if (r < 0)
                return dial_fail_hello(dial, r);
        r = dial_judge_hello(dial, &reply.msg.hello_reply);
        if (r == 0 && reply.n_fds > 0 && dial->device < 0)
                dial->device = chan_packet_take(&reply, 0);
        if (r == 0)
                dial->wants_direct = reply.msg.header.flags & WIRE_HELLO_DIRECT;
        chan_packet_close(&reply);
        return r;
}
