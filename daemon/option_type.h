/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_OPTION_TYPE_H
#define BF_OPTION_TYPE_H

/* The kinds of values that options have: how each is read from text, and written as text that reads the same. */

#include <stddef.h>

/* Room for any text of format(), longer ones are cut. */
#define OPTION_TEXT_MAX 1024

struct option_type {
        size_t size; /* of a value */
        int (*parse)(const char *text, void *ret); /* 0, or negative and nothing changed */
        void (*format)(const void *value, char text[static OPTION_TEXT_MAX]); /* "": nobody has said it */
};

extern const struct option_type option_type_path;         /* const char *, which goes on to use the text; NULL: not said */
extern const struct option_type option_type_path_or_none; /* the same; NULL: none */
extern const struct option_type option_type_nbd;          /* the same, of prefixes of URIs; NULL: none */
extern const struct option_type option_type_http;         /* the same, an address of http.h */
extern const struct option_type option_type_mode;         /* mode_t */
extern const struct option_type option_type_group;        /* gid_t; -1: not said */
extern const struct option_type option_type_size;         /* uint64_t; UINT64_MAX: not said */
extern const struct option_type option_type_pool;         /* the same, but not too small to work */
extern const struct option_type option_type_seconds;      /* uint64_t, microseconds */
extern const struct option_type option_type_batch;        /* unsigned */
extern const struct option_type option_type_pagers;       /* the same */
extern const struct option_type option_type_limit;        /* uint64_t; ACCOUNT_NO_LIMIT: none; 0: not said */
extern const struct option_type option_type_limit_bytes;  /* the same */
extern const struct option_type option_type_yes_no;       /* bool */
extern const struct option_type option_type_level;        /* enum log_level */
extern const struct option_type option_type_replacement;  /* enum order_policy */
extern const struct option_type option_type_fd;           /* int; -1: not said */

#endif
