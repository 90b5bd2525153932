/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pages are made writable ahead of who says that he writes in order: he faults less often, and nothing is stored that he has not written. */

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 1000

struct scene {
        struct rig *rig;
        struct bf_client *client;
        const char *path;
        struct bf_fileh *fileh;
        uint64_t *map;
};

/* All pages are in RAM. */
static struct scene start_with(struct rig *rig, const char *pool, enum bf_advice advice, uint32_t flags) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", pool, NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, flags);
        assert_int_equal(bf_advise(scene.fileh, 0, 0, advice), 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        return scene;
}

static struct scene start(struct rig *rig) {
        return start_with(rig, "64M", BF_ADVICE_SEQUENTIAL, 0);
}

static void write_pages(const struct scene *scene, uint64_t first, uint64_t end, uint64_t value) {
        for (uint64_t page = first; page < end; page++)
                *rig_word(scene->map, page, 511) = value + page;
}

static bool is_writable(const struct scene *scene, uint64_t page) {
        return bf_page_state(scene->fileh, page * RIG_PAGE) == BF_PAGE_DIRTY;
}

/* Writes in order from there on until pages are writable ahead. Returns the first page that was not written. */
static uint64_t write_until_ahead(const struct scene *scene, uint64_t page, uint64_t value) {
        for (; !is_writable(scene, page); page++)
                write_pages(scene, page, page + 1, value);
        return page;
}

static void check_file(const struct scene *scene, uint64_t first, uint64_t end, uint64_t value) {
        for (uint64_t page = 0; page < N_PAGES; page++) {
                uint64_t word;

                assert_int_equal(tempfile_read(scene->path, page * RIG_PAGE + 511 * sizeof(word), &word, sizeof(word)), 0);
                assert_int_equal(word, page >= first && page < end ? value + page : page);
        }
}

static void test_few_faults(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t n = rig_stat(scene.fileh).faults;

        write_pages(&scene, 0, N_PAGES, 5000);
        assert_in_range(rig_stat(scene.fileh).faults, n + 1, n + N_PAGES / 10);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, N_PAGES, 5000);
        assert_int_equal(rig_stat(scene.fileh).stores, N_PAGES);
}

static void test_not_unless_advised(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL, 0);
        uint64_t n = rig_stat(scene.fileh).faults;

        write_pages(&scene, 0, 500, 5000);
        assert_int_equal(rig_stat(scene.fileh).faults, n + 500);
        assert_states(scene.fileh, 499, "DLLL");
        for (uint64_t page = 500; page < N_PAGES; page++)
                *rig_word(scene.map, page, 0) = page; /* what is there already */
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, N_PAGES);
}

/* What others do meanwhile to pages that were made writable and not written stays. */
static void test_only_what_was_written_is_stored(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000), theirs = 4711;

        assert_int_equal(tempfile_write(scene.path, (end + 1) * RIG_PAGE, &theirs, sizeof(theirs)), 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, end - 100);
        check_file(&scene, 100, end, 5000);
        assert_int_equal(rig_file_word(scene.path, end + 1), theirs);
        assert_states(scene.fileh, end - 1, "LLLL");

        /* which are protected again */
        write_pages(&scene, end + 2, end + 3, 6000);
        assert_states(scene.fileh, end + 1, "LDL");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, end - 100 + 1);
}

/* A byte is enough, wherever it is; also one that the kernel wrote. */
static void test_every_write_is_found(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000);
        char *at = (char *) (uintptr_t) rig_word(scene.map, end, 0);
        int pipe_fds[2];

        at[RIG_PAGE - 1] ^= 1;
        at[RIG_PAGE] ^= 1;
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(write(pipe_fds[1], "x", 1), 1);
        assert_int_equal(read(pipe_fds[0], at + 2 * RIG_PAGE + 17, 1), 1);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, end - 100 + 3);
}

/* Nobody needs to ask: they do not stay dirty for long. */
static void test_a_while_later(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000);

        while (rig_stat(scene.fileh).dirty_bytes > (end - 100) * RIG_PAGE)
                sched_yield();
        assert_states(scene.fileh, end - 2, "DDLLLLLL");
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, end - 1, 511), end - 1);
}

static void test_discard(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000);

        write_pages(&scene, end, end + 3, 5000);
        assert_int_equal(bf_discard(scene.fileh), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 511), page);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, 0, 0);
}

/* A change of the file's that is said to be there is seen. */
static void test_invalidate(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000), theirs = 4711;

        assert_int_equal(tempfile_write(scene.path, end * RIG_PAGE, &theirs, sizeof(theirs)), 0);
        assert_int_equal(bf_invalidate(scene.fileh, end * RIG_PAGE, 2 * RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, end, 0), theirs);
        write_pages(&scene, end, end + 100, 5000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 100, end + 100, 5000);
}

/* Another client of a shared file writes to such a page. */
static void test_shared(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_SEQUENTIAL, BF_SHARED);
        struct bf_fileh *other = rig_open(rig_client(scene.rig), scene.path, O_RDWR, BF_SHARED);
        uint64_t *map = rig_map(other, 0, N_PAGES), end;

        assert_int_equal(bf_advise(other, 0, 0, BF_ADVICE_SEQUENTIAL), 0);
        end = write_until_ahead(&scene, 100, 5000);
        *rig_word(map, end + 1, 511) = 5000 + end + 1;
        *rig_word(map, end, 511) = 5000 + end;
        assert_int_equal(bf_writeout(other, RIG_STORE_MARK), 0);
        check_file(&scene, 100, end + 2, 5000);
        assert_int_equal(rig_stat(scene.fileh).stores, end - 100 + 2);
}

/* In a pool where they would be many, nothing is done ahead. */
static void test_small_pool(void **state) {
        struct scene scene = start_with(rig_here(state), "1M", BF_ADVICE_SEQUENTIAL, 0);

        write_pages(&scene, 0, N_PAGES, 5000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, N_PAGES, 5000);
        assert_int_equal(rig_stat(scene.fileh).stores, N_PAGES);
}

/* Dirty pages that do not fit are spilled, what was not written among them is not stored. */
static void test_spilled(void **state) {
        struct scene scene = start_with(rig_here(state), "4M", BF_ADVICE_SEQUENTIAL, 0);
        uint64_t n = 0;

        for (uint64_t first = 0; first < N_PAGES; first += 100) {
                write_pages(&scene, first, first + 50, 5000);
                n += 50;
        }
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene.map, page, 511), page % 100 < 50 ? 5000 + page : page);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, n);
}

/* The next daemon knows as well which pages were written. */
static void test_restart(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t end = write_until_ahead(&scene, 100, 5000), theirs = 4711;

        write_pages(&scene, end, end + 1, 5000);
        daemonproc_kill(&scene.rig->daemon);
        write_pages(&scene, end + 1, end + 2, 5000); /* nobody is needed for that */
        assert_int_equal(tempfile_write(scene.path, (end + 3) * RIG_PAGE, &theirs, sizeof(theirs)), 0);
        rig_daemon(scene.rig, "--pool", "64M", NULL);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 100, end + 2, 5000);
        assert_int_equal(rig_file_word(scene.path, end + 3), theirs);
        assert_states(scene.fileh, end, "LLLL");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_few_faults),
                RIG_TEST(test_not_unless_advised),
                RIG_TEST(test_only_what_was_written_is_stored),
                RIG_TEST(test_every_write_is_found),
                RIG_TEST(test_a_while_later),
                RIG_TEST(test_discard),
                RIG_TEST(test_invalidate),
                RIG_TEST(test_shared),
                RIG_TEST(test_small_pool),
                RIG_TEST(test_spilled),
                RIG_TEST(test_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
