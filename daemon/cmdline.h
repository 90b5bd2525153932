/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_CMDLINE_H
#define BF_CMDLINE_H

/* The command line of bigfiled, and through it the configuration. */

#include "options.h"

enum cmdline_result {
        CMDLINE_RUN,
        CMDLINE_DONE,       /* --help, --version or --check-config was answered */
        CMDLINE_BAD,        /* the log says what is wrong */
        CMDLINE_BAD_CONFIG, /* the same, in a file */
};

/* Sets what the configuration and, stronger, the command line say. A private daemon reads no configuration. *ret is the caller's for options_fini() if the
 * result is CMDLINE_RUN. */
enum cmdline_result cmdline_read(int argc, char **argv, struct options *ret);

/* The same later on, as files may have changed: descriptors that were named may be closed by then. */
enum cmdline_result cmdline_read_again(int argc, char **argv, struct options *ret);

#endif
