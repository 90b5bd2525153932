/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files that this process serves with bf_open_ops(): which of its functions are called, and in which order; rules 1-19 as far as they say so. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opsfile.h"
#include "rig.h"
#include "watchdog.h"

#define N_PAGES 200

struct scene {
        struct rig *rig;
        struct opsfile *file;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static struct scene start_with(struct rig *rig, uint64_t size) {
        struct scene scene = { .rig = rig, .file = opsfile_new(size, RIG_PAGE) };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.client = rig_client(rig);
        assert_int_equal(bf_open_ops(scene.client, &opsfile_ops, scene.file, size, NULL, &scene.fileh), 0);
        scene.map = rig_map(scene.fileh, 0, (size + RIG_PAGE - 1) / RIG_PAGE);
        return scene;
}

static struct scene start(struct rig *rig) {
        return start_with(rig, N_PAGES * RIG_PAGE);
}

/* The handle is closed, and the file was released just then. */
static void finish(struct scene *scene) {
        assert_int_equal(opsfile_n_releases(scene->file), 0);
        assert_int_equal(bf_munmap(scene->map), 0);
        assert_int_equal(opsfile_n_releases(scene->file), 0);
        assert_int_equal(bf_close(scene->fileh), 0);
        assert_int_equal(opsfile_n_releases(scene->file), 1);
        rig_disconnect(scene->rig, scene->client);
        assert_int_equal(opsfile_n_releases(scene->file), 1);
        opsfile_free(scene->file);
}

#define assert_calls(scene, expected) assert_string_equal(opsfile_log((scene)->file), expected)

/* rules 1, 3: nothing is called before a page is touched */
static void test_open_and_map_call_nothing(void **state) {
        struct scene scene = start(rig_here(state));

        assert_calls(&scene, "");
        assert_int_equal(rig_stat(scene.fileh).size, N_PAGES * RIG_PAGE);
        assert_int_equal(rig_stat(scene.fileh).block_size, RIG_PAGE);
        finish(&scene);
}

/* rules 5, 6, 7: a load for each page that is touched, once, whatever it is touched for; pages in order are not read ahead */
static void test_touches_load_each_page_once(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(*rig_word(scene.map, 100, 0), 100);
        assert_int_equal(*rig_word(scene.map, 100, 511), 100);
        assert_calls(&scene, "L100");
        assert_states(scene.fileh, 100, "L");
        *rig_word(scene.map, 101, 3) = 7;
        assert_int_equal(*rig_word(scene.map, 101, 2), 101);
        assert_calls(&scene, "L101");
        assert_states(scene.fileh, 101, "D");
        *rig_word(scene.map, 100, 3) = 7;
        assert_calls(&scene, "");
        for (size_t i = 0; i < 40; i++)
                assert_int_equal(*rig_word(scene.map, i, 5), i);
        assert_calls(&scene, "L0 L1 L2 L3 L4 L5 L6 L7 L8 L9 L10 L11 L12 L13 L14 L15 L16 L17 L18 L19 L20 L21 L22 L23 L24 L25 L26 L27 L28 L29 L30 L31 L32 "
                             "L33 L34 L35 L36 L37 L38 L39");
        assert_int_equal(rig_stat(scene.fileh).loads, 42);
        finish(&scene);
}

static void write_pages(const struct scene *scene, const size_t *pages, size_t n) {
        for (size_t i = 0; i < n; i++)
                *rig_word(scene->map, pages[i], 1) = 1000 + pages[i];
        (void) opsfile_log(scene->file);
}

static const size_t some[] = { 150, 3, 7, 5, 4, 100 };

static uint64_t stored_word(const struct scene *scene, uint64_t page) {
        return *opsfile_word(scene->file, page * RIG_PAGE + 8);
}

/* rule 10: in order of offset, one after the other */
static void test_store(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, some, 6);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        assert_calls(&scene, "S3 S4 S5 S7 S100 S150");
        assert_int_equal(scene.file->n_stores_max, 1);
        for (size_t i = 0; i < 6; i++) {
                assert_int_equal(stored_word(&scene, some[i]), 1000 + some[i]);
                assert_states(scene.fileh, some[i], "D");
        }
        assert_int_equal(*opsfile_word(scene.file, 3 * RIG_PAGE), 3);
        finish(&scene);
}

/* rules 11, 12 */
static void test_mark(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, some, 6);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        assert_calls(&scene, "S3 S4 S5 S7 S100 S150");
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_calls(&scene, "");
        assert_states(scene.fileh, 3, "LLLEL");
        *rig_word(scene.map, 4, 1) = 5;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_calls(&scene, "S4");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "");
        assert_int_equal(rig_stat(scene.fileh).stores, 7);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        finish(&scene);
}

/* rule 13: nothing is called behind the one that fails, nor that one again */
static void test_store_fails(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, some, 6);
        opsfile_fail(scene.file, OPSFILE_STORE, 5, 1, -ENOSPC);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -ENOSPC);
        assert_calls(&scene, "S3 S4 S5");
        assert_states(scene.fileh, 3, "LLDED");
        assert_states(scene.fileh, 100, "D");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "S5 S7 S100 S150");
        finish(&scene);
}

/* What a program returns that is no errno is an error, not a crash. */
static void test_wild_results(void **state) {
        static const int wild[] = { 1, 4096, -4096, -100000, INT32_MAX, INT32_MIN };
        struct scene scene = start(rig_here(state));
        struct probe_hit hit;

        for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
                opsfile_fail(scene.file, OPSFILE_LOAD, 50, 1, wild[i]);
                assert_int_equal(probe_read((void *) rig_word(scene.map, 50, 0), NULL, &hit), SIGBUS);
                assert_int_equal(hit.known, 0);
                assert_int_equal(hit.error, EIO);
                assert_int_equal(bf_invalidate(scene.fileh, 50 * RIG_PAGE, 1), 0);
                assert_int_equal(*rig_word(scene.map, 50, 0), 50);
                *rig_word(scene.map, 50, 0) = 50;
                opsfile_fail(scene.file, OPSFILE_STORE, 50, 1, wild[i]);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EIO);
                assert_states(scene.fileh, 50, "D");
                assert_int_equal(bf_discard(scene.fileh), 0);
        }
        assert_calls(&scene, "L50 L50 S50 L50 L50 S50 L50 L50 S50 L50 L50 S50 L50 L50 S50 L50 L50 S50");
        finish(&scene);
}

/* A file without a name is no "ops:" to anybody: the log says who serves it. */
static void check_words(const struct scene *scene) {
        char text[64];

        assert_non_null(strstr(bf_errmsg(), "a served file: "));
        snprintf(text, sizeof(text), "a served file of pid %d: ", (int) getpid());
        assert_true(daemonproc_says(&scene->rig->daemon, text));
}

/* rule 20: a load that fails, with its own errno, and only that page; its neighbours of one request are not loaded again */
static void test_load_fails(void **state) {
        struct scene scene = start(rig_here(state));
        struct probe_hit hit;

        opsfile_fail(scene.file, OPSFILE_LOAD, 12, 1, -ENODATA);
        assert_int_equal(bf_load(scene.fileh, 10 * RIG_PAGE, 5 * RIG_PAGE), -ENODATA);
        check_words(&scene);
        assert_calls(&scene, "L10 L11 L12 L13 L14");
        assert_states(scene.fileh, 10, "LLELL");
        opsfile_fail(scene.file, OPSFILE_LOAD, 12, 1, -ESTALE);
        assert_int_equal(bf_invalidate(scene.fileh, 12 * RIG_PAGE, 1), 0);
        assert_int_equal(probe_read((void *) rig_word(scene.map, 12, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ESTALE);
        assert_int_equal(bf_invalidate(scene.fileh, 12 * RIG_PAGE, 1), 0);
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
        finish(&scene);
}

/* rules 14, 15: what is dropped is loaded again, and never stored */
static void test_discard_and_invalidate(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, some, 6);
        assert_int_equal(*rig_word(scene.map, 20, 0), 20);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_calls(&scene, "L20");
        assert_int_equal(*rig_word(scene.map, 5, 1), 5);
        assert_int_equal(*rig_word(scene.map, 20, 1), 20);
        assert_calls(&scene, "L5");
        *opsfile_word(scene.file, 5 * RIG_PAGE + 8) = 55;
        assert_int_equal(*rig_word(scene.map, 5, 1), 5);
        assert_int_equal(bf_invalidate(scene.fileh, 5 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 5, 1), 55);
        assert_calls(&scene, "L5");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "");
        finish(&scene);
}

/* rules 16, 17 */
static void test_reclaim(void **state) {
        struct scene scene = start(rig_here(state));

        write_pages(&scene, some, 1);
        for (size_t page = 10; page < 13; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_calls(&scene, "L10 L11 L12");
        rig_reclaim(scene.client, 2);
        assert_states(scene.fileh, 10, "EEL");
        assert_states(scene.fileh, 150, "D");
        assert_int_equal(*rig_word(scene.map, 11, 0), 11);
        assert_calls(&scene, "L11");
        finish(&scene);
}

/* rule 9: a fault through another mapping makes a page the most recently used */
static void test_order_of_use(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *other = rig_map(scene.fileh, 0, N_PAGES);

        for (size_t page = 10; page < 13; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        assert_int_equal(*rig_word(other, 10, 0), 10);
        assert_calls(&scene, "L10 L11 L12");
        rig_reclaim(scene.client, 2);
        assert_int_equal(bf_page_state(scene.fileh, 11 * RIG_PAGE), BF_PAGE_EMPTY);
        assert_int_equal(bf_munmap(other), 0);
        finish(&scene);
}

/* rules 2, 4: pages stay when a mapping goes, and are not stored when the handle does */
static void test_munmap_and_close(void **state) {
        struct scene scene = start(rig_here(state));

        *rig_word(scene.map, 10, 1) = 1000;
        assert_int_equal(*rig_word(scene.map, 11, 1), 11);
        assert_calls(&scene, "L10 L11");
        assert_int_equal(bf_close(scene.fileh), -EBUSY);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_states(scene.fileh, 10, "DL");
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        assert_calls(&scene, "S10");
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        assert_int_equal(*rig_word(scene.map, 10, 1), 1000);
        assert_int_equal(*rig_word(scene.map, 11, 1), 11);
        *rig_word(scene.map, 10, 1) = 2000;
        assert_calls(&scene, "");
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_calls(&scene, "");
        assert_int_equal(*opsfile_word(scene.file, 10 * RIG_PAGE + 8), 1000);
        assert_int_equal(opsfile_n_releases(scene.file), 1);
        rig_disconnect(scene.rig, scene.client);
        opsfile_free(scene.file);
}

/* Two mappings that overlap, over pages 100-103 and 101-105 */
static void test_overlapping_mappings(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *one = rig_map(scene.fileh, 100, 4), *two = rig_map(scene.fileh, 101, 5);

        assert_int_equal(*rig_word(one, 1, 0), 101);
        assert_access(one, "-R--");
        assert_int_equal(*rig_word(two, 0, 0), 101);
        assert_access(two, "R----");
        *rig_word(two, 1, 1) = 7;
        assert_access(two, "RW---");
        assert_int_equal(*rig_word(one, 2, 1), 7);
        assert_access(one, "-RW-");
        *rig_word(one, 1, 1) = 8;
        assert_int_equal(*rig_word(two, 0, 1), 8);
        assert_calls(&scene, "L101 L102");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_access(one, "-RR-");
        assert_access(two, "RR---");
        assert_calls(&scene, "S101 S102");
        assert_int_equal(bf_munmap(one), 0);
        assert_int_equal(bf_munmap(two), 0);
        finish(&scene);
}

/* rule 26: zeros behind the end whatever the program puts there, and zeros are what it gets */
static void test_tail(void **state) {
        struct scene scene = start_with(rig_here(state), 3 * RIG_PAGE + 16);

        assert_int_equal(*rig_word(scene.map, 3, 1), 3);
        assert_int_equal(*rig_word(scene.map, 3, 2), 0);
        assert_int_equal(*rig_word(scene.map, 3, 511), 0);
        *rig_word(scene.map, 3, 1) = 77;
        *rig_word(scene.map, 3, 2) = 78;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "L3 S3");
        assert_int_equal(*opsfile_word(scene.file, 3 * RIG_PAGE + 8), 77);
        assert_int_equal(*opsfile_word(scene.file, 3 * RIG_PAGE + 16), 0);
        finish(&scene);
}

/* What can be wrong with the arguments. */
static void test_arguments(void **state) {
        const struct bf_file_ops none = { .load = NULL }, reads = { .load = opsfile_ops.load };
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = 1000 };
        struct rig *rig = rig_here(state);
        struct opsfile *file = opsfile_new(RIG_PAGE, RIG_PAGE);
        struct bf_fileh *fileh;
        struct bf_client *client;
        void *map;

        rig_daemon(rig, NULL);
        client = rig_client(rig);
        assert_int_equal(bf_open_ops(client, NULL, file, RIG_PAGE, NULL, &fileh), -EINVAL);
        assert_int_equal(bf_open_ops(client, &none, file, RIG_PAGE, NULL, &fileh), -EINVAL);
        assert_int_equal(bf_open_ops(client, &reads, file, RIG_PAGE, &opts, &fileh), -EINVAL);
        opts.block_size = 0;
        opts.flags = BF_DIRECT;
        assert_int_equal(bf_open_ops(client, &reads, file, RIG_PAGE, &opts, &fileh), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "BF_DIRECT"));
        opts.flags = 0;
        opts.name = "";
        assert_int_equal(bf_open_ops(client, &reads, file, RIG_PAGE, &opts, &fileh), -EINVAL);
        setenv("BIGFILED_OPS_THREADS", "0", 1);
        assert_int_equal(bf_open_ops(client, &reads, file, RIG_PAGE, NULL, &fileh), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "BIGFILED_OPS_THREADS"));
        unsetenv("BIGFILED_OPS_THREADS");
        assert_int_equal(opsfile_n_releases(file), 0);
        assert_int_equal(bf_open_ops(client, &reads, file, RIG_PAGE, NULL, &fileh), 0);
        assert_int_equal(bf_resize(fileh, 2 * RIG_PAGE), -EOPNOTSUPP);
        assert_int_equal(bf_mmap(fileh, 0, RIG_PAGE, PROT_READ | PROT_WRITE, &map), 0);
        *(volatile uint64_t *) map = 1;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), -EROFS);
        assert_int_equal(bf_close(fileh), -EBUSY);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        rig_disconnect(rig, client);
        opsfile_free(file);
}

/* Who disconnects releases what is left. */
static void test_disconnect_releases(void **state) {
        struct scene scene = start(rig_here(state));

        *rig_word(scene.map, 3, 1) = 77;
        rig_disconnect(scene.rig, scene.client);
        assert_int_equal(opsfile_n_releases(scene.file), 1);
        assert_calls(&scene, "L3");
        opsfile_free(scene.file);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_open_and_map_call_nothing),
                RIG_TEST(test_touches_load_each_page_once),
                RIG_TEST(test_store),
                RIG_TEST(test_mark),
                RIG_TEST(test_store_fails),
                RIG_TEST(test_wild_results),
                RIG_TEST(test_load_fails),
                RIG_TEST(test_discard_and_invalidate),
                RIG_TEST(test_reclaim),
                RIG_TEST(test_order_of_use),
                RIG_TEST(test_munmap_and_close),
                RIG_TEST(test_overlapping_mappings),
                RIG_TEST(test_tail),
                RIG_TEST(test_arguments),
                RIG_TEST(test_disconnect_releases),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
