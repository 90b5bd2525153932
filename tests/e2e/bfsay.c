/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A client to be told on its command line what to do, and to say what came of it. The first argument is the address (an empty one: NULL), each other
 * one a command with its words. It stops at the first failure with "COMMAND: ERRNO: bf_errmsg()" on stderr and exit status 1.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bfclient.h"

#define SAY_WORDS 6

struct say {
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint8_t *memory;
        char *words[SAY_WORDS]; /* of the command; missing ones are "" */
};

static uint64_t say_number(const struct say *say, unsigned i) {
        return strtoull(say->words[i], NULL, 0);
}

static bool say_has(const struct say *say, const char *word) {
        for (unsigned i = 1; i < SAY_WORDS; i++)
                if (strcmp(say->words[i], word) == 0)
                        return true;
        return false;
}

static struct bf_open_opts say_opts(const struct say *say) {
        struct bf_open_opts opts = { .size = sizeof(opts) };

        opts.flags = (say_has(say, "shared") ? BF_SHARED : 0) | (say_has(say, "huge") ? BF_HUGE : 0) | (say_has(say, "direct") ? BF_DIRECT : 0);
        for (unsigned i = 1; i < SAY_WORDS; i++)
                if (strncmp(say->words[i], "block=", 6) == 0)
                        opts.block_size = strtoull(say->words[i] + 6, NULL, 0);
        return opts;
}

static int say_oflag(const struct say *say) {
        if (say_has(say, "ro"))
                return O_RDONLY;
        if (say_has(say, "wo"))
                return O_WRONLY;
        return O_RDWR | (say_has(say, "append") ? O_APPEND : 0) | (say_has(say, "creat") ? O_CREAT : 0);
}

static int say_open(struct say *say) {
        struct bf_open_opts opts = say_opts(say);

        return bf_open(say->client, say->words[1], say_oflag(say), &opts, &say->fileh);
}

static int say_open_fd(struct say *say) {
        struct bf_open_opts opts = say_opts(say);

        return bf_open_fd(say->client, open(say->words[1], say_oflag(say) | O_CLOEXEC), &opts, &say->fileh);
}

static int say_mmap(struct say *say) {
        void *memory;
        int r = bf_mmap(say->fileh, say_number(say, 1), say_number(say, 2), say_has(say, "rw") ? PROT_READ | PROT_WRITE : PROT_READ, &memory);

        if (r == 0)
                say->memory = memory;
        return r;
}

static int say_munmap(struct say *say) {
        return bf_munmap(say->memory + say_number(say, 1));
}

static int say_read(struct say *say) {
        printf("%" PRIu64 "\n", *(volatile uint64_t *) (say->memory + say_number(say, 1)));
        return 0;
}

static int say_write(struct say *say) {
        *(volatile uint64_t *) (say->memory + say_number(say, 1)) = say_number(say, 2);
        return 0;
}

static int say_writeout(struct say *say) {
        return bf_writeout(say->fileh, say->words[1][0] ? (unsigned) say_number(say, 1) : BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED);
}

static int say_discard(struct say *say) {
        return bf_discard(say->fileh);
}

static int say_invalidate(struct say *say) {
        return bf_invalidate(say->fileh, say_number(say, 1), say_number(say, 2));
}

static int say_load(struct say *say) {
        return bf_load(say->fileh, say_number(say, 1), say_number(say, 2));
}

static int say_advise(struct say *say) {
        return bf_advise(say->fileh, 0, 0, (enum bf_advice) say_number(say, 1));
}

static int say_state(struct say *say) {
        int r = bf_page_state(say->fileh, say_number(say, 1));

        if (r >= 0)
                printf("%d\n", r);
        return r < 0 ? r : 0;
}

static int say_resize(struct say *say) {
        return bf_resize(say->fileh, say_number(say, 1));
}

static int say_reclaim(struct say *say) {
        uint64_t bytes = 0;
        int r = bf_pool_reclaim(say->client, say_number(say, 1), &bytes);

        if (r == 0)
                printf("%" PRIu64 "\n", bytes);
        return r;
}

static int say_open_ops(struct say *say) {
        static const struct bf_file_ops ops;

        return bf_open_ops(say->client, &ops, NULL, 4096, NULL, &say->fileh);
}

static int say_close(struct say *say) {
        return bf_close(say->fileh);
}

static int say_say(struct say *say) {
        puts(say->words[1]);
        return 0;
}

/* Until a line comes in, or the end of it. */
static int say_wait(struct say *say) {
        int c;

        (void) say;
        while ((c = getchar()) != '\n' && c != EOF)
                ;
        return 0;
}

static const struct {
        const char *name;
        int (*run)(struct say *say);
} say_commands[] = {
        { "open", say_open },
        { "open_fd", say_open_fd },
        { "mmap", say_mmap },
        { "munmap", say_munmap },
        { "read", say_read },
        { "write", say_write },
        { "writeout", say_writeout },
        { "discard", say_discard },
        { "invalidate", say_invalidate },
        { "load", say_load },
        { "advise", say_advise },
        { "state", say_state },
        { "resize", say_resize },
        { "reclaim", say_reclaim },
        { "open_ops", say_open_ops },
        { "close", say_close },
        { "say", say_say },
        { "wait", say_wait },
};

static int say_failed(const char *command, int r) {
        fprintf(stderr, "%s: %s: %s\n", command, strerrorname_np(-r), bf_errmsg());
        return EXIT_FAILURE;
}

static int say_run(struct say *say, char *command) {
        static char empty[] = "";

        for (unsigned i = 0; i < SAY_WORDS; i++)
                say->words[i] = empty;
        for (unsigned i = 0; i < SAY_WORDS && command; i++)
                say->words[i] = strsep(&command, " ");
        for (size_t i = 0; i < sizeof(say_commands) / sizeof(*say_commands); i++)
                if (strcmp(say_commands[i].name, say->words[0]) == 0)
                        return say_commands[i].run(say);
        fprintf(stderr, "no such command: %s\n", say->words[0]);
        exit(2);
}

int main(int argc, char **argv) {
        struct say say = { .client = NULL };
        int r;

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc < 2)
                return 2;
        r = bf_connect(&say.client, argv[1][0] ? argv[1] : NULL);
        if (r < 0)
                return say_failed("connect", r);
        for (int i = 2; i < argc; i++) {
                r = say_run(&say, argv[i]);
                if (r < 0)
                        return say_failed(say.words[0], r);
        }
        bf_disconnect(say.client);
        return EXIT_SUCCESS;
}
