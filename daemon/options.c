/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "options.h"
#include "pool.h"
#include "size.h"
#include "wire.h"

#define OPTIONS_ROOM_TIMEOUT_USEC UINT64_C(10000000)
#define OPTIONS_RECLAIM_BATCH 64
#define OPTIONS_PAGERS_MAX 4 /* by default */

static const char options_help[] =
        "Usage: bigfiled [OPTION...]\n"
        "\n"
        "Serves files larger than RAM into the memory of other processes. Runs in the foreground; SIGTERM ends it.\n"
        "\n"
        "  --socket PATH           listen there (default: " OPTIONS_SOCKET_DEFAULT ", or the socket systemd made)\n"
        "  --socket-mode MODE      permissions of the socket, octal (default: 0660)\n"
        "  --socket-group GROUP    group of the socket: who may connect\n"
        "  --pool SIZE             RAM for pages: bytes, or with K, M, G, T; at least 256K (default: a quarter of the RAM)\n"
        "  --pagers N              threads that answer the page faults of one user, 1 to 64 (default: as many as CPUs, at most 4)\n"
        "  --spill-dir PATH        folder for changes that do not fit into the pool, or none (default: " OPTIONS_SPILL_DIR_DEFAULT ")\n"
        "  --spill-size SIZE       how much they may take there (default: half of what is free there now)\n"
        "  --room-timeout SECONDS  how long a fault waits when the pool is full of changes that cannot go there (default: 10)\n"
        "  --reclaim-batch PAGES   clean pages dropped at a time, 1 to 65536 (default: 64)\n"
        "  --uid-peers N           clients that one user may have (default: a sixteenth of the open files allowed, at most 1024)\n"
        "  --uid-handles N         handles that they may have together (default: the same, at most 16384)\n"
        "  --uid-mappings N        mappings that they may have together (default: 262144)\n"
        "  --uid-dirty SIZE        dirty pages that they may have together: more wait as for --room-timeout (default: none)\n"
        "                          Each of these four: none for no limit. Root and the daemon's own user are users as others are.\n"
        "  --no-lend               do not lend /dev/userfaultfd to clients: they need the privilege themselves\n"
        "  --ready-fd FD           write a newline there when ready to serve\n"
        "  --private-fd FD         serve only the client at the other end of this socket, in the background; end with it\n"
        "  --log-level LEVEL       error, warning, info or debug (default: info)\n"
        "  --version               print the version\n"
        "  --help                  print this\n";

enum options_id {
        OPTION_SOCKET = 256,
        OPTION_SOCKET_MODE,
        OPTION_SOCKET_GROUP,
        OPTION_POOL,
        OPTION_PAGERS,
        OPTION_SPILL_DIR,
        OPTION_SPILL_SIZE,
        OPTION_ROOM_TIMEOUT,
        OPTION_RECLAIM_BATCH,
        OPTION_UID_PEERS,
        OPTION_UID_HANDLES,
        OPTION_UID_MAPPINGS,
        OPTION_UID_DIRTY,
        OPTION_NO_LEND,
        OPTION_READY_FD,
        OPTION_PRIVATE_FD,
        OPTION_LOG_LEVEL,
        OPTION_VERSION,
        OPTION_HELP,
};

static const struct option options_table[] = {
        { "socket", required_argument, NULL, OPTION_SOCKET },
        { "socket-mode", required_argument, NULL, OPTION_SOCKET_MODE },
        { "socket-group", required_argument, NULL, OPTION_SOCKET_GROUP },
        { "pool", required_argument, NULL, OPTION_POOL },
        { "pagers", required_argument, NULL, OPTION_PAGERS },
        { "spill-dir", required_argument, NULL, OPTION_SPILL_DIR },
        { "spill-size", required_argument, NULL, OPTION_SPILL_SIZE },
        { "room-timeout", required_argument, NULL, OPTION_ROOM_TIMEOUT },
        { "reclaim-batch", required_argument, NULL, OPTION_RECLAIM_BATCH },
        { "uid-peers", required_argument, NULL, OPTION_UID_PEERS },
        { "uid-handles", required_argument, NULL, OPTION_UID_HANDLES },
        { "uid-mappings", required_argument, NULL, OPTION_UID_MAPPINGS },
        { "uid-dirty", required_argument, NULL, OPTION_UID_DIRTY },
        { "no-lend", no_argument, NULL, OPTION_NO_LEND },
        { "ready-fd", required_argument, NULL, OPTION_READY_FD },
        { "private-fd", required_argument, NULL, OPTION_PRIVATE_FD },
        { "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "help", no_argument, NULL, OPTION_HELP },
        { NULL, 0, NULL, 0 },
};

static int options_number(const char *text, int base, unsigned long max, unsigned long *ret) {
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(text, &end, base);
        if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

/* A descriptor that is open. */
static int options_fd(const char *text, int *ret) {
        unsigned long n;

        if (options_number(text, 10, 1 << 20, &n) < 0 || fcntl((int) n, F_GETFD) < 0)
                return -EINVAL;
        *ret = (int) n;
        return 0;
}

static int options_mode(const char *text, mode_t *ret) {
        unsigned long n;

        if (options_number(text, 8, 0777, &n) < 0)
                return -EINVAL;
        *ret = (mode_t) n;
        return 0;
}

static int options_group(const char *text, gid_t *ret) {
        const struct group *group = getgrnam(text);
        unsigned long n;

        if (group) {
                *ret = group->gr_gid;
                return 0;
        }
        if (options_number(text, 10, UINT32_MAX - 1, &n) < 0)
                return -EINVAL;
        *ret = (gid_t) n;
        return 0;
}

static int options_count(const char *text, unsigned max, unsigned *ret) {
        unsigned long n;

        if (options_number(text, 10, max, &n) < 0 || n == 0)
                return -EINVAL;
        *ret = (unsigned) n;
        return 0;
}

static int options_limit(const char *text, uint64_t *ret) {
        unsigned long n = 0;

        if (strcmp(text, "none") != 0 && (options_number(text, 10, UINT32_MAX, &n) < 0 || n == 0))
                return -EINVAL;
        *ret = n == 0 ? ACCOUNT_NO_LIMIT : n;
        return 0;
}

/* At least the largest page: else it could never be written. */
static int options_limit_bytes(const char *text, uint64_t *ret) {
        uint64_t bytes = ACCOUNT_NO_LIMIT;

        if (strcmp(text, "none") != 0 && (size_parse(text, &bytes) < 0 || bytes < WIRE_BLOCK_MAX))
                return -EINVAL;
        *ret = bytes;
        return 0;
}

static int options_pool(const char *text, uint64_t *ret) {
        uint64_t bytes;

        if (size_parse(text, &bytes) < 0 || bytes < POOL_BYTES_MIN || bytes > UINT64_MAX / 2)
                return -EINVAL;
        *ret = bytes;
        return 0;
}

/* Takes one option; on failure *ret_allowed says what it should be. */
static int options_take(struct options *options, int id, const char *text, const char **ret_allowed) {
        switch (id) {
        case OPTION_SOCKET:
                options->socket_path = text;
                return 0;
        case OPTION_SOCKET_MODE:
                *ret_allowed = "octal permissions like 0660";
                return options_mode(text, &options->socket_mode);
        case OPTION_SOCKET_GROUP:
                *ret_allowed = "the name or number of a group";
                return options_group(text, &options->socket_group);
        case OPTION_POOL:
                *ret_allowed = "a size of at least 64 pages of 4096 bytes (256K), like 512M or 2G";
                return options_pool(text, &options->pool_bytes);
        case OPTION_PAGERS:
                *ret_allowed = "a number from 1 to 64";
                return options_count(text, COMMONS_PAGERS_MAX, &options->n_pagers);
        case OPTION_SPILL_DIR:
                *ret_allowed = "the path of a folder, or none";
                options->spill_dir = strcmp(text, "none") == 0 ? NULL : text;
                return *text ? 0 : -EINVAL;
        case OPTION_SPILL_SIZE:
                *ret_allowed = "a size, like 512M or 20G";
                return size_parse(text, &options->spill_bytes);
        case OPTION_ROOM_TIMEOUT:
                *ret_allowed = "seconds, like 10 or 0.5";
                return seconds_parse(text, &options->pager.room_timeout_usec);
        case OPTION_RECLAIM_BATCH:
                *ret_allowed = "a number of pages from 1 to 65536";
                return options_count(text, 65536, &options->pager.reclaim_batch);
        case OPTION_UID_PEERS:
        case OPTION_UID_HANDLES:
        case OPTION_UID_MAPPINGS:
                *ret_allowed = "a number from 1 on, or none";
                return options_limit(text, &options->limits.max[id - OPTION_UID_PEERS + ACCOUNT_PEERS]);
        case OPTION_UID_DIRTY:
                *ret_allowed = "a size of at least 2M, like 64M or 1G, or none";
                return options_limit_bytes(text, &options->limits.max[ACCOUNT_DIRTY_BYTES]);
        case OPTION_NO_LEND:
                options->lends = false;
                return 0;
        case OPTION_READY_FD:
                *ret_allowed = "the number of an open descriptor";
                return options_fd(text, &options->ready_fd);
        case OPTION_PRIVATE_FD:
                *ret_allowed = "the number of an open descriptor";
                return options_fd(text, &options->private_fd);
        case OPTION_LOG_LEVEL:
                *ret_allowed = "error, warning, info or debug";
                return log_level_parse(text, &options->log_level);
        }
        return -EINVAL;
}

static uint64_t options_quarter_of_ram(void) {
        long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);

        return pages > 0 && page_size > 0 ? (uint64_t) pages * (uint64_t) page_size / 4 : UINT64_C(1) << 30;
}

/* CPUs that this process may use. */
static unsigned options_cpus(void) {
        cpu_set_t cpus;
        int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

        return n < OPTIONS_PAGERS_MAX ? (unsigned) n : OPTIONS_PAGERS_MAX;
}

static enum options_result options_bad(const char *name, const char *text, const char *allowed) {
        fprintf(stderr, "bigfiled: option --%s: \"%s\" is not %s\n", name, text, allowed);
        return OPTIONS_BAD;
}

enum options_result options_parse(int argc, char **argv, struct options *ret) {
        const char *allowed = "";
        int id, i;

        *ret = (struct options) {
                .socket_path = NULL,
                .socket_mode = 0660,
                .socket_group = (gid_t) -1,
                .pool_bytes = options_quarter_of_ram(),
                .n_pagers = options_cpus(),
                .spill_dir = OPTIONS_SPILL_DIR_DEFAULT,
                .spill_bytes = UINT64_MAX,
                .pager = { .room_timeout_usec = OPTIONS_ROOM_TIMEOUT_USEC, .reclaim_batch = OPTIONS_RECLAIM_BATCH, .spill_dir_fd = -1 },
                .lends = true,
                .ready_fd = -1,
                .private_fd = -1,
                .log_level = LOG_LEVEL_INFO,
        };
        while ((id = getopt_long(argc, argv, "", options_table, &i)) >= 0) {
                if (id == '?') { /* getopt has said what is wrong */
                        fputs("bigfiled: try --help\n", stderr);
                        return OPTIONS_BAD;
                }
                if (id == OPTION_HELP || id == OPTION_VERSION) {
                        fputs(id == OPTION_HELP ? options_help : "bigfiled " PROJECT_VERSION "\n", stdout);
                        return OPTIONS_DONE;
                }
                if (options_take(ret, id, optarg, &allowed) < 0)
                        return options_bad(options_table[i].name, optarg, allowed);
        }
        if (optind < argc) {
                fprintf(stderr, "bigfiled: unexpected argument \"%s\": try --help\n", argv[optind]);
                return OPTIONS_BAD;
        }
        return OPTIONS_RUN;
}
