/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "errmsg.h"
#include "named.h"
#include "nofork.h"
#include "opener.h"

/* The options had this size in the first version. */
#define OPTS_SIZE_MIN offsetof(struct bf_open_opts, name)

/* The options of a program built against another version of bf_open_opts are understood as far as they go; what is behind must be zero. */
int opener_parse_opts(const struct bf_open_opts *opts, struct bf_open_opts *ret_opts) {
        struct bf_open_opts o = { 0 };

        if (opts && opts->size < OPTS_SIZE_MIN)
                return errmsg_set(-EINVAL, "bf_open_opts.size is %" PRIu32 ", not sizeof(struct bf_open_opts)", opts->size);
        if (opts)
                memcpy(&o, opts, opts->size < sizeof(o) ? opts->size : sizeof(o));
        for (size_t i = sizeof(o); opts && i < opts->size; i++)
                if (((const char *) opts)[i] != 0)
                        return errmsg_set(-EINVAL, "bf_open_opts has a setting that this version of the library does not know");
        if (o.flags & ~(BF_SHARED | BF_HUGE | BF_DIRECT))
                return errmsg_set(-EINVAL, "bf_open_opts.flags has a flag that this version of the library does not know");
        *ret_opts = o;
        return 0;
}

/* The block size of a handle, which is its page size. */
int opener_set_block_size(struct bf_open_opts *opts) {
        struct bf_open_opts o = *opts;

        if (o.block_size == 0)
                o.block_size = o.flags & BF_HUGE ? OPENER_PAGE_HUGE : OPENER_PAGE_SMALL;
        if (o.block_size < WIRE_BLOCK_MIN || o.block_size > WIRE_BLOCK_MAX || o.block_size & (o.block_size - 1))
                return errmsg_set(-EINVAL, "a block size of %" PRIu64 " bytes is no power of two from 4096 to 2097152", o.block_size);
        if (o.flags & BF_HUGE && o.block_size != OPENER_PAGE_HUGE)
                return errmsg_set(-EINVAL, "with BF_HUGE the block size must be 2097152, not %" PRIu64, o.block_size);
        *opts = o;
        return 0;
}

int opener_check_not_direct(const struct bf_open_opts *opts, const char *name) {
        if (opts->flags & BF_DIRECT)
                return errmsg_set(-EINVAL, "cannot open " ERRMSG_NAME ": BF_DIRECT is for files and block devices of this host alone", name);
        return 0;
}

static uint32_t opener_wire_flags(const struct bf_fileh *fileh, const struct bf_open_opts *opts) {
        return (opts->flags & BF_SHARED ? WIRE_OPEN_SHARED : 0) | (opts->flags & BF_HUGE ? WIRE_OPEN_HUGE : 0) |
               (fileh->is_readonly ? WIRE_OPEN_READONLY : 0) | (fileh->is_named ? WIRE_OPEN_NAMED : 0);
}

/* As the handle or the daemon wants it. */
static void opener_open_direct(struct bf_fileh *fileh, const struct bf_client *client, const struct bf_open_opts *opts) {
        if (!(opts->flags & BF_DIRECT) && !client->dial.wants_direct)
                return;
        fileh->direct = backing_open_direct(fileh->file, fileh->is_readonly);
        fileh->open_flags |= fileh->direct >= 0 ? WIRE_OPEN_DIRECT : WIRE_OPEN_DIRECT_REFUSED;
}

int opener_send_close(struct bf_fileh *fileh) {
        struct call call;

        fileh_set_leaving(fileh);
        fileh_begin_call(fileh, WIRE_CLOSE, &call);
        return session_call(fileh->session, &call);
}

/* What the daemon said to OPEN, on the keeper's thread: when that sees the end of the connection, the handle is there for another daemon. */
static void opener_on_reply(struct call *call, int r) {
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
static int opener_send_open(struct bf_fileh *fileh, uint64_t size, const struct bf_open_opts *opts) {
        struct call call = { .fds = { fileh->file, fileh->uffd, fileh->direct }, .on_reply = opener_on_reply, .owner = fileh };
        int r;

        wire_init(&call.msg, WIRE_OPEN, 0);
        call.n_fds = fileh->direct >= 0 ? 3 : 2;
        call.msg.header.flags = fileh->open_flags;
        call.msg.open.size = size;
        call.msg.open.block_size = opts->block_size;
        r = session_call(fileh->session, &call);
        chan_packet_close(&call.reply);
        if (r == -EMFILE && call.reply.size > 0 && call.reply.msg.open_reply.error == 0)
                (void) opener_send_close(fileh);
        if (r == 0 && fileh->memory < 0) {
                session_give_up(fileh->session);
                return -EPROTO;
        }
        return r;
}

static const char *opener_hint(const struct bf_fileh *fileh, int r, const struct bf_open_opts *opts) {
        if (fileh->is_named && named_hint(r))
                return named_hint(r);
        switch (r) {
        case -ENOMEM:
                return opts->flags & BF_HUGE ? "the host has no huge pages left in its reserve: raise vm.nr_hugepages by what is to be in RAM, in pages of 2 MiB" : NULL;
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
static int opener_publish(struct bf_fileh *fileh, uint64_t size, const struct bf_open_opts *opts) {
        int r;

        r = handles_add(fileh->handles, fileh);
        if (r == 0) {
                r = opener_send_open(fileh, size, opts);
                if (r < 0)
                        handles_remove(fileh->handles, fileh);
        }
        return r < 0 ? fileh_fail(fileh, r, opener_hint(fileh, r, opts), "open") : 0;
}

int opener_open(struct bf_client *client, const struct opener_file *file, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        struct bf_fileh *fileh;
        int r;

        r = fileh_new(&client->session, &client->handles, file->name, &fileh);
        if (r < 0) {
                close(file->fd);
                return errmsg_fail(r, NULL, "cannot open %s", file->name);
        }
        fileh->file = file->fd;
        fileh->serve = file->serve;
        fileh->is_named = file->is_named;
        fileh->is_served = file->is_served;
        fileh->block_size = opts->block_size;
        fileh->page_size = opts->flags & BF_HUGE ? OPENER_PAGE_HUGE : OPENER_PAGE_SMALL;
        fileh->is_readonly = file->is_readonly;
        fileh->open_flags = opener_wire_flags(fileh, opts);
        if (file->is_backing)
                opener_open_direct(fileh, client, opts);
        r = client_uffd_new(client, &fileh->uffd);
        if (r == 0)
                r = opener_publish(fileh, file->size, opts);
        if (r < 0) {
                fileh_free(fileh);
                return r;
        }
        *ret = fileh;
        return 0;
}
