/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Any bytes as a packet, through a real socket: what arrives must be what was sent or be refused whole, no descriptor may stay open, and what passes
 * the validation must have the shape that the rest of the code relies on. The first byte of the input says how many descriptors come with the packet.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"

#define FUZZ_FDS_MAX 8
#define FUZZ_BYTES_MAX (2 * WIRE_MSG_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition) ((condition) ? (void) 0 : fuzz_fail(#condition, __LINE__))

static _Noreturn void fuzz_fail(const char *condition, int line) {
        fprintf(stderr, "fuzz_wire.c:%d: %s does not hold\n", line, condition);
        abort();
}

static void fuzz_send(int fd, const uint8_t *bytes, size_t size, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(FUZZ_FDS_MAX * sizeof(int))];
        } control = { .bytes = { 0 } };
        struct iovec iov = { .iov_base = (void *) bytes, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *c;

                m.msg_control = control.bytes;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                for (unsigned i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
        }
        FUZZ_CHECK(sendmsg(fd, &m, 0) == (ssize_t) size);
}

/* What both sides rely on once a message has passed. */
static void fuzz_check_valid(const union wire_msg *msg, size_t size, unsigned n_fds) {
        union wire_msg ours;

        FUZZ_CHECK(size >= sizeof(msg->header) && size <= sizeof(*msg));
        FUZZ_CHECK(msg->header.size == size);
        FUZZ_CHECK(msg->header.n_fds == n_fds);
        FUZZ_CHECK(strcmp(wire_name(msg->header.id), "unknown") != 0);
        wire_init(&ours, msg->header.id, msg->header.serial);
        FUZZ_CHECK(ours.header.size == size);
}

/* Twice: in a place exactly as large as it is, so that a sanitizer sees a step too far, and as it lies in a packet. */
static void fuzz_validate(const union wire_msg *msg, size_t size, unsigned n_fds) {
        uint8_t *exact = malloc(size ? size : 1);

        FUZZ_CHECK(exact != NULL);
        memcpy(exact, msg->bytes, size);
        for (enum wire_direction direction = WIRE_TO_DAEMON; direction <= WIRE_TO_CLIENT; direction++) {
                enum wire_verdict verdict = wire_validate(direction, msg, size, n_fds);

                FUZZ_CHECK(wire_validate(direction, exact, size, n_fds) == verdict);
                FUZZ_CHECK(wire_verdict_text(verdict)[0] != '\0');
                if (verdict == WIRE_OK)
                        fuzz_check_valid(msg, size, n_fds);
        }
        free(exact);
}

static void fuzz_receive(int fd, const uint8_t *bytes, size_t size, unsigned n_fds) {
        struct chan_packet packet;
        int r = chan_receive(fd, &packet);

        if (size > WIRE_MSG_MAX || n_fds > WIRE_FDS_MAX) {
                FUZZ_CHECK(r == -EMSGSIZE);
                return;
        }
        FUZZ_CHECK(r == (size > 0 || n_fds > 0));
        if (r == 0)
                return;
        FUZZ_CHECK(packet.size == size && packet.n_fds == n_fds);
        FUZZ_CHECK(memcmp(packet.msg.bytes, bytes, size) == 0);
        fuzz_validate(&packet.msg, packet.size, packet.n_fds);
        chan_packet_close(&packet);
}

/* The lowest number that is free: the same before and after, if nothing stayed open. */
static int fuzz_lowest_free(void) {
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

        FUZZ_CHECK(fd >= 0);
        close(fd);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        unsigned n_fds = size > 0 ? data[0] % (FUZZ_FDS_MAX + 1) : 0;
        int fds[2], lowest = fuzz_lowest_free();
        size_t n = size > 0 ? size - 1 : 0;

        if (n > FUZZ_BYTES_MAX)
                n = FUZZ_BYTES_MAX;
        FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
        fuzz_send(fds[0], data + 1, n, n_fds);
        fuzz_receive(fds[1], data + 1, n, n_fds);
        close(fds[0]);
        close(fds[1]);
        FUZZ_CHECK(fuzz_lowest_free() == lowest);
        return 0;
}
