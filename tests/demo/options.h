/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

/* The command line of the demonstration. */

#include <stdint.h>

struct options {
        const char *path;
        uint64_t pool_bytes; /* 0: an eighth of the file, within bounds */
        uint64_t make_bytes; /* not 0: make the file first, of this size */
        uint64_t seed;
};

/* 0, or -EINVAL with words on stderr. */
int options_parse(struct options *options, int argc, char **argv);

#endif
