/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmdline.h"
#include "conffile.h"
#include "config.h"
#include "log.h"
#include "nearest.h"
#include "options_show.h"
#include "settle.h"

#define CMDLINE_WHERE "the command line"

/* getopt's numbers: those of options_table, then these. */
enum cmdline_flag {
        CMDLINE_NO_LEND = 256 + OPTIONS_MAX,
        CMDLINE_CHECK_CONFIG,
        CMDLINE_VERSION,
        CMDLINE_QUIET = 'q',
        CMDLINE_VERBOSE = 'v',
        CMDLINE_HELP = 'h',
};

static const struct {
        const char *name;
        enum cmdline_flag flag;
        const char *help;
} cmdline_flags[] = {
        { "no-lend", CMDLINE_NO_LEND, "--no-lend               the same as --lend no" },
        { "check-config", CMDLINE_CHECK_CONFIG, "--check-config          print what is in force and from where, and end" },
        { "quiet", CMDLINE_QUIET, "-q, --quiet             with --check-config: say only what is wrong" },
        { "verbose", CMDLINE_VERBOSE, "-v, --verbose           the same as --log-level debug" },
        { "version", CMDLINE_VERSION, "--version               print the version" },
        { "help", CMDLINE_HELP, "-h, --help              print this" },
};

#define N_CMDLINE_FLAGS (sizeof(cmdline_flags) / sizeof(cmdline_flags[0]))

struct cmdline {
        bool checks;
        bool is_quiet;
        bool is_answered;
};

static void cmdline_help(void) {
        puts("Usage: bigfiled [OPTION...]\n"
             "\n"
             "Serves files larger than RAM into the memory of other processes. Runs in the foreground; SIGTERM ends it, SIGHUP reads the configuration again.\n"
             "\n"
             "Options, which are keys of the configuration as well:");
        for (const struct option_row *row = options_table; row->key; row++) {
                const char *otherwise = row->otherwise ? row->otherwise : row->fallback;

                if (row->when == OPTION_COMMAND_LINE && row[-1].when != OPTION_COMMAND_LINE)
                        puts("\nOther options:");
                printf("  --%s %-*s  %s (default: %s)\n", row->key, 19 - (int) strlen(row->key), row->value, row->help, otherwise);
        }
        for (size_t i = 0; i < N_CMDLINE_FLAGS; i++)
                printf("  %s\n", cmdline_flags[i].help);
}

static void cmdline_make_table(struct option table[static OPTIONS_MAX + N_CMDLINE_FLAGS]) {
        unsigned n = 0;

        for (const struct option_row *row = options_table; row->key; row++, n++)
                table[n] = (struct option) { row->key, required_argument, NULL, 256 + (int) n };
        for (size_t i = 0; i < N_CMDLINE_FLAGS; i++, n++)
                table[n] = (struct option) { cmdline_flags[i].name, no_argument, NULL, (int) cmdline_flags[i].flag };
        table[n] = (struct option) { NULL, 0, NULL, 0 };
}

static int cmdline_unknown(const char *text, const struct option *table) {
        const char *words[OPTIONS_MAX + N_CMDLINE_FLAGS], *near;
        unsigned n;

        for (n = 0; table[n].name; n++)
                words[n] = table[n].name;
        words[n] = NULL;
        near = nearest_word(text + strspn(text, "-"), words);
        if (near)
                log_error("unknown option \"%s\" (did you mean \"--%s\"?): try --help", text, near);
        else
                log_error("unknown option \"%s\": try --help", text);
        return -EINVAL;
}

/* What getopt_long() did not understand. */
static int cmdline_misunderstood(const char *text, int id, const struct option *table) {
        if (id == ':')
                log_error("option %s needs a value: try --help", text);
        else if (optopt && strncmp(text, "--", 2) == 0)
                log_error("the option in \"%s\" takes no value, or is short for several: try --help", text);
        else
                return cmdline_unknown(text, table);
        return -EINVAL;
}

static int cmdline_set(struct options *options, const char *key, const char *text) {
        const struct option_row *row = option_find(key);
        int r = option_set(options, row, text, CMDLINE_WHERE);

        if (r == -ENOMEM)
                log_error("option --%s: %s", row->key, strerror(-r));
        else if (r < 0)
                log_error("option --%s: \"%s\" is not %s", row->key, text, row->allowed);
        return r;
}

static int cmdline_take(struct cmdline *cmdline, struct options *options, int id, const char *text) {
        switch (id) {
        case CMDLINE_NO_LEND:
                return cmdline_set(options, "lend", "no");
        case CMDLINE_VERBOSE:
                return cmdline_set(options, "log-level", "debug");
        case CMDLINE_CHECK_CONFIG:
                cmdline->checks = true;
                return 0;
        case CMDLINE_QUIET:
                cmdline->is_quiet = true;
                return 0;
        case CMDLINE_VERSION:
                puts("bigfiled " PROJECT_VERSION);
                cmdline->is_answered = true;
                return 0;
        case CMDLINE_HELP:
                cmdline_help();
                cmdline->is_answered = true;
                return 0;
        default:
                return cmdline_set(options, options_table[id - 256].key, text);
        }
}

static int cmdline_parse(int argc, char **argv, struct cmdline *cmdline, struct options *options) {
        struct option table[OPTIONS_MAX + N_CMDLINE_FLAGS];
        int id, r = 0;

        cmdline_make_table(table);
        opterr = 0;
        optind = 0; /* from the beginning, also a second time */
        while (r == 0 && !cmdline->is_answered && (id = getopt_long(argc, argv, ":hqv", table, NULL)) >= 0)
                r = id == ':' || id == '?' ? cmdline_misunderstood(argv[optind - 1], id, table) : cmdline_take(cmdline, options, id, optarg);
        if (r == 0 && !cmdline->is_answered && optind < argc) {
                log_error("unexpected argument \"%s\": try --help", argv[optind]);
                r = -EINVAL;
        }
        return r;
}

/* The command line tells which configuration, but is stronger than it: so it is taken once before it, and once after. */
static enum cmdline_result cmdline_read_config(int argc, char **argv, struct cmdline *cmdline, struct options *options) {
        char config[OPTION_TEXT_MAX];
        bool is_private = options->private_fd >= 0;
        int r = 0;

        if (is_private && options->config && strcmp(options->config, "none") != 0) {
                log_error("option --config: with --private-fd no configuration is read");
                return CMDLINE_BAD;
        }
        option_format(options, option_find("config"), config);
        options_fini(options);
        options_init(options);
        if (!is_private)
                r = conffile_read(*config ? config : NULL, options);
        if (r < 0)
                return CMDLINE_BAD_CONFIG;
        return cmdline_parse(argc, argv, cmdline, options) < 0 ? CMDLINE_BAD : CMDLINE_RUN;
}

enum cmdline_result cmdline_read_again(int argc, char **argv, struct options *ret) {
        enum cmdline_result result = CMDLINE_BAD;
        struct cmdline cmdline = { .checks = false };

        options_init(ret);
        if (cmdline_parse(argc, argv, &cmdline, ret) == 0)
                result = cmdline.is_answered ? CMDLINE_DONE : cmdline_read_config(argc, argv, &cmdline, ret);
        if (result == CMDLINE_RUN && cmdline.checks) {
                settle_warn(ret);
                if (!cmdline.is_quiet)
                        options_show(ret);
                result = CMDLINE_DONE;
        }
        if (result != CMDLINE_RUN)
                options_fini(ret);
        return result;
}

static bool cmdline_is_open(const struct options *options, const char *key, int fd) {
        const struct option_row *row = option_find(key);

        if (fd < 0 || fcntl(fd, F_GETFD) >= 0)
                return true;
        log_error("option --%s: \"%s\" is not %s", key, option_source(options, row)->text, row->allowed);
        return false;
}

enum cmdline_result cmdline_read(int argc, char **argv, struct options *ret) {
        enum cmdline_result result = cmdline_read_again(argc, argv, ret);

        if (result != CMDLINE_RUN || (cmdline_is_open(ret, "ready-fd", ret->ready_fd) && cmdline_is_open(ret, "private-fd", ret->private_fd)))
                return result;
        options_fini(ret);
        return CMDLINE_BAD;
}
