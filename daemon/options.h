/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPTIONS_H
#define BF_OPTIONS_H

/*
 * What can be set: one table of keys, with what is allowed for each and how it is read. The command line (cmdline.h) and the configuration (conffile.h) both
 * go by it: who adds a setting adds one row.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "account.h"
#include "log.h"
#include "option_type.h"
#include "pager.h"

#define OPTIONS_SOCKET_DEFAULT "/run/bigfiled/bigfiled.sock"

/* Rows that the table may have, and one more, which ends it. */
#define OPTIONS_MAX 40

/* Who has set an option; all NULL: nobody. */
struct option_source {
        char *text;
        char *where; /* "FILE:LINE", "the command line" */
};

struct options {
        const char *socket_path; /* of its source; NULL: not said */
        mode_t socket_mode;
        gid_t socket_group; /* (gid_t) -1: leave it */
        uint64_t pool_bytes;
        unsigned n_pagers; /* for each user */
        const char *spill_dir; /* of its source; NULL: nothing is spilled */
        uint64_t spill_bytes;  /* UINT64_MAX: not said */
        struct pager_options pager;
        struct account_limits limits; /* 0: not said */
        bool lends;
        const char *allow_nbd; /* of its source; NULL: no server */
        bool served_group;
        bool is_direct;
        const char *http_address; /* of its source; NULL: none */
        enum log_level log_level;
        const char *config; /* of its source; NULL: not said */
        int ready_fd;       /* -1: none */
        int private_fd;     /* -1: none */
        struct option_source sources[OPTIONS_MAX];
};

enum option_when {
        OPTION_RELOADED,     /* a new value is taken while the daemon runs */
        OPTION_RESTART,      /* by the next daemon */
        OPTION_COMMAND_LINE, /* it is none of the configuration's */
};

struct option_row {
        const char *key;
        const char *value;     /* stands for it in the help */
        const char *help;      /* one line */
        const char *allowed;   /* "... is not" this */
        const char *fallback;  /* the value if nobody says one; NULL: none, or one that depends on the host */
        const char *otherwise; /* what is so then, in words; NULL: the fallback says it */
        enum option_when when;
        const struct option_type *type;
        size_t field; /* its offset in struct options */
};

/* A row without key ends it. */
extern const struct option_row options_table[];

/* Of the host, bytes; 4 GiB, if it does not say. */
uint64_t options_ram(void);

/* All fallbacks. */
void options_init(struct options *options);
void options_fini(struct options *options);

/* The row of that key; NULL: there is none. */
const struct option_row *option_find(const char *key);

/* The key of the configuration that was probably meant, or NULL. */
const char *option_nearest(const char *key);

/* Takes over what that source (copied) says. -EINVAL, -ERANGE: not what is allowed; -ENOMEM. */
int option_set(struct options *options, const struct option_row *row, const char *text, const char *where);

/* Takes over what another one has there, who gets in exchange what was here. */
void option_swap(struct options *options, struct options *other, const struct option_row *row);

const struct option_source *option_source(const struct options *options, const struct option_row *row);
void option_format(const struct options *options, const struct option_row *row, char text[static OPTION_TEXT_MAX]);

#endif
