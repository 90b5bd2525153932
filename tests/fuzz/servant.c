/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core.h"
#include "provide.h"
#include "script.h"
#include "servant.h"

#define SERVANT_FDS_MAX 20

static void servant_close(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

void servant_init(struct servant *servant) {
        *servant = (struct servant) { .token = -1, .socket = -1, .area = -1 };
}

void servant_stop(struct servant *servant) {
        servant_close(&servant->socket);
        servant_close(&servant->area);
}

void servant_forget(struct servant *servant) {
        servant_stop(servant);
        servant_close(&servant->token);
        servant->pending = 0;
}

unsigned servant_n_fds(const struct servant *servant) {
        return (servant->token >= 0) + (servant->socket >= 0) + (servant->area >= 0);
}

void servant_name(char name[static WIRE_SERVED_NAME_MAX]) {
        unsigned i = next_of(4);

        if (next_is_odd())
                for (unsigned j = 0; j < WIRE_SERVED_NAME_MAX; j++)
                        name[j] = (char) next_byte();
        else if (i > 0)
                snprintf(name, WIRE_SERVED_NAME_MAX, "file%u", i);
}

void servant_ask(struct servant *servant, union wire_msg *msg, int *ret_token) {
        static const uint32_t block_sizes[] = { PAGE, PAGE, PAGE, 512, 2048, 3 * PAGE, 16 * PAGE, 2 << 20 };
        bool again = servant->token >= 0 && next_of(4) > 0;

        if (!again) {
                servant_forget(servant);
                servant->size = next_is_odd() ? next_number() : N_PAGES * PAGE - next_of(2);
                servant->block_size = next_is_odd() ? next_number() : block_sizes[next_of(sizeof(block_sizes) / sizeof(*block_sizes))];
        }
        servant_name(msg->serve.name);
        msg->serve.size = servant->size;
        msg->serve.block_size = servant->block_size;
        servant->pending = msg->header.serial;
        *ret_token = again ? servant->token : -1;
}

void servant_hear(struct servant *servant, struct chan_packet *reply) {
        servant->pending = 0;
        if (reply->n_fds != 3)
                return;
        servant_stop(servant);
        if (servant->token < 0)
                servant->token = chan_packet_take(reply, 0);
        servant->socket = chan_packet_take(reply, 1);
        servant->area = chan_packet_take(reply, 2);
}

/* What the daemon asks always makes sense. */
static void servant_check_ask(const struct servant *servant, const struct provide_ask *ask) {
        uint64_t block_size = servant->block_size, slot_bytes = provide_slot_bytes(block_size);

        CORE_CHECK(ask->op == PROVIDE_LOAD || ask->op == PROVIDE_STORE);
        CORE_CHECK(ask->slot < provide_n_slots(block_size));
        CORE_CHECK(ask->length > 0 && ask->offset < servant->size && ask->length <= servant->size - ask->offset);
        CORE_CHECK(ask->offset % block_size + ask->length <= slot_bytes);
}

/* Behind the daemon's back: it has the area mapped. */
static void servant_change_area(const struct servant *servant) {
        uint64_t at = next_page(), area_bytes = provide_area_bytes(servant->block_size);
        const uint64_t word = UINT64_MAX;

        switch (next_of(4)) {
        case 0:
                (void) ftruncate(servant->area, (off_t) at);
                break;
        case 1:
                (void) fallocate(servant->area, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) at, (off_t) PAGE);
                break;
        case 2:
                (void) !pwrite(servant->area, &word, sizeof(word), (off_t) (provide_mask_offset(servant->block_size, 0) % area_bytes));
                break;
        default:
                (void) ftruncate(servant->area, (off_t) area_bytes * 2);
                break;
        }
}

/* Thread numbers are those of this process's, or near. */
static void servant_spoil(struct provide_answer *answer) {
        switch (next_of(6)) {
        case 0:
                answer->kind = PROVIDE_THREAD;
                answer->number = (uint32_t) getpid() + next_of(16);
                break;
        case 1:
                answer->slot = next_of(2) ? next_byte() : (uint32_t) next_number();
                break;
        case 2:
                answer->number += next_byte();
                break;
        case 3:
                answer->error = next_of(2) ? -(int32_t) next_byte() : (int32_t) next_number();
                break;
        case 4:
                answer->n_done = (uint32_t) next_number();
                break;
        default:
                answer->kind = next_byte();
                break;
        }
}

/* With descriptors beside it, which it must not have. */
static void servant_send_with_fds(const struct servant *servant, struct provide_answer *answer, size_t size) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(SERVANT_FDS_MAX * sizeof(int))];
        } control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        struct iovec iov = { .iov_base = answer, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes };
        unsigned n = 1 + next_of(SERVANT_FDS_MAX);

        control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        for (unsigned i = 0; i < n; i++)
                memcpy(CMSG_DATA(&control.header) + i * sizeof(int), i % 2 ? &servant->socket : &servant->area, sizeof(int));
        (void) sendmsg(servant->socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void servant_send(const struct servant *servant, struct provide_answer *answer) {
        unsigned manner = next_of(16);
        size_t size = manner == 15 ? next_of(sizeof(*answer) + 1) : sizeof(*answer);

        if (manner == 14)
                servant_send_with_fds(servant, answer, size);
        else
                (void) send(servant->socket, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Returns false if nothing is. */
static bool servant_is_asked(struct servant *servant, struct provide_answer *ret_answer) {
        struct provide_ask ask;
        ssize_t n = recv(servant->socket, &ask, sizeof(ask), MSG_DONTWAIT);

        if (n == 0)
                servant_stop(servant);
        if (n <= 0)
                return false;
        CORE_CHECK(n == (ssize_t) sizeof(ask));
        servant_check_ask(servant, &ask);
        *ret_answer = (struct provide_answer) { .kind = PROVIDE_DONE, .slot = ask.slot, .number = ask.number, .n_done = ask.length };
        return true;
}

void servant_answer(struct servant *servant) {
        struct provide_answer answer = { .kind = PROVIDE_DONE };
        unsigned manner = next_of(16);
        bool is_asked;

        if (servant->socket < 0)
                return;
        is_asked = servant_is_asked(servant, &answer);
        if (servant->socket < 0 || (!is_asked && manner < 14))
                return;
        switch (manner) {
        default:
                break;
        case 11:
                return; /* for ever */
        case 12:
                answer.error = -EIO;
                answer.n_done = answer.n_done / 2;
                break;
        case 13:
                servant_change_area(servant);
                break;
        case 14:
        case 15:
                servant_spoil(&answer);
                break;
        }
        servant_send(servant, &answer);
}
