/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads a big file, changes and commits it in rounds, and does the same to a local copy, which is what the file must have: before, as this program sees it, and
 * after, as others do. The pool is an eighth of the file. It tells each round that has ended.
 *
 * Usage: rewrite URI COPY ROUNDS
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

#define PAGE 4096u
#define COMMIT (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC)

/* Pages that a round commits, most of them of a part that stays in RAM, so that there is more to write than to read; and pages that it changes and discards. */
#define N_CHANGES 400
#define N_CHANGES_HOT 380
#define N_PAGES_HOT 1000
#define N_DISCARDS 20

/* Rounds after which all of it is read. */
#define N_ROUNDS_UNREAD 100

struct rewrite {
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint8_t *memory;
        uint8_t *copy;
        uint64_t size;
        unsigned n_again; /* commits that had to be asked again */
};

static void check(int r, const char *what) {
        if (r < 0) {
                fprintf(stderr, "%s: %s: %s\n", what, strerror(-r), bf_errmsg());
                exit(EXIT_FAILURE);
        }
}

static void rewrite_map_copy(struct rewrite *rewrite, const char *path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);

        rewrite->copy = fd < 0 ? MAP_FAILED : mmap(NULL, rewrite->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        check(rewrite->copy == MAP_FAILED ? -errno : 0, path);
}

static void rewrite_open(struct rewrite *rewrite, const char *uri) {
        struct bf_stat stat;

        check(bf_connect(&rewrite->client, "spawn:pool=8M"), "connect");
        check(bf_open(rewrite->client, uri, O_RDWR, NULL, &rewrite->fileh), uri);
        check(bf_stat(rewrite->fileh, &stat), "stat");
        rewrite->size = stat.size;
        check(bf_mmap(rewrite->fileh, 0, rewrite->size, PROT_READ | PROT_WRITE, (void **) &rewrite->memory), "mmap");
}

static void rewrite_compare(const struct rewrite *rewrite) {
        for (uint64_t offset = 0; offset < rewrite->size; offset += PAGE)
                if (memcmp(rewrite->memory + offset, rewrite->copy + offset, PAGE) != 0) {
                        fprintf(stderr, "page %" PRIu64 " is not what it should be\n", offset / PAGE);
                        exit(EXIT_FAILURE);
                }
}

static void rewrite_fill(uint8_t *page) {
        for (unsigned i = 0; i < PAGE; i++)
                page[i] = (uint8_t) rand();
}

static uint64_t rewrite_random_page(const struct rewrite *rewrite, bool is_hot) {
        return (uint64_t) rand() % (is_hot ? N_PAGES_HOT : rewrite->size / PAGE) * PAGE;
}

/* -EIO: the server was lost after it had taken something; all of it is dirty again. */
static void rewrite_commit(struct rewrite *rewrite) {
        int r;

        while ((r = bf_writeout(rewrite->fileh, COMMIT)) == -EIO)
                rewrite->n_again++;
        check(r, "commit");
}

static void rewrite_round(struct rewrite *rewrite) {
        for (unsigned i = 0; i < N_CHANGES; i++) {
                uint64_t offset = rewrite_random_page(rewrite, i < N_CHANGES_HOT);

                rewrite_fill(rewrite->memory + offset);
                memcpy(rewrite->copy + offset, rewrite->memory + offset, PAGE);
        }
        rewrite_commit(rewrite);
        for (unsigned i = 0; i < N_DISCARDS; i++)
                rewrite_fill(rewrite->memory + rewrite_random_page(rewrite, false));
        check(bf_discard(rewrite->fileh), "discard");
}

int main(int argc, char **argv) {
        struct rewrite rewrite = { .client = NULL };
        unsigned n_rounds;

        if (argc != 4) {
                fprintf(stderr, "usage: rewrite URI COPY ROUNDS\n");
                return 64;
        }
        n_rounds = (unsigned) atoi(argv[3]);
        rewrite_open(&rewrite, argv[1]);
        rewrite_map_copy(&rewrite, argv[2]);
        for (unsigned i = 0; i < n_rounds; i++) {
                if (i % N_ROUNDS_UNREAD == 0)
                        rewrite_compare(&rewrite);
                rewrite_round(&rewrite);
                printf("round %u\n", i + 1);
                fflush(stdout);
        }
        rewrite_compare(&rewrite);
        printf("%u rounds, %u commits asked again\n", n_rounds, rewrite.n_again);
        bf_disconnect(rewrite.client);
        return 0;
}
