/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl: asks a running bigfiled how it is, and has it make room. Here the command line is read, and the command begun. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "ask.h"
#include "commands.h"
#include "complain.h"
#include "patience.h"

/* How long another daemon is waited for: less than patience lasts, so that a daemon that is gone is not taken for one that is hung. */
#define RECONNECT_VARIABLE "BIGFILED_RECONNECT_TIMEOUT"
#define RECONNECT_SECONDS "9"

static const char help[] =
        "Usage: bfctl [OPTION...] COMMAND\n"
        "\n"
        "Commands:\n"
        "  status           how it is, in words: healthy, or what is wrong\n"
        "  stats [SECONDS]  counters, rates, latencies; since it began, or for so long\n"
        "  files            the files that are open, and what of them is in RAM\n"
        "  peers            its clients: pid, uid, command, what they have\n"
        "  top [SECONDS]    all of this as it happens, looked at so often; q ends it\n"
        "  trace [SECONDS]  page faults, and pages that change their state\n"
        "  reclaim [SIZE]   drop clean pages: so many bytes (or 64K, 64M, 1G), or all\n"
        "  config           what is set, and where\n"
        "  metrics          the same as stats, as OpenMetrics text\n"
        "\n"
        "Options:\n"
        "  --file NAME      reclaim, trace: of that file alone\n"
        "  --peer PID       reclaim: of the files it has open; trace: its faults\n"
        "  --kind KIND      trace: fault or state\n"
        "  --sort COLUMN    files, peers, top: by that column\n"
        "  --socket PATH    where it listens, if not at $BIGFILED_SOCKET\n"
        "  --json           for programs\n"
        "  --version        print the version\n"
        "  -h, --help       print this\n"
        "Exit status: 0 done, 1 failed, 2 wrong command line, 3 bigfiled not reached.\n";

/* Those of the long options that a command takes. */
enum {
        TAKES_SORT = 1u << 0,
        TAKES_FILE = 1u << 1,
        TAKES_PEER = 1u << 2,
        TAKES_KIND = 1u << 3,
};

struct command {
        const char *name;
        bool has_operand; /* a word may follow */
        bool may_last;    /* no limit to the time it takes */
        unsigned takes;
        bool (*check)(const struct bfctl *bfctl); /* NULL: nothing has to be */
        int (*run)(struct bfctl *bfctl);
};

static const struct command commands[] = {
        { "status", false, false, 0, NULL, command_status },
        { "stats", true, false, 0, command_stats_check, command_stats },
        { "files", false, false, TAKES_SORT, command_files_check, command_files },
        { "peers", false, false, TAKES_SORT, command_peers_check, command_peers },
        { "top", true, true, TAKES_SORT, command_top_check, command_top },
        { "trace", true, false, TAKES_FILE | TAKES_PEER | TAKES_KIND, command_trace_check, command_trace },
        { "reclaim", true, true, TAKES_FILE | TAKES_PEER, command_reclaim_check, command_reclaim },
        { "config", false, false, 0, NULL, command_config },
        { "metrics", false, false, 0, NULL, command_metrics },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum {
        OPTION_SOCKET = 1,
        OPTION_JSON,
        OPTION_VERSION,
        OPTION_SORT,
        OPTION_FILE,
        OPTION_PEER,
        OPTION_KIND,
        OPTION_HELP = 'h',
};

static const struct option options[] = {
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "json", no_argument, NULL, OPTION_JSON },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "sort", required_argument, NULL, OPTION_SORT },
        { "file", required_argument, NULL, OPTION_FILE },
        { "peer", required_argument, NULL, OPTION_PEER },
        { "kind", required_argument, NULL, OPTION_KIND },
        { "help", no_argument, NULL, OPTION_HELP },
        { NULL, 0, NULL, 0 },
};

/* --- the command line --------------------------------------------------------------------------------------------------------------------------- */

static void complain_option(const char *text) {
        const char *words[sizeof(options) / sizeof(options[0])];

        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                words[i] = options[i].name;
        complain_unknown("option", text, "--", words);
}

static void complain_command(const char *text) {
        const char *words[N_COMMANDS + 1] = { NULL };

        for (size_t i = 0; i < N_COMMANDS; i++)
                words[i] = commands[i].name;
        complain_unknown("command", text, "", words);
}

/* What getopt_long() did not understand. */
static void complain_argument(const char *text, bool lacks_value) {
        if (lacks_value)
                complain("%s needs a value (see bfctl --help)", text);
        else if (optopt && strncmp(text, "--", 2) == 0)
                complain("the option in \"%s\" takes no value (see bfctl --help)", text);
        else
                complain_option(text);
}

/* true: go on. Else *ret_status is what to exit with. */
static bool parse_options(int argc, char **argv, struct bfctl *bfctl, int *ret_status) {
        opterr = 0;
        for (;;) {
                int option = getopt_long(argc, argv, ":h", options, NULL);

                *ret_status = option == ':' || option == '?' ? EXIT_USAGE : EXIT_SUCCESS;
                switch (option) {
                case -1:
                        return true;
                case OPTION_SOCKET:
                        bfctl->socket = optarg;
                        break;
                case OPTION_JSON:
                        bfctl->as_json = true;
                        break;
                case OPTION_SORT:
                        bfctl->sort = optarg;
                        break;
                case OPTION_FILE:
                        bfctl->file = optarg;
                        break;
                case OPTION_PEER:
                        bfctl->peer_text = optarg;
                        break;
                case OPTION_KIND:
                        bfctl->kind = optarg;
                        break;
                case OPTION_VERSION:
                        puts("bfctl " BFCTL_VERSION);
                        return false;
                case OPTION_HELP:
                        fputs(help, stdout);
                        return false;
                default:
                        complain_argument(argv[optind - 1], option == ':');
                        return false;
                }
        }
}

static const struct command *find_command(const char *name) {
        for (size_t i = 0; i < N_COMMANDS; i++)
                if (strcmp(name, commands[i].name) == 0)
                        return &commands[i];
        complain_command(name);
        return NULL;
}

static bool takes_options(const struct command *command, const struct bfctl *bfctl) {
        const struct {
                const char *name;
                bool is_given;
                unsigned bit;
        } given[] = {
                { "--sort", bfctl->sort, TAKES_SORT },
                { "--file", bfctl->file, TAKES_FILE },
                { "--peer", bfctl->peer_text, TAKES_PEER },
                { "--kind", bfctl->kind, TAKES_KIND },
        };

        for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
                if (given[i].is_given && !(command->takes & given[i].bit)) {
                        complain("%s is not for \"%s\" (see bfctl --help)", given[i].name, command->name);
                        return false;
                }
        return true;
}

static bool parse_peer(struct bfctl *bfctl) {
        char *end;
        long pid;

        if (!bfctl->peer_text)
                return true;
        errno = 0;
        pid = strtol(bfctl->peer_text, &end, 10);
        if (errno != 0 || *end || end == bfctl->peer_text || pid <= 0 || pid > INT_MAX) {
                complain("\"%s\" is no pid (see bfctl --help)", bfctl->peer_text);
                return false;
        }
        bfctl->peer = (pid_t) pid;
        return true;
}

/* NULL, having said what is wrong. */
static const struct command *parse_command(int n_words, char **words, struct bfctl *bfctl) {
        const struct command *command;

        if (!*bfctl->socket) {
                complain("the path of the socket is empty");
                return NULL;
        }
        if (n_words == 0) {
                complain("what is to be done? status, for example (see bfctl --help)");
                return NULL;
        }
        command = find_command(words[0]);
        if (!command)
                return NULL;
        if (n_words > 1 + command->has_operand) {
                complain("\"%s\" is one word too many (see bfctl --help)", words[1 + command->has_operand]);
                return NULL;
        }
        bfctl->operand = n_words > 1 ? words[1] : NULL;
        return takes_options(command, bfctl) && parse_peer(bfctl) && (!command->check || command->check(bfctl)) ? command : NULL;
}

/* --- the command -------------------------------------------------------------------------------------------------------------------------------- */

static int run(const struct command *command, struct bfctl *bfctl) {
        int r;

        patience_begin(bfctl->socket);
        r = ask_connect(bfctl->socket, &bfctl->client);
        if (r < 0) {
                complain("%s", bf_errmsg());
                return EXIT_NO_DAEMON;
        }
        if (command->may_last)
                patience_end();
        r = command->run(bfctl);
        if (r == -ENOTCONN)
                complain("%s is gone, and no other has come", bfctl->client->dial.daemon);
        else if (r < 0)
                complain("%s", bf_errmsg());
        bf_disconnect(bfctl->client);
        return r == -ENOTCONN ? EXIT_NO_DAEMON : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Who looks at a daemon wants to know that it is gone; the library's usual time is for those who work with it. */
static void shorten_reconnect(void) {
        const char *seconds = getenv(RECONNECT_VARIABLE);

        if (!seconds || !*seconds)
                (void) setenv(RECONNECT_VARIABLE, RECONNECT_SECONDS, 1);
}

int main(int argc, char **argv) {
        const char *variable = getenv("BIGFILED_SOCKET");
        struct bfctl bfctl = { .socket = variable && *variable ? variable : ADDRESS_DEFAULT_SOCKET };
        const struct command *command;
        int status;

        shorten_reconnect();
        if (!parse_options(argc, argv, &bfctl, &status))
                return status;
        command = parse_command(argc - optind, argv + optind, &bfctl);
        if (!command)
                return EXIT_USAGE;
        status = run(command, &bfctl);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                complain("cannot write to standard output");
                return EXIT_FAILURE;
        }
        return status;
}
