/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "opsfile.h"
#include "tempfile.h"
#include "tour.h"

#define LARGE_BLOCK UINT64_C(65536)
#define GROWN_PAGES (TOUR_PAGES + 16)
#define TRIES_MAX 20

/* One big file on the way, and what it must hold. */
struct sight {
        const struct tour *tour;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        struct opsfile *served; /* by this process, in place of a path; NULL: it is not */
        uint64_t block_size;
        uint64_t n_blocks;
        uint64_t *map;
        uint64_t now[GROWN_PAGES]; /* the first and last word of each block */
        uint64_t stored[GROWN_PAGES];
        unsigned n_failures;
};

static _Noreturn void sight_fail(const struct sight *sight, const char *what, uint64_t block, uint64_t value, uint64_t expected) {
        fprintf(stderr, "tour: %s, block %" PRIu64 " of %" PRIu64 ": %#" PRIx64 " instead of %#" PRIx64 " (%s)\n", what, block, sight->n_blocks, value,
                expected, bf_errmsg());
        _exit(1);
}

/* Something failed. Returns if it is to be tried again. */
static void sight_failed(struct sight *sight, const char *what, uint64_t block, int error) {
        if (!sight->tour->is_tolerant)
                sight_fail(sight, what, block, (uint64_t) -error, 0);
        if (++sight->n_failures == TRIES_MAX)
                _exit(TOUR_LOST);
}

/* A call, until it succeeds. */
#define SIGHT_CALL(sight, call)                              \
        for (int r_; (r_ = (call)) < 0;)                     \
                sight_failed(sight, #call, 0, r_)

/* --- touching ------------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t *sight_word(const struct sight *sight, uint64_t block, uint64_t word) {
        return sight->map + (block * sight->block_size / sizeof(uint64_t)) + word;
}

static uint64_t sight_last_word(const struct sight *sight) {
        return sight->block_size / sizeof(uint64_t) - 1;
}

/* A load that failed is forgotten, and the touch made again. A page that is dirty, and spilled, is brought back. */
static void sight_raised(struct sight *sight, const char *what, uint64_t block, const struct probe_hit *hit) {
        uint64_t offset = block * sight->block_size;

        if (hit->signo != SIGBUS)
                sight_fail(sight, what, block, (uint64_t) hit->signo, 0);
        sight_failed(sight, what, block, -hit->error);
        if (sight->now[block] != sight->stored[block])
                SIGHT_CALL(sight, bf_load(sight->fileh, offset, sight->block_size));
        else
                SIGHT_CALL(sight, bf_invalidate(sight->fileh, offset, sight->block_size));
}

static uint64_t sight_read(struct sight *sight, uint64_t block, uint64_t word) {
        struct probe_hit hit;
        uint64_t value = 0;

        while (probe_read(sight_word(sight, block, word), &value, &hit) != 0)
                sight_raised(sight, "read", block, &hit);
        return value;
}

static void sight_put(struct sight *sight, uint64_t block, uint64_t word, uint64_t value) {
        struct probe_hit hit;

        while (probe_write(sight_word(sight, block, word), value, &hit) != 0)
                sight_raised(sight, "write", block, &hit);
}

static void sight_check_word(struct sight *sight, uint64_t block, uint64_t word, uint64_t expected) {
        uint64_t value = sight_read(sight, block, word);

        if (value != expected)
                sight_fail(sight, word == 0 ? "read" : word == 1 ? "read what was not written" : "read at the end", block, value, expected);
}

/* Of an identity file; what was added to it is zero. */
static uint64_t sight_original(const struct sight *sight, uint64_t block) {
        return sight->path == sight->tour->path && block >= TOUR_PAGES ? 0 : block;
}

static void sight_check(struct sight *sight, uint64_t first, uint64_t end) {
        for (uint64_t block = first; block < end; block++) {
                sight_check_word(sight, block, 0, sight->now[block]);
                sight_check_word(sight, block, 1, sight_original(sight, block));
                sight_check_word(sight, block, sight_last_word(sight), sight->now[block]);
        }
}

static void sight_write(struct sight *sight, uint64_t first, uint64_t end, uint64_t value) {
        for (uint64_t block = first; block < end; block++) {
                sight_put(sight, block, 0, value + block);
                sight->now[block] = value + block; /* dirty from here on */
                sight_put(sight, block, sight_last_word(sight), value + block);
        }
}

/* --- transactions --------------------------------------------------------------------------------------------------------------------------------- */

static void sight_check_file_word(struct sight *sight, uint64_t block, uint64_t word, uint64_t expected) {
        uint64_t offset = block * sight->block_size + word * sizeof(uint64_t), value = 0;
        int r = 0;

        if (sight->served)
                value = *opsfile_word(sight->served, offset);
        else
                r = tempfile_read(sight->path, offset, &value, sizeof(value));

        if (r < 0 || value != expected)
                sight_fail(sight, "in the file", block, value, expected);
}

static void sight_check_file(struct sight *sight) {
        for (uint64_t block = 0; block < sight->n_blocks; block++) {
                sight_check_file_word(sight, block, 0, sight->now[block]);
                sight_check_file_word(sight, block, 1, sight_original(sight, block));
                sight_check_file_word(sight, block, sight_last_word(sight), sight->now[block]);
        }
}

static void sight_commit(struct sight *sight, unsigned flags) {
        SIGHT_CALL(sight, bf_writeout(sight->fileh, flags));
        sight_check_file(sight);
        memcpy(sight->stored, sight->now, sizeof(sight->stored));
}

static void sight_discard(struct sight *sight) {
        SIGHT_CALL(sight, bf_discard(sight->fileh));
        memcpy(sight->now, sight->stored, sizeof(sight->now));
}

/* --- opening and closing -------------------------------------------------------------------------------------------------------------------------- */

static void sight_map(struct sight *sight) {
        void *map;

        SIGHT_CALL(sight, bf_mmap(sight->fileh, 0, sight->n_blocks * sight->block_size, PROT_READ | PROT_WRITE, &map));
        sight->map = map;
}

static void sight_open(struct sight *sight) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = sight->block_size };

        if (sight->served)
                SIGHT_CALL(sight, bf_open_ops(sight->client, &opsfile_ops, sight->served, sight->served->size, &opts, &sight->fileh));
        else
                SIGHT_CALL(sight, bf_open(sight->client, sight->path, O_RDWR, &opts, &sight->fileh));
        SIGHT_CALL(sight, bf_advise(sight->fileh, 0, 0, BF_ADVICE_RANDOM));
        sight_map(sight);
}

/* path NULL: one that this process serves. */
static void sight_begin(struct sight *sight, const struct tour *tour, struct bf_client *client, const char *path, uint64_t block_size, uint64_t n_blocks) {
        *sight = (struct sight) { .tour = tour, .client = client, .path = path, .block_size = block_size, .n_blocks = n_blocks };
        for (uint64_t block = 0; block < n_blocks; block++)
                sight->now[block] = sight->stored[block] = block;
        if (!path)
                sight->served = opsfile_new(n_blocks * block_size, block_size);
        sight_open(sight);
}

/* What is dirty goes with it. */
static void sight_end(struct sight *sight) {
        SIGHT_CALL(sight, bf_munmap(sight->map));
        SIGHT_CALL(sight, bf_close(sight->fileh));
        memcpy(sight->now, sight->stored, sizeof(sight->now));
}

/* --- the tour ------------------------------------------------------------------------------------------------------------------------------------- */

/* More pages than the first table has room for, some of them dirty. */
static void tour_load(struct sight *sight) {
        sight_write(sight, 3, 8, 500);
        SIGHT_CALL(sight, bf_load(sight->fileh, 0, 300 * RIG_PAGE));
        sight_check(sight, 0, 500);
}

static void tour_write(struct sight *sight) {
        sight_write(sight, 10, 40, 1000);
        sight_write(sight, 505, 515, 1000);
        sight_check(sight, 0, 520);
        sight_commit(sight, RIG_STORE_MARK);
        sight_check(sight, 0, 520);
        sight_write(sight, 10, 20, 2000);
        sight_write(sight, 600, 605, 2000);
        sight_commit(sight, RIG_STORE_MARK | BF_WRITEOUT_SYNC);
        sight_write(sight, 30, 35, 3000);
        SIGHT_CALL(sight, bf_writeout(sight->fileh, BF_WRITEOUT_STORE));
        sight_write(sight, 32, 34, 3500);
        sight_check(sight, 0, 50);
        sight_commit(sight, BF_WRITEOUT_STORE);
        SIGHT_CALL(sight, bf_writeout(sight->fileh, BF_WRITEOUT_MARKSTORED));
        sight_check(sight, 0, 50);
        sight_write(sight, 31, 33, 3700);
        sight_commit(sight, RIG_STORE_MARK);
}

/* Pages are made writable ahead of who writes in order; not all of them are written. */
static void tour_write_in_order(struct sight *sight) {
        SIGHT_CALL(sight, bf_advise(sight->fileh, 0, 0, BF_ADVICE_SEQUENTIAL));
        sight_check(sight, 200, 300);
        sight_write(sight, 200, 240, 3900);
        sight_commit(sight, RIG_STORE_MARK);
        sight_write(sight, 205, 220, 3950);
        sight_write(sight, 238, 240, 3950);
        sight_check(sight, 200, 300);
        sight_commit(sight, RIG_STORE_MARK);
        SIGHT_CALL(sight, bf_advise(sight->fileh, 0, 0, BF_ADVICE_RANDOM));
}

static void tour_drop(struct sight *sight) {
        sight_write(sight, 100, 110, 4000);
        sight_discard(sight);
        sight_check(sight, 90, 120);
        SIGHT_CALL(sight, bf_invalidate(sight->fileh, 50 * RIG_PAGE, 30 * RIG_PAGE));
        sight_check(sight, 45, 85);
        sight_write(sight, 112, 118, 4500);
        SIGHT_CALL(sight, bf_pool_reclaim(sight->client, 0, NULL)); /* the table shrinks */
        sight_check(sight, 0, 50);
        sight_check(sight, 110, 120);
}

/* More dirty pages than there is room for, of two files: they are spilled, come back, are stored and dropped. */
static void tour_spill(struct sight *sight, struct sight *large) {
        sight_write(sight, 0, TOUR_PAGES, 20000);
        sight_write(large, 0, TOUR_LARGE_BLOCKS, 20000);
        sight_check(sight, 0, TOUR_PAGES);
        sight_commit(sight, RIG_STORE_MARK);
        sight_write(sight, 50, 500, 30000);
        sight_check(large, 0, TOUR_LARGE_BLOCKS);
        sight_check(sight, 0, 300);
        sight_discard(sight);
        sight_check(sight, 0, TOUR_PAGES);
        sight_commit(large, RIG_STORE_MARK);
}

static void tour_grow(struct sight *sight) {
        SIGHT_CALL(sight, bf_munmap(sight->map));
        SIGHT_CALL(sight, bf_resize(sight->fileh, GROWN_PAGES * RIG_PAGE));
        sight->n_blocks = GROWN_PAGES;
        sight_map(sight);
        sight_write(sight, TOUR_PAGES + 2, TOUR_PAGES + 4, 5000);
        sight_check(sight, TOUR_PAGES - 10, GROWN_PAGES);
        sight_commit(sight, RIG_STORE_MARK);
}

static void tour_large_blocks(struct sight *sight) {
        sight_write(sight, 2, 4, 6000);
        sight_check(sight, 0, TOUR_LARGE_BLOCKS);
        sight_write(sight, 0, 2, 6000);
        sight_commit(sight, RIG_STORE_MARK);
}

/* The file ends before its pages do: a touch there fails, until it is as long as it was. */
static void tour_failing_load(struct sight *sight) {
        struct probe_hit hit;

        if (truncate(sight->path, 4 * RIG_PAGE) < 0)
                sight_fail(sight, "truncate", 0, (uint64_t) errno, 0);
        if (probe_read(sight_word(sight, 6, 0), NULL, &hit) != SIGBUS)
                sight_fail(sight, "read beyond the end", 6, (uint64_t) hit.signo, SIGBUS);
        if (tempfile_make_identity(sight->path, TOUR_SHORT_PAGES, RIG_PAGE) < 0)
                sight_fail(sight, "make", 0, (uint64_t) errno, 0);
}

static void tour_failing_load_forgotten(struct sight *sight) {
        SIGHT_CALL(sight, bf_invalidate(sight->fileh, 6 * RIG_PAGE, RIG_PAGE));
        sight_check(sight, 0, TOUR_SHORT_PAGES);
}

/* What the process serves that maps it. */
static void tour_served(struct sight *sight) {
        sight_check(sight, 0, TOUR_SERVED_PAGES);
        sight_write(sight, 3, 9, 5500);
        sight_commit(sight, RIG_STORE_MARK | BF_WRITEOUT_SYNC);
        sight_write(sight, 5, 12, 5600);
        sight_discard(sight);
        sight_check(sight, 0, TOUR_SERVED_PAGES);
        sight_write(sight, 10, 12, 5700);
}

static void tour_half(struct sight *sight, int line) {
        sight_write(sight, 20, 30, 7000);
        sight_write(sight, 610, 615, 7000);
        child_say(line, TOUR_HALF);
        (void) child_hear(line);
        sight_check(sight, 0, 60);
        sight_check(sight, 600, 620);
        sight_write(sight, 28, 32, 8000);
        sight_commit(sight, RIG_STORE_MARK);
}

/* A daemon that ends while it is greeted is one that is not there: a client that is not connected yet is told so. */
static struct bf_client *tour_connect(struct sight *sight) {
        const struct timespec pause = { .tv_nsec = 1000000 };
        struct bf_client *client;
        int r;

        while ((r = bf_connect(&client, sight->tour->address)) < 0) {
                if (r != -ENOTCONN && r != -ECONNREFUSED && r != -ENOENT)
                        sight_failed(sight, "bf_connect", 0, r);
                nanosleep(&pause, NULL);
        }
        return client;
}

int tour_run(int line, void *arg) {
        static struct sight sight, large, cut, served;
        const struct tour *tour = arg;
        struct bf_client *client;

        probe_install();
        sight.tour = tour;
        client = tour_connect(&sight);
        sight_begin(&sight, tour, client, tour->path, RIG_PAGE, TOUR_PAGES);
        sight_begin(&large, tour, client, tour->large_path, LARGE_BLOCK, TOUR_LARGE_BLOCKS);
        sight_begin(&cut, tour, client, tour->short_path, RIG_PAGE, TOUR_SHORT_PAGES);
        sight_begin(&served, tour, client, NULL, RIG_PAGE, TOUR_SERVED_PAGES);
        tour_load(&sight);
        tour_write(&sight);
        tour_write_in_order(&sight);
        tour_large_blocks(&large);
        tour_drop(&sight);
        tour_spill(&sight, &large);
        tour_grow(&sight);
        tour_failing_load(&cut);
        tour_served(&served);
        tour_half(&sight, line);
        sight_commit(&served, RIG_STORE_MARK);
        sight_check(&served, 0, TOUR_SERVED_PAGES);
        tour_failing_load_forgotten(&cut);
        sight_check(&large, 0, TOUR_LARGE_BLOCKS);
        sight_write(&sight, 70, 80, 9000);
        sight_end(&sight);
        sight_open(&sight);
        sight_check(&sight, 0, 100);
        sight_check_file(&sight);
        bf_disconnect(client);
        return 0;
}

/* A new file, not the old one made anew: a store for a client that was killed may still be on its way there. */
static void tour_make_file(const char *path, uint64_t n_blocks, uint64_t block_size) {
        (void) unlink(path);
        assert_int_equal(tempfile_make_identity(path, n_blocks, block_size), 0);
}

void tour_prepare(struct rig *rig, struct tour *tour) {
        snprintf(tour->path, sizeof(tour->path), "%s/tour%u", rig->dir, tour->number);
        snprintf(tour->large_path, sizeof(tour->large_path), "%s/tour%u-large", rig->dir, tour->number);
        snprintf(tour->short_path, sizeof(tour->short_path), "%s/tour%u-short", rig->dir, tour->number);
        snprintf(tour->address, sizeof(tour->address), "%s", rig_address(rig));
        tour_make_file(tour->path, TOUR_PAGES, RIG_PAGE);
        tour_make_file(tour->large_path, TOUR_LARGE_BLOCKS, LARGE_BLOCK);
        tour_make_file(tour->short_path, TOUR_SHORT_PAGES, RIG_PAGE);
}
