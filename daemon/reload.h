/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_RELOAD_H
#define BF_RELOAD_H

/* The configuration is read again, and what of it can change under way does so: no client is dropped, no page lost. */

#include <stdbool.h>

struct commons;
struct crew;
struct options;

struct reload {
        int argc;
        char **argv;
        struct options *options; /* in force; all of these are borrowed */
        struct commons *commons;
        struct crew *crew;
};

/* Tells the log what has changed, and what will with the next start. If something is wrong, or memory is short, everything stays as it is: false. */
bool reload_run(const struct reload *reload);

#endif
