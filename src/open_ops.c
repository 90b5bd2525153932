/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "errmsg.h"
#include "open_ops.h"
#include "opener.h"
#include "provide.h"
#include "serve.h"

#define OPS_THREADS_VARIABLE "BIGFILED_OPS_THREADS"
#define OPS_THREADS_DEFAULT 4

/* The largest page that goes together with such blocks; or 0. */
static uint64_t open_ops_page_size(uint64_t block_size) {
        uint64_t even = block_size & -block_size; /* the largest power of two in it */

        if (block_size > WIRE_BLOCK_MIN)
                return even < WIRE_BLOCK_MIN ? 0 : even < WIRE_BLOCK_MAX ? even : WIRE_BLOCK_MAX;
        return block_size == even && block_size >= PROVIDE_BLOCK_MIN ? WIRE_BLOCK_MIN : 0;
}

/* The page size of a handle on a file of such blocks: the one asked for, or the one that suits them. */
static int open_ops_set_page_size(struct bf_open_opts *opts, uint64_t block_size, const char *name) {
        int r;

        if (opts->block_size == 0 && !(opts->flags & BF_HUGE))
                opts->block_size = open_ops_page_size(block_size);
        r = opener_set_block_size(opts);
        if (r < 0)
                return r;
        if (opts->block_size % block_size != 0 && block_size % opts->block_size != 0)
                return errmsg_set(-EINVAL, "cannot open %s: of its block size %" PRIu64 " and the page size %" PRIu64 " neither is a multiple of the other", name,
                                  block_size, opts->block_size);
        return 0;
}

static int open_ops_look_up(struct bf_client *client, const char *path, struct opener_file *ret_file, uint64_t *ret_block_size) {
        const char *name = path + strlen(SERVE_PREFIX);
        struct call call = { .handle = NULL };
        int r = -ENOENT;

        wire_init(&call.msg, WIRE_LOOKUP, 0);
        if (strlen(name) < WIRE_SERVED_NAME_MAX) {
                memcpy(call.msg.lookup.name, name, strlen(name));
                r = session_call(&client->session, &call);
        }
        if (r == 0 && call.reply.n_fds == 1) {
                ret_file->fd = chan_packet_take(&call.reply, 0);
                ret_file->size = call.reply.msg.lookup_reply.size;
                *ret_block_size = call.reply.msg.lookup_reply.block_size;
                return 0;
        }
        return errmsg_fail(r < 0 ? r : -EPROTO, r == -ENOENT ? "no process whose files you may open serves one of that name" : NULL, "cannot open %s", path);
}

int open_ops_by_name(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        struct opener_file file = { .name = path, .is_readonly = oflag == O_RDONLY, .is_served = true };
        struct bf_open_opts o;
        uint64_t block_size = 0;
        int r;

        if (oflag != O_RDONLY && oflag != O_RDWR)
                return errmsg_set(-EINVAL, "cannot open " ERRMSG_NAME ": the flags may be O_RDONLY or O_RDWR, and O_CLOEXEC, but no others", path);
        r = opener_parse_opts(opts, &o);
        if (r == 0 && o.name)
                r = errmsg_set(-EINVAL, "bf_open_opts.name is for bf_open_ops() alone");
        if (r == 0)
                r = opener_check_not_direct(&o, path);
        if (r == 0)
                r = open_ops_look_up(client, path, &file, &block_size);
        if (r < 0)
                return r;
        r = open_ops_set_page_size(&o, block_size, path);
        if (r < 0) {
                close(file.fd);
                return r;
        }
        return opener_open(client, &file, &o, ret);
}

/* --- serving ------------------------------------------------------------------------------------------------------------------------------------ */

static int open_ops_threads(unsigned *ret) {
        const char *text = secure_getenv(OPS_THREADS_VARIABLE);
        char *end;
        unsigned long n;

        *ret = OPS_THREADS_DEFAULT;
        if (!text || !*text)
                return 0;
        n = strtoul(text, &end, 10);
        if (*end || n < 1 || n > PROVIDE_THREADS_MAX)
                return errmsg_set(-EINVAL, "\"" ERRMSG_NAME "\" in $" OPS_THREADS_VARIABLE " is no number from 1 to %u", text, PROVIDE_THREADS_MAX);
        *ret = (unsigned) n;
        return 0;
}

static int open_ops_params(const struct bf_file_ops *ops, uint64_t size, struct bf_open_opts *opts, struct serve_params *ret) {
        uint64_t block_size = opts->block_size > 0 ? opts->block_size : opts->flags & BF_HUGE ? OPENER_PAGE_HUGE : OPENER_PAGE_SMALL;

        if (!ops || !ops->load)
                return errmsg_set(-EINVAL, "cannot serve a file without a function that loads");
        if (opts->name && (opts->name[0] == '\0' || strlen(opts->name) >= WIRE_SERVED_NAME_MAX))
                return errmsg_set(-EINVAL, "the name of a served file has 1 to %d bytes, not %zu", WIRE_SERVED_NAME_MAX - 1, strlen(opts->name));
        if (size > WIRE_FILE_MAX)
                return errmsg_fail(-EFBIG, NULL, "cannot serve a file");
        if (open_ops_page_size(block_size) == 0 || block_size > PROVIDE_BLOCK_MAX)
                return errmsg_set(-EINVAL, "blocks of %" PRIu64 " bytes go with no page size (multiples of 4096 to 64 MiB do, and 512, 1024 and 2048)", block_size);
        *ret = (struct serve_params) { .ops = ops, .size = size, .block_size = block_size, .name = opts->name ? opts->name : "" };
        opts->block_size = 0;
        opts->name = NULL;
        return open_ops_set_page_size(opts, block_size, "it");
}

static int open_ops_serve(struct bf_client *client, const struct serve_params *params, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        struct opener_file file = { .size = params->size, .is_served = true };
        char name[sizeof(SERVE_PREFIX) + WIRE_SERVED_NAME_MAX];
        int r;

        r = serve_new(&client->session, &client->serves, params, &file.serve);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), SERVE_PREFIX "%s", params->name);
        file.name = params->name[0] != '\0' ? name : "a served file";
        file.fd = fcntl(serve_token(file.serve), F_DUPFD_CLOEXEC, 0);
        r = file.fd < 0 ? errmsg_fail(-errno, NULL, "cannot open %s", file.name) : opener_open(client, &file, opts, ret);
        if (r < 0) {
                serve_stop(file.serve);
                serve_free(file.serve, false);
        }
        return r;
}

int bf_open_ops(struct bf_client *client, const struct bf_file_ops *ops, void *file, uint64_t size, const struct bf_open_opts *opts,
                struct bf_fileh **ret) {
        API_CALL;
        struct serve_params params;
        struct bf_open_opts o;
        int r;

        r = client_check(client);
        if (r == 0)
                r = opener_parse_opts(opts, &o);
        if (r == 0)
                r = opener_check_not_direct(&o, "a served file");
        if (r == 0)
                r = open_ops_params(ops, size, &o, &params);
        if (r == 0)
                r = open_ops_threads(&params.n_threads);
        if (r < 0)
                return r;
        params.file = file;
        return open_ops_serve(client, &params, &o, ret);
}
