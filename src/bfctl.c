/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bfctl: asks a running bigfiled how it is, and has it make room. */

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "bfctl_report.h"
#include "client.h"
#include "nearest.h"
#include "size.h"

#define EXIT_USAGE 2
#define EXIT_NO_DAEMON 3

/* A daemon that does not answer for so long is hung or stopped, which is worth knowing. */
#define ANSWER_SECONDS 10

static const char help[] =
        "Usage: bfctl [--socket PATH] [--json] COMMAND\n"
        "\n"
        "Asks a running bigfiled.\n"
        "\n"
        "Commands:\n"
        "  status           how it is: the pool, what of it is dirty, who uses it\n"
        "  stats            all its counters\n"
        "  reclaim [SIZE]   drop clean pages, least recently used first: SIZE bytes of them (also with K, M, G or T), or all.\n"
        "                   Only for root and the user that bigfiled runs as\n"
        "\n"
        "Options:\n"
        "  --socket PATH    where bigfiled listens (default: $BIGFILED_SOCKET, else " ADDRESS_DEFAULT_SOCKET ")\n"
        "  --json           for programs\n"
        "  --version        print the version\n"
        "  -h, --help       print this\n"
        "\n"
        "Exit status: 0 done, 1 it failed, 2 the command line is wrong, 3 bigfiled cannot be reached.\n";

struct bfctl {
        const char *socket;
        bool as_json;
        const struct command *command;
        uint64_t reclaim_bytes; /* 0: all */
};

struct command {
        const char *name;
        bool has_size; /* a SIZE may follow */
        bool may_last; /* no limit to the time it takes */
        int (*run)(const struct bfctl *bfctl, struct bf_client *client);
};

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...) {
        va_list args;

        va_start(args, format);
        fputs("bfctl: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
}

static int get_report(struct bf_client *client, struct report *ret_report) {
        int r;

        r = bf_pool_stat(client, &ret_report->pool);
        return r < 0 ? r : bf_spill_stat(client, &ret_report->spill);
}

static int run_status(const struct bfctl *bfctl, struct bf_client *client) {
        struct report report;
        int r;

        r = get_report(client, &report);
        if (r == 0)
                report_status(bfctl->socket, &report, bfctl->as_json);
        return r;
}

static int run_stats(const struct bfctl *bfctl, struct bf_client *client) {
        struct report report;
        int r;

        r = get_report(client, &report);
        if (r == 0)
                report_stats(&report, bfctl->as_json);
        return r;
}

static int run_reclaim(const struct bfctl *bfctl, struct bf_client *client) {
        uint64_t bytes;
        int r;

        r = bf_pool_reclaim(client, bfctl->reclaim_bytes, &bytes);
        if (r == 0)
                report_reclaim(bytes, bfctl->as_json);
        return r;
}

static const struct command commands[] = {
        { "status", false, false, run_status },
        { "stats", false, false, run_stats },
        { "reclaim", true, true, run_reclaim },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum {
        OPTION_SOCKET = 1,
        OPTION_JSON,
        OPTION_VERSION,
        OPTION_HELP = 'h',
};

static const struct option options[] = {
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "json", no_argument, NULL, OPTION_JSON },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "help", no_argument, NULL, OPTION_HELP },
        { NULL, 0, NULL, 0 },
};

static void complain_unknown(const char *kind, const char *text, const char *near) {
        if (near)
                complain("unknown %s \"%s\" (did you mean \"%s\"? see bfctl --help)", kind, text, near);
        else
                complain("unknown %s \"%s\" (see bfctl --help)", kind, text);
}

static void complain_option(const char *text) {
        const char *words[sizeof(options) / sizeof(options[0])];
        const char *near;
        char suggestion[64];

        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                words[i] = options[i].name;
        near = nearest_word(text + strspn(text, "-"), words);
        snprintf(suggestion, sizeof(suggestion), "--%s", near ? near : "");
        complain_unknown("option", text, near ? suggestion : NULL);
}

static void complain_command(const char *text) {
        const char *words[N_COMMANDS + 1] = { NULL };

        for (size_t i = 0; i < N_COMMANDS; i++)
                words[i] = commands[i].name;
        complain_unknown("command", text, nearest_word(text, words));
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

static bool parse_command(int n_words, char **words, struct bfctl *bfctl) {
        if (!*bfctl->socket) {
                complain("the path of the socket is empty");
                return false;
        }
        if (n_words == 0) {
                complain("what is to be done? status, stats or reclaim (see bfctl --help)");
                return false;
        }
        for (size_t i = 0; i < N_COMMANDS; i++)
                if (strcmp(words[0], commands[i].name) == 0)
                        bfctl->command = &commands[i];
        if (!bfctl->command) {
                complain_command(words[0]);
                return false;
        }
        if (n_words > 1 + bfctl->command->has_size) {
                complain("\"%s\" is one word too many (see bfctl --help)", words[1 + bfctl->command->has_size]);
                return false;
        }
        if (n_words == 2 && (size_parse(words[1], &bfctl->reclaim_bytes) < 0 || bfctl->reclaim_bytes == 0)) {
                complain("\"%s\" is no size (a number of bytes above 0, or with K, M, G or T)", words[1]);
                return false;
        }
        return true;
}

/* What the alarm says; written before it is set, as a signal handler cannot. */
static char alarm_text[256];

static void on_alarm(int signal) {
        ssize_t n = write(STDERR_FILENO, alarm_text, strlen(alarm_text));

        (void) signal;
        (void) n;
        _exit(EXIT_NO_DAEMON);
}

static void start_alarm(const char *socket) {
        snprintf(alarm_text, sizeof(alarm_text), "bfctl: bigfiled at %.128s has not answered for %d seconds: it is hung, or stopped\n", socket,
                 ANSWER_SECONDS);
        (void) signal(SIGALRM, on_alarm);
        (void) alarm(ANSWER_SECONDS);
}

/* Without a userfaultfd, which this program has no use for and its user perhaps no right to. */
static int connect_daemon(const struct bfctl *bfctl, struct bf_client **ret_client) {
        struct address address;

        if (address_parse(NULL, bfctl->socket, &address) < 0)
                return -1;
        return client_new(&address, ret_client);
}

static int run(const struct bfctl *bfctl) {
        struct bf_client *client;
        int r;

        start_alarm(bfctl->socket);
        r = connect_daemon(bfctl, &client);
        if (r < 0) {
                complain("%s", bf_errmsg());
                return EXIT_NO_DAEMON;
        }
        if (bfctl->command->may_last)
                (void) alarm(0);
        r = bfctl->command->run(bfctl, client);
        if (r < 0)
                complain("%s", bf_errmsg());
        bf_disconnect(client);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        const char *variable = getenv("BIGFILED_SOCKET");
        struct bfctl bfctl = { .socket = variable && *variable ? variable : ADDRESS_DEFAULT_SOCKET };
        int status;

        if (!parse_options(argc, argv, &bfctl, &status))
                return status;
        if (!parse_command(argc - optind, argv + optind, &bfctl))
                return EXIT_USAGE;
        status = run(&bfctl);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                complain("cannot write to standard output");
                return EXIT_FAILURE;
        }
        return status;
}
