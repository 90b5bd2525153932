/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The demonstration behind ./run: maps a file larger than the pool of its private daemon, reads all of it, changes pages at random, commits some of
 * the changes and discards others, and checks each step against the file itself. The file is changed: ./run gives it a copy.
 */

#include <bfclient.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "known.h"
#include "options.h"
#include "sampler.h"
#include "size.h"
#include "steps.h"
#include "verdict.h"

#define DEMO_EXIT_USAGE 2
#define DEMO_POOL_MIN (UINT64_C(256) << 10) /* what the daemon takes at the least */
#define DEMO_POOL_MAX (UINT64_C(256) << 20)
#define DEMO_ROUNDS 6
#define DEMO_ROUND_PAGES_MAX UINT64_C(4096)

static uint64_t demo_pool_bytes(const struct options *options, uint64_t size) {
        uint64_t bytes = size / 8 / MODEL_PAGE * MODEL_PAGE;

        if (options->pool_bytes)
                return options->pool_bytes;
        if (bytes < DEMO_POOL_MIN)
                return DEMO_POOL_MIN;
        return bytes > DEMO_POOL_MAX ? DEMO_POOL_MAX : bytes;
}

/* Changed pages stay in the pool until they are committed: a quarter of it leaves room for the rest. */
static uint64_t demo_round_pages(uint64_t pool_bytes) {
        uint64_t n = pool_bytes / MODEL_PAGE / 4;

        return n > DEMO_ROUND_PAGES_MAX ? DEMO_ROUND_PAGES_MAX : n;
}

/* Every third round is discarded, the others are committed. */
static int demo_rounds(struct steps *steps, uint64_t n_pages) {
        int r = 0;

        for (unsigned i = 1; r == 0 && i <= DEMO_ROUNDS; i++) {
                r = steps_change(steps, n_pages);
                if (r == 0)
                        r = i % 3 == 0 ? steps_discard(steps) : steps_commit(steps);
        }
        return r;
}

static int demo_say_counts(struct bf_client *client, struct bf_fileh *fileh) {
        char used[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];
        struct bf_pool_stat pool;
        struct bf_stat stat;

        if (bf_stat(fileh, &stat) < 0 || bf_pool_stat(client, &pool) < 0)
                return verdict_failed("%s", bf_errmsg());
        printf("handle    faults answered: %ju; pages loaded: %ju, dropped to make room: %ju, stored: %ju\n", (uintmax_t) stat.faults,
               (uintmax_t) stat.loads, (uintmax_t) stat.evictions, (uintmax_t) stat.stores);
        printf("daemon    faults answered: %ju; pages loaded: %ju, dropped to make room: %ju, stored: %ju; %s of %s in use\n",
               (uintmax_t) pool.faults, (uintmax_t) pool.loads, (uintmax_t) pool.evictions, (uintmax_t) pool.stores,
               size_format(pool.resident_bytes, used), size_format(pool.pool_bytes, size));
        return 0;
}

static int demo_judge_pool(const struct sampler *sampler, uint64_t pool_bytes) {
        char daemon[SIZE_TEXT_MAX], kernel[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];

        if (sampler->error < 0)
                return verdict_failed("cannot ask the daemon about its pool: %s", strerror(-sampler->error));
        size_format(sampler->resident_bytes_max, daemon);
        size_format(sampler->memory_bytes_max, kernel);
        size_format(pool_bytes, limit);
        if (sampler->resident_bytes_max > pool_bytes || sampler->memory_bytes_max > pool_bytes)
                return verdict_failed("the pool went over its %s: %s by the daemon's count, %s by the kernel's", limit, daemon, kernel);
        printf("pool      never over %s: at most %s by the daemon's count, %s by the kernel's; samples: %ju\n", limit, daemon, kernel,
               (uintmax_t) sampler->n_samples);
        return 0;
}

/* The mapping exists: does everything to it, with the pool watched meanwhile. */
static int demo_use(struct bf_client *client, struct steps *steps, uint64_t pool_bytes) {
        struct sampler sampler;
        int r;

        if (sampler_begin(&sampler, client, steps->memory) < 0)
                return verdict_failed("cannot start a thread");
        r = steps_read(steps);
        if (r == 0)
                r = demo_rounds(steps, demo_round_pages(pool_bytes));
        if (r == 0)
                r = steps_check(steps);
        sampler_end(&sampler);
        if (r == 0)
                r = demo_say_counts(client, steps->fileh);
        if (r == 0)
                r = demo_judge_pool(&sampler, pool_bytes);
        return r;
}

static int demo_map(struct bf_client *client, struct steps *steps, uint64_t pool_bytes) {
        void *memory;
        int r;

        if (bf_mmap(steps->fileh, 0, steps->model.size, PROT_READ | PROT_WRITE, &memory) < 0)
                return verdict_failed("%s", bf_errmsg());
        steps->memory = memory;
        r = demo_use(client, steps, pool_bytes);
        if (r == 0 && bf_munmap(memory) < 0)
                r = verdict_failed("%s", bf_errmsg());
        return r;
}

static int demo_open(struct bf_client *client, const char *path, struct steps *steps, uint64_t pool_bytes) {
        int r = 0;

        if (bf_open(client, path, O_RDWR, NULL, &steps->fileh) < 0)
                return verdict_failed("%s", bf_errmsg());
        if (steps->model.size > 0)
                r = demo_map(client, steps, pool_bytes);
        if (r == 0 && bf_close(steps->fileh) < 0)
                r = verdict_failed("%s", bf_errmsg());
        return r;
}

static int demo_connect(const char *path, struct steps *steps, uint64_t pool_bytes) {
        char address[64], size[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX];
        struct bf_client *client;
        int r;

        snprintf(address, sizeof(address), "spawn:pool=%ju", (uintmax_t) pool_bytes);
        if (bf_connect(&client, address) < 0)
                return verdict_failed("%s", bf_errmsg());
        r = demo_open(client, path, steps, pool_bytes);
        bf_disconnect(client);
        if (r < 0)
                return r;
        if (steps->model.size == 0)
                verdict_ok("the file is empty: it opens, and there is nothing to map");
        else
                verdict_ok("%s served from a pool of %s; %ju commits are in the file, %ju discards are not", size_format(steps->model.size, size),
                           size_format(pool_bytes, pool), (uintmax_t) steps->n_commits, (uintmax_t) steps->n_discards);
        return 0;
}

static int demo_run(const struct options *options) {
        char size[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX];
        uint64_t pool_bytes, n_bytes;
        struct steps steps = { 0 };
        struct stat st;
        int r;

        steps.fd = open(options->path, O_RDONLY | O_CLOEXEC);
        if (steps.fd < 0 || fstat(steps.fd, &st) < 0)
                return verdict_failed("cannot open %s: %m", options->path);
        n_bytes = (uint64_t) st.st_size;
        pool_bytes = demo_pool_bytes(options, n_bytes);
        printf("file      %s; blocks of %d bytes: %ju; seed %ju\n", size_format(n_bytes, size), MODEL_PAGE,
               (uintmax_t) ((n_bytes + MODEL_PAGE - 1) / MODEL_PAGE), (uintmax_t) options->seed);
        printf("pool      %s, of a private daemon%s\n", size_format(pool_bytes, pool),
               pool_bytes < n_bytes ? ": smaller than the file" : " (the file is not larger, so nothing needs to leave it)");
        if (model_init(&steps.model, n_bytes, demo_round_pages(pool_bytes), options->seed) < 0)
                return verdict_failed("out of memory");
        r = demo_connect(options->path, &steps, pool_bytes);
        model_fini(&steps.model);
        close(steps.fd);
        return r;
}

int main(int argc, char **argv) {
        struct options options;
        int r;

        if (options_parse(&options, argc, argv) < 0)
                return DEMO_EXIT_USAGE;
        verdict_catch_sigbus();
        if (options.make_bytes) {
                r = known_make(options.path, options.make_bytes);
                if (r < 0) {
                        verdict_failed("cannot make %s: %s", options.path, strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        return demo_run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
