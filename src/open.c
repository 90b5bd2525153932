/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "backing.h"
#include "client.h"
#include "errmsg.h"
#include "named.h"
#include "nofork.h"
#include "open.h"

/* Pages of the memory, which is what a fault is about: a block may have many. */
#define PAGE_SIZE_SMALL ((size_t) 4096)
#define PAGE_SIZE_HUGE ((size_t) 2 << 20)

/* The options of a program built against another version of bf_open_opts are understood as far as they go; what is behind must be zero. */
static int open_parse_opts(const struct bf_open_opts *opts, struct bf_open_opts *ret_opts) {
        struct bf_open_opts o = { 0 };

        if (opts && opts->size < sizeof(o))
                return errmsg_set(-EINVAL, "bf_open_opts.size is %" PRIu32 ", not sizeof(struct bf_open_opts)", opts->size);
        if (opts)
                memcpy(&o, opts, sizeof(o));
        for (size_t i = sizeof(o); opts && i < opts->size; i++)
                if (((const char *) opts)[i] != 0)
                        return errmsg_set(-EINVAL, "bf_open_opts has a setting that this version of the library does not know");
        if (o.flags & ~(BF_SHARED | BF_HUGE))
                return errmsg_set(-EINVAL, "bf_open_opts.flags has a flag that this version of the library does not know");
        if (o.block_size == 0)
                o.block_size = o.flags & BF_HUGE ? PAGE_SIZE_HUGE : PAGE_SIZE_SMALL;
        if (o.block_size < WIRE_BLOCK_MIN || o.block_size > WIRE_BLOCK_MAX || o.block_size & (o.block_size - 1))
                return errmsg_set(-EINVAL, "a block size of %" PRIu64 " bytes is no power of two from 4096 to 2097152", o.block_size);
        if (o.flags & BF_HUGE && o.block_size != PAGE_SIZE_HUGE)
                return errmsg_set(-EINVAL, "with BF_HUGE the block size must be 2097152, not %" PRIu64, o.block_size);
        *ret_opts = o;
        return 0;
}

static uint32_t open_wire_flags(const struct bf_fileh *fileh, const struct bf_open_opts *opts) {
        return (opts->flags & BF_SHARED ? WIRE_OPEN_SHARED : 0) | (opts->flags & BF_HUGE ? WIRE_OPEN_HUGE : 0) |
               (fileh->is_readonly ? WIRE_OPEN_READONLY : 0) | (fileh->is_named ? WIRE_OPEN_NAMED : 0);
}

static int fileh_send_close(struct bf_fileh *fileh) {
        struct call call;

        fileh_set_leaving(fileh);
        fileh_begin_call(fileh, WIRE_CLOSE, &call);
        return session_call(fileh->session, &call);
}

/* What the daemon said to OPEN, on the keeper's thread: when that sees the end of the connection, the handle is there for another daemon. */
static void fileh_on_reply(struct call *call, int r) {
        struct bf_fileh *fileh = call->owner;

        if (call->reply.size > 0)
                fileh->number = call->reply.msg.open_reply.handle;
        if (r < 0 || call->reply.n_fds < 2)
                return;
        fileh->memory = chan_packet_take(&call->reply, 0);
        fileh->memory_entry = nofork_add(fileh->memory);
        fileh->ledger = chan_packet_take(&call->reply, 1);
        if (call->reply.n_fds > 2)
                fileh->spill = chan_packet_take(&call->reply, 2);
        fileh_set_open(fileh);
}

/* The daemon may have opened the handle without this process having room for the descriptors: then it has to close it again. */
static int fileh_send_open(struct bf_fileh *fileh, uint64_t size, const struct bf_open_opts *opts) {
        struct call call = { .fds = { fileh->file, fileh->uffd }, .n_fds = 2, .on_reply = fileh_on_reply, .owner = fileh };
        int r;

        wire_init(&call.msg, WIRE_OPEN, 0);
        call.msg.header.flags = fileh->open_flags;
        call.msg.open.size = size;
        call.msg.open.block_size = opts->block_size;
        r = session_call(fileh->session, &call);
        chan_packet_close(&call.reply);
        if (r == -EMFILE && call.reply.size > 0 && call.reply.msg.open_reply.error == 0)
                (void) fileh_send_close(fileh);
        if (r == 0 && fileh->memory < 0) {
                session_give_up(fileh->session);
                return -EPROTO;
        }
        return r;
}

static const char *open_hint(const struct bf_fileh *fileh, int r, const struct bf_open_opts *opts) {
        if (fileh->is_named && named_hint(r))
                return named_hint(r);
        switch (r) {
        case -ENOMEM:
                return opts->flags & BF_HUGE ? "the host may have no huge pages in reserve: see vm.nr_hugepages" : NULL;
        case -EBUSY:
                return "a process that has it open as shared holds locks on its memory: end that process";
        case -EUSERS:
                return "its clients have as many handles as they may have together: see --uid-handles of bigfiled";
        case -EMFILE:
                return "this process has too many handles, or too many open descriptors: see RLIMIT_NOFILE";
        default:
                return NULL;
        }
}

/* Enters the handle where the keeper finds it, and opens it at the daemon. */
static int fileh_publish(struct bf_fileh *fileh, uint64_t size, const struct bf_open_opts *opts) {
        int r;

        r = handles_add(fileh->handles, fileh);
        if (r == 0) {
                r = fileh_send_open(fileh, size, opts);
                if (r < 0)
                        handles_remove(fileh->handles, fileh);
        }
        return r < 0 ? fileh_fail(fileh, r, open_hint(fileh, r, opts), "open") : 0;
}

/* What is to be opened. */
struct open_target {
        int fd;
        const char *name;
        bool is_named;    /* fd has the name, for the daemon to connect to */
        bool is_readonly; /* of one that is */
};

static int open_check_target(const struct open_target *target, struct backing *ret) {
        if (!target->is_named)
                return backing_check(target->fd, target->name, ret);
        *ret = (struct backing) { .is_readonly = target->is_readonly }; /* how large it is the daemon says */
        return 0;
}

/* Takes target->fd, also if it fails. */
static int fileh_open(struct bf_client *client, const struct open_target *target, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        const char *name = target->name;
        struct backing backing;
        struct bf_fileh *fileh;
        int r;

        r = fileh_new(&client->session, &client->handles, name, &fileh);
        if (r < 0) {
                close(target->fd);
                return errmsg_fail(r, NULL, "cannot open %s", name);
        }
        fileh->file = target->fd;
        fileh->is_named = target->is_named;
        fileh->block_size = opts->block_size;
        fileh->page_size = opts->flags & BF_HUGE ? PAGE_SIZE_HUGE : PAGE_SIZE_SMALL;
        r = open_check_target(target, &backing);
        if (r == 0) {
                fileh->is_readonly = backing.is_readonly;
                fileh->open_flags = open_wire_flags(fileh, opts);
                r = client_uffd_new(client, &fileh->uffd);
        }
        if (r == 0)
                r = fileh_publish(fileh, backing.size, opts);
        if (r < 0) {
                fileh_free(fileh);
                return r;
        }
        *ret = fileh;
        return 0;
}

int bf_open(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        API_CALL;
        struct open_target target = { .name = path, .is_named = named_is(path), .is_readonly = oflag == O_RDONLY };
        struct bf_open_opts o;
        int r;

        r = client_check(client);
        if (r < 0)
                return r;
        r = open_parse_opts(opts, &o);
        if (r < 0)
                return r;
        r = target.is_named ? named_open(path, oflag, &target.fd) : backing_open(path, oflag, &target.fd);
        if (r < 0)
                return r;
        return fileh_open(client, &target, &o, ret);
}

int bf_open_fd(struct bf_client *client, int fd, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        API_CALL;
        struct bf_open_opts o;
        char name[32];
        int copy, r;

        r = client_check(client);
        if (r < 0)
                return r;
        r = open_parse_opts(opts, &o);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "descriptor %d", fd);
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
                return errmsg_fail(-errno, NULL, "cannot open %s", name);
        return fileh_open(client, &(struct open_target) { .fd = copy, .name = name }, &o, ret);
}

int bf_open_ops(struct bf_client *client, const struct bf_file_ops *ops, void *file, uint64_t size, const struct bf_open_opts *opts,
                struct bf_fileh **ret) {
        API_CALL;

        (void) client;
        (void) ops;
        (void) file;
        (void) size;
        (void) opts;
        (void) ret;
        return errmsg_set(-ENOSYS, "this version cannot serve a file from functions of the program");
}

static void fileh_forget(struct bf_fileh *fileh) {
        handles_remove(fileh->handles, fileh);
        fileh_free(fileh);
}

void fileh_discard(struct bf_fileh *fileh) {
        (void) fileh_send_close(fileh);
        fileh_forget(fileh);
}

int bf_close(struct bf_fileh *fileh) {
        API_CALL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        r = fileh_has_mappings(fileh) ? -EBUSY : fileh_send_close(fileh);
        if (r < 0 && r != -ENOTCONN && r != -ESHUTDOWN && r != -ENOENT)
                return fileh_fail(fileh, r, r == -EBUSY ? "it is still mapped: bf_munmap() comes first" : NULL, "close");
        fileh_forget(fileh);
        return 0;
}
