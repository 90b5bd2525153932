/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "nearest.h"
#include "option_type.h"
#include "options.h"

#define OPTIONS_PAGERS_MAX 4 /* by default */

#define FIELD(member) offsetof(struct options, member)
#define LIMIT(item) FIELD(limits.max[item])

const struct option_row options_table[] = {
        { "socket", "PATH", "listen there", "the path of a socket", NULL, OPTIONS_SOCKET_DEFAULT ", or the socket systemd made", OPTION_RESTART,
          &option_type_path, FIELD(socket_path) },
        { "socket-mode", "MODE", "permissions of the socket, octal", "octal permissions like 0660", "0660", NULL, OPTION_RESTART,
          &option_type_mode, FIELD(socket_mode) },
        { "socket-group", "GROUP", "group of the socket: who may connect", "the name or number of a group", NULL, "the daemon's own", OPTION_RESTART,
          &option_type_group, FIELD(socket_group) },
        { "pool", "SIZE", "RAM for pages: bytes, or with K, M, G, T; at least 256K", "a size of at least 64 pages of 4096 bytes (256K), like 512M or 2G",
          NULL, "a quarter of the RAM", OPTION_RELOADED, &option_type_pool, FIELD(pool_bytes) },
        { "pagers", "N", "threads that answer the page faults of one user, 1 to 64", "a number from 1 to 64", NULL, "as many as CPUs, at most 4",
          OPTION_RESTART, &option_type_pagers, FIELD(n_pagers) },
        { "spill-dir", "PATH", "folder for changes that do not fit into the pool, or none", "the path of a folder, or none", "/var/tmp", NULL, OPTION_RESTART,
          &option_type_path_or_none, FIELD(spill_dir) },
        { "spill-size", "SIZE", "how much they may take there", "a size, like 512M or 20G", NULL, "half of what is free there at the start", OPTION_RELOADED,
          &option_type_size, FIELD(spill_bytes) },
        { "room-timeout", "SECONDS", "how long a fault waits when the pool is full of changes that cannot go there", "seconds, like 10 or 0.5", "10", NULL,
          OPTION_RELOADED, &option_type_seconds, FIELD(pager.room_timeout_usec) },
        { "reclaim-batch", "PAGES", "clean pages dropped at a time, 1 to 65536", "a number of pages from 1 to 65536", "64", NULL, OPTION_RELOADED,
          &option_type_batch, FIELD(pager.reclaim_batch) },
        { "replacement", "POLICY", "which clean pages are dropped first: proven or lru", "proven or lru", "proven", NULL, OPTION_RELOADED,
          &option_type_replacement, FIELD(pager.replacement) },
        { "uid-peers", "N", "clients that one user may have, or none for no limit", "a number from 1 on, or none", NULL,
          "a sixteenth of the open files allowed, at most 1024", OPTION_RELOADED, &option_type_limit, LIMIT(ACCOUNT_PEERS) },
        { "uid-handles", "N", "handles that they may have together, or none", "a number from 1 on, or none", NULL,
          "a sixteenth of the open files allowed, at most 16384", OPTION_RELOADED, &option_type_limit, LIMIT(ACCOUNT_HANDLES) },
        { "uid-mappings", "N", "mappings that they may have together, or none", "a number from 1 on, or none", NULL, "262144", OPTION_RELOADED,
          &option_type_limit, LIMIT(ACCOUNT_MAPPINGS) },
        { "uid-dirty", "SIZE", "dirty pages that they may have together, or none: more wait as for room-timeout",
          "a size of at least 2M, like 64M or 1G, or none", NULL, "none", OPTION_RELOADED, &option_type_limit_bytes, LIMIT(ACCOUNT_DIRTY_BYTES) },
        { "direct-io", "yes|no", "pass the page cache by: files are opened for direct I/O where their system has it", "yes or no", "no", NULL, OPTION_RESTART,
          &option_type_yes_no, FIELD(is_direct) },
        { "lend", "yes|no", "lend /dev/userfaultfd to clients: without it they need the privilege themselves", "yes or no", "yes", NULL, OPTION_RESTART,
          &option_type_yes_no, FIELD(lends) },
        { "allow-nbd", "URI...", "files served by NBD that clients may open: how their URIs begin", "a list of what URIs like nbd://host/ or nbd+unix:///?socket=/path begin with, or none",
          "none", NULL, OPTION_RELOADED, &option_type_nbd, FIELD(allow_nbd) },
        { "nbd-timeout", "SECONDS", "how long requests wait for an NBD server that is gone", "seconds, like 30 or 0.5", "30", NULL, OPTION_RELOADED,
          &option_type_seconds, FIELD(pager.nbd_timeout_usec) },
        { "served-group", "yes|no", "files that a process serves are open to others in its group, not to its user alone", "yes or no", "no", NULL, OPTION_RESTART,
          &option_type_yes_no, FIELD(served_group) },
        { "http-address", "ADDRESS", "serve metrics by HTTP there: unix:PATH, 127.0.0.1:PORT or [::1]:PORT, or none", "unix:PATH, 127.0.0.1:PORT or [::1]:PORT, or none",
          "none", NULL, OPTION_RESTART, &option_type_http, FIELD(http_address) },
        { "log-level", "LEVEL", "what is worth telling: error, warning, info or debug", "error, warning, info or debug", "info", NULL, OPTION_RELOADED,
          &option_type_level, FIELD(log_level) },
        { "config", "FILE", "read this configuration and FILE.d/*.conf, or none", "the path of a file, or none", NULL, OPTIONS_CONFIG_DEFAULT,
          OPTION_COMMAND_LINE, &option_type_path, FIELD(config) },
        { "ready-fd", "FD", "write a newline there when ready to serve", "the number of an open descriptor", NULL, "none", OPTION_COMMAND_LINE,
          &option_type_fd, FIELD(ready_fd) },
        { "private-fd", "FD", "serve only the client at the other end of this socket, in the background; end with it", "the number of an open descriptor", NULL,
          "none", OPTION_COMMAND_LINE, &option_type_fd, FIELD(private_fd) },
        { .key = NULL },
};

_Static_assert(sizeof(options_table) / sizeof(options_table[0]) <= OPTIONS_MAX, "options_table");

uint64_t options_ram(void) {
        long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);

        return pages > 0 && page_size > 0 ? (uint64_t) pages * (uint64_t) page_size : UINT64_C(4) << 30;
}

/* That this process may run on, and not more than bring something. */
static unsigned options_cpus(void) {
        cpu_set_t set;
        int n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

        return n < OPTIONS_PAGERS_MAX ? (unsigned) n : OPTIONS_PAGERS_MAX;
}

static void *options_field(struct options *options, const struct option_row *row) {
        return (char *) options + row->field;
}

void options_init(struct options *options) {
        *options = (struct options) {
                .socket_group = (gid_t) -1,
                .pool_bytes = options_ram() / 4,
                .n_pagers = options_cpus(),
                .spill_bytes = UINT64_MAX,
                .pager.spill_dir_fd = -1,
                .ready_fd = -1,
                .private_fd = -1,
        };
        for (const struct option_row *row = options_table; row->key; row++) {
                int r = row->fallback ? row->type->parse(row->fallback, options_field(options, row)) : 0;

                assert(r == 0);
                (void) r;
        }
}

static void option_source_fini(struct option_source *source) {
        free(source->text);
        free(source->where);
}

void options_fini(struct options *options) {
        for (unsigned i = 0; i < OPTIONS_MAX; i++)
                option_source_fini(&options->sources[i]);
        memset(options->sources, 0, sizeof(options->sources));
}

const struct option_row *option_find(const char *key) {
        for (const struct option_row *row = options_table; row->key; row++)
                if (strcmp(row->key, key) == 0)
                        return row;
        return NULL;
}

const char *option_nearest(const char *key) {
        const char *words[OPTIONS_MAX], **word = words;

        for (const struct option_row *row = options_table; row->key; row++)
                if (row->when != OPTION_COMMAND_LINE)
                        *word++ = row->key;
        *word = NULL;
        return nearest_word(key, words);
}

int option_set(struct options *options, const struct option_row *row, const char *text, const char *where) {
        struct option_source *before = &options->sources[row - options_table], source = { .text = strdup(text), .where = strdup(where) };
        int r = source.text && source.where ? row->type->parse(source.text, options_field(options, row)) : -ENOMEM;

        if (r < 0) {
                option_source_fini(&source);
                return r;
        }
        option_source_fini(before);
        *before = source;
        return 0;
}

static void option_swap_bytes(void *a, void *b, size_t n) {
        unsigned char bytes[64];

        assert(n <= sizeof(bytes));
        memcpy(bytes, a, n);
        memcpy(a, b, n);
        memcpy(b, bytes, n);
}

void option_swap(struct options *options, struct options *other, const struct option_row *row) {
        option_swap_bytes(options_field(options, row), options_field(other, row), row->type->size);
        option_swap_bytes(&options->sources[row - options_table], &other->sources[row - options_table], sizeof(struct option_source));
}

const struct option_source *option_source(const struct options *options, const struct option_row *row) {
        return &options->sources[row - options_table];
}

void option_format(const struct options *options, const struct option_row *row, char text[static OPTION_TEXT_MAX]) {
        row->type->format((const char *) options + row->field, text);
}
