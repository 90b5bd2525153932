/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "options.h"
#include "size.h"

static const struct option options_long[] = {
        { "pool", required_argument, NULL, 'p' },
        { "make", required_argument, NULL, 'm' },
        { "seed", required_argument, NULL, 's' },
        { 0 },
};

static int options_usage(void) {
        fprintf(stderr, "Usage: bfdemo [--pool SIZE] [--make SIZE] [--seed N] FILE\n"
                        "Maps FILE, changes it and checks it. --make: makes it first. SIZE: bytes, or with K, M, G, T.\n");
        return -EINVAL;
}

int options_parse(struct options *options, int argc, char **argv) {
        uint64_t *value;
        int option;

        *options = (struct options){ .seed = (uint64_t) time(NULL) };
        while ((option = getopt_long(argc, argv, "", options_long, NULL)) != -1) {
                value = option == 'p' ? &options->pool_bytes : option == 'm' ? &options->make_bytes : &options->seed;
                if (option == '?' || size_parse(optarg, value) < 0)
                        return options_usage();
        }
        if (optind != argc - 1)
                return options_usage();
        options->path = argv[optind];
        return 0;
}
