/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPENER_H
#define BF_OPENER_H

/* Makes a handle, of whatever file, and opens it at the daemon. It knows no paths. */

#include "client.h"

/* Pages of the memory, which is what a fault is about: a block may have many. */
#define OPENER_PAGE_SMALL ((size_t) 4096)
#define OPENER_PAGE_HUGE ((size_t) 2 << 20)

/* The options that a program gave (or NULL), all of them known. Sets bf_errmsg() on failure, as the others do. */
int opener_parse_opts(const struct bf_open_opts *opts, struct bf_open_opts *ret_opts);

/* The block size of a handle, which is its page size, if none was given; and whether it can be one. */
int opener_set_block_size(struct bf_open_opts *opts);

/* -EINVAL where direct I/O is asked for: no descriptor of that file is opened here. */
int opener_check_not_direct(const struct bf_open_opts *opts, const char *name);

/* What a handle is of. */
struct opener_file {
        int fd; /* taken, also on failure */
        const char *name;
        bool is_named; /* fd has the name, for the daemon to connect to */
        bool is_readonly;
        bool is_backing; /* a file or device of the host: it may be read and written directly */
        uint64_t size;
        struct serve *serve; /* of one that this process serves */
        bool is_served;
};

int opener_open(struct bf_client *client, const struct opener_file *file, const struct bf_open_opts *opts, struct bf_fileh **ret);

/* Tells the daemon that the handle goes. */
int opener_send_close(struct bf_fileh *fileh);

#endif
