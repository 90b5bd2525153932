/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPTIONS_H
#define BF_OPTIONS_H

/* The command line of bigfiled. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "account.h"
#include "log.h"
#include "pager.h"

#define OPTIONS_SOCKET_DEFAULT "/run/bigfiled/bigfiled.sock"
#define OPTIONS_SPILL_DIR_DEFAULT "/var/tmp"

struct options {
        const char *socket_path; /* of argv */
        mode_t socket_mode;
        gid_t socket_group; /* (gid_t) -1: leave it */
        uint64_t pool_bytes;
        unsigned n_pagers; /* for each user */
        const char *spill_dir; /* of argv; NULL: nothing is spilled */
        uint64_t spill_bytes;  /* UINT64_MAX: not given */
        struct pager_options pager;
        struct account_limits limits; /* 0: not said */
        bool lends;
        int ready_fd;   /* -1: none */
        int private_fd; /* -1: none */
        enum log_level log_level;
};

enum options_result {
        OPTIONS_RUN,
        OPTIONS_DONE, /* --help or --version was answered */
        OPTIONS_BAD,  /* it was said on stderr what is wrong */
};

enum options_result options_parse(int argc, char **argv, struct options *ret);

#endif
