/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "api.h"
#include "backing.h"
#include "errmsg.h"
#include "named.h"
#include "open.h"
#include "open_ops.h"
#include "opener.h"
#include "serve.h"

static int open_parse_file_opts(const struct bf_open_opts *opts, struct bf_open_opts *ret_opts) {
        struct bf_open_opts o;
        int r;

        r = opener_parse_opts(opts, &o);
        if (r == 0 && o.name)
                r = errmsg_set(-EINVAL, "bf_open_opts.name is for bf_open_ops() alone");
        if (r == 0)
                r = opener_set_block_size(&o);
        if (r == 0)
                *ret_opts = o;
        return r;
}

/* A file that this process has opened: takes fd, also if it fails. */
static int open_backing(struct bf_client *client, int fd, const char *name, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        struct opener_file file = { .fd = fd, .name = name, .is_backing = true };
        struct backing backing;
        int r;

        r = backing_check(fd, name, &backing);
        if (r < 0) {
                close(fd);
                return r;
        }
        file.is_readonly = backing.is_readonly;
        file.size = backing.size;
        return opener_open(client, &file, opts, ret);
}

static int open_path(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        int fd, r;

        r = backing_open(path, oflag, &fd);
        return r < 0 ? r : open_backing(client, fd, path, opts, ret);
}

/* One that the daemon connects to; how large it is the daemon says. */
static int open_named(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        struct opener_file file = { .name = path, .is_named = true, .is_readonly = oflag == O_RDONLY };
        int r;

        r = opener_check_not_direct(opts, path);
        if (r == 0)
                r = named_open(path, oflag, &file.fd);
        return r < 0 ? r : opener_open(client, &file, opts, ret);
}

int bf_open(struct bf_client *client, const char *path, int oflag, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        API_CALL;
        struct bf_open_opts o;
        int r;

        r = client_check(client);
        if (r < 0)
                return r;
        oflag &= ~O_CLOEXEC; /* it is always so */
        if (open_ops_is_name(path))
                return open_ops_by_name(client, path, oflag, opts, ret);
        r = open_parse_file_opts(opts, &o);
        if (r < 0)
                return r;
        return named_is(path) ? open_named(client, path, oflag, &o, ret) : open_path(client, path, oflag, &o, ret);
}

int bf_open_fd(struct bf_client *client, int fd, const struct bf_open_opts *opts, struct bf_fileh **ret) {
        API_CALL;
        struct bf_open_opts o;
        char name[32];
        int copy, r;

        r = client_check(client);
        if (r < 0)
                return r;
        r = open_parse_file_opts(opts, &o);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "descriptor %d", fd);
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
                return errmsg_fail(-errno, NULL, "cannot open %s", name);
        return open_backing(client, copy, name, &o, ret);
}

/* --- closing --------------------------------------------------------------------------------------------------------------------------------------- */

/* Functions that serve it may be under way, and use the handle: it is there until they have ended, but another one may have its number already. */
static void fileh_forget(struct bf_fileh *fileh) {
        struct serve *serve = fileh->serve;

        session_set_handle(fileh->session, &fileh->number, 0);
        if (serve)
                serve_stop(serve);
        handles_remove(fileh->handles, fileh);
        fileh_free(fileh);
        serve_free(serve, true);
}

void fileh_discard(struct bf_fileh *fileh) {
        (void) opener_send_close(fileh);
        fileh_forget(fileh);
}

int bf_close(struct bf_fileh *fileh) {
        API_CALL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        if (serve_is_here(fileh->serve))
                return fileh_fail(fileh, -EDEADLK, "this is one of its own functions", "close");
        r = fileh_has_mappings(fileh) ? -EBUSY : opener_send_close(fileh);
        if (r < 0 && r != -ENOTCONN && r != -ESHUTDOWN && r != -ENOENT)
                return fileh_fail(fileh, r, r == -EBUSY ? "it is still mapped: bf_munmap() comes first" : NULL, "close");
        fileh_forget(fileh);
        return 0;
}
