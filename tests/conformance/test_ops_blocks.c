/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Served files whose blocks are larger or smaller than the pages of those who have them open. */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "opsfile.h"
#include "rig.h"
#include "watchdog.h"

struct scene {
        struct rig *rig;
        struct opsfile *file;
        struct bf_client *server;
        struct bf_client *client;
        struct bf_fileh *fileh;
        char *map; /* of all */
        uint64_t page_size;
};

/* Served in such blocks, and opened by its name in such pages. */
static struct scene start(struct rig *rig, uint64_t size, uint64_t block_size, uint64_t page_size) {
        const struct bf_open_opts served = { .size = sizeof(served), .block_size = block_size, .name = "blocks" };
        const struct bf_open_opts opts = { .size = sizeof(opts), .block_size = page_size };
        struct scene scene = { .rig = rig, .file = opsfile_new(size, block_size) };
        struct bf_fileh *own;
        void *map;

        rig_daemon(rig, "--pool", "256M", NULL);
        scene.server = rig_client(rig);
        assert_int_equal(bf_open_ops(scene.server, &opsfile_ops, scene.file, size, &served, &own), 0);
        scene.client = rig_client(rig);
        assert_int_equal(bf_open(scene.client, "ops:blocks", O_RDWR, &opts, &scene.fileh), 0);
        scene.page_size = rig_stat(scene.fileh).block_size;
        assert_int_equal(bf_mmap(scene.fileh, 0, size, PROT_READ | PROT_WRITE, &map), 0);
        scene.map = map;
        return scene;
}

static void finish(struct scene *scene) {
        rig_disconnect(scene->rig, scene->client);
        rig_disconnect(scene->rig, scene->server);
        assert_int_equal(opsfile_n_releases(scene->file), 1);
        opsfile_free(scene->file);
}

static volatile uint64_t *word(const struct scene *scene, uint64_t offset) {
        return (volatile uint64_t *) (scene->map + offset);
}

static void assert_content(const struct scene *scene, uint64_t begin, uint64_t end) {
        for (uint64_t offset = begin; offset < end; offset += 512)
                assert_int_equal(*word(scene, offset), *opsfile_word(scene->file, offset));
}

#define assert_calls(scene, expected) assert_string_equal(opsfile_log((scene)->file), expected)

/* The states of the first pages, as of assert_states(). */
static void check_states(const struct scene *scene, const char *expected) {
        for (uint64_t i = 0; expected[i]; i++)
                assert_int_equal(bf_page_state(scene->fileh, i * scene->page_size), expected[i] == 'D' ? BF_PAGE_DIRTY : expected[i] == 'L' ? BF_PAGE_LOADED : BF_PAGE_EMPTY);
}

static void test_pages_of_many_blocks(void **state) {
        struct scene scene = start(rig_here(state), 1 << 20, 4096, 16384);

        assert_int_equal(*word(&scene, 5 * 4096), 5);
        assert_calls(&scene, "L4 L5 L6 L7");
        assert_content(&scene, 16384, 32768);
        *word(&scene, 5 * 4096) = 55;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "S4 S5 S6 S7");
        assert_int_equal(*opsfile_word(scene.file, 5 * 4096), 55);
        opsfile_fail(scene.file, OPSFILE_LOAD, 9, 1, -ENODATA);
        assert_int_equal(bf_load(scene.fileh, 0, 4 * 16384), -ENODATA);
        assert_calls(&scene, "L0 L1 L2 L3 L8 L9 L12 L13 L14 L15");
        check_states(&scene, "LLEL");
        *word(&scene, 0) = 1;
        *word(&scene, 16384) = 1;
        opsfile_fail(scene.file, OPSFILE_STORE, 6, 1, -ENOSPC);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -ENOSPC);
        assert_calls(&scene, "S0 S1 S2 S3 S4 S5 S6");
        check_states(&scene, "LD");
        finish(&scene);
}

static void test_small_blocks(void **state) {
        struct scene scene = start(rig_here(state), 3 * 4096 + 700, 512, 0);

        assert_int_equal(scene.page_size, 4096);
        assert_int_equal(*word(&scene, 4096 + 512), 1);
        assert_calls(&scene, "L8 L9 L10 L11 L12 L13 L14 L15");
        assert_int_equal(*word(&scene, 3 * 4096 + 696), *opsfile_word(scene.file, 3 * 4096 + 696));
        assert_int_equal(*word(&scene, 3 * 4096 + 704), 0);
        assert_calls(&scene, "L24 L25");
        *word(&scene, 3 * 4096 + 512) = 7;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "S24 S25");
        assert_int_equal(*opsfile_word(scene.file, 3 * 4096 + 512), 7);
        finish(&scene);
}

/* What is dirty of a block comes with one store, wherever it lies. */
static void test_scattered_pages(void **state) {
        struct scene scene = start(rig_here(state), 1 << 20, 65536, 4096);
        static const unsigned pages[] = { 1, 2, 5, 15, 16, 17, 40, 63, 80 };

        for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
                *word(&scene, pages[i] * 4096 + 8) = 1000 + pages[i];
        assert_calls(&scene, "L0 L1 L2 L3 L5");
        *opsfile_word(scene.file, 3 * 4096) = 33; /* somebody else's, meanwhile */
        opsfile_fail(scene.file, OPSFILE_STORE, 2, 1, -ENOSPC);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -ENOSPC);
        assert_calls(&scene, "L0 S0 L1 S1 L2 S2");
        assert_int_equal(rig_stat(scene.fileh).stores, 6);
        check_states(&scene, "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLDL");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "L2 S2 L3 S3 L5 S5");
        assert_int_equal(rig_stat(scene.fileh).stores, 9);
        for (unsigned page = 0; page < 96; page++) {
                bool is_written = false;

                for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
                        is_written |= pages[i] == page;
                assert_int_equal(*opsfile_word(scene.file, page * 4096 + 8), is_written ? 1000 + page : page);
        }
        assert_int_equal(*opsfile_word(scene.file, 3 * 4096), 33);
        finish(&scene);
}

/* All pages of a block come with one load, and go with one store if all are dirty; else the rest of the block is loaded for that. */
static void check_blocks_of_many_pages(struct scene *scene, uint64_t block_size) {
        uint64_t n = block_size / scene->page_size;

        assert_int_equal(*word(scene, block_size + scene->page_size), *opsfile_word(scene->file, block_size + scene->page_size));
        assert_calls(scene, "L1");
        assert_content(scene, block_size, 2 * block_size);
        assert_calls(scene, "");
        assert_int_equal(rig_stat(scene->fileh).loads, n);
        *word(scene, block_size + scene->page_size + 8) = 77;
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_calls(scene, "L1 S1");
        assert_int_equal(*opsfile_word(scene->file, block_size + scene->page_size + 8), 77);
        for (uint64_t i = 0; i < n; i++)
                *word(scene, 2 * block_size + i * scene->page_size) = 1000 + i;
        assert_calls(scene, "L2");
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        assert_calls(scene, "S2");
        for (uint64_t i = 0; i < n; i++)
                assert_int_equal(*opsfile_word(scene->file, 2 * block_size + i * scene->page_size), 1000 + i);
}

static void test_blocks_of_four_pages(void **state) {
        struct scene scene = start(rig_here(state), 1 << 20, 16384, 4096);

        check_blocks_of_many_pages(&scene, 16384);
        finish(&scene);
}

/* Not every block size is a power of two. */
static void test_blocks_of_three_pages(void **state) {
        struct scene scene = start(rig_here(state), 9 * 12288 + 5000, 12288, 0);

        assert_int_equal(scene.page_size, 4096);
        check_blocks_of_many_pages(&scene, 12288);
        assert_int_equal(*word(&scene, 9 * 12288 + 4096), 28);
        assert_int_equal(*word(&scene, 9 * 12288 + 5008), 0);
        assert_calls(&scene, "L9");
        *word(&scene, 9 * 12288 + 8) = 1;
        *word(&scene, 9 * 12288 + 4096 + 8) = 2;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_calls(&scene, "S9");
        assert_int_equal(*opsfile_word(scene.file, 9 * 12288 + 4096 + 8), 2);
        assert_int_equal(*opsfile_word(scene.file, 9 * 12288 + 5000), 0);
        finish(&scene);
}

/* Larger than a page can be. */
static void test_large_blocks(void **state) {
        struct scene scene = start(rig_here(state), UINT64_C(32) << 20, UINT64_C(8) << 20, 0);

        assert_int_equal(scene.page_size, 2 << 20);
        check_blocks_of_many_pages(&scene, UINT64_C(8) << 20);
        finish(&scene);
}

/* A block that cannot be loaded is asked for once, and none of its pages is there. */
static void test_a_large_block_fails(void **state) {
        struct scene scene = start(rig_here(state), 1 << 20, 16384, 4096);
        struct probe_hit hit;

        opsfile_fail(scene.file, OPSFILE_LOAD, 1, 1, -ENODATA);
        assert_int_equal(bf_load(scene.fileh, 0, 3 * 16384), -ENODATA);
        assert_calls(&scene, "L0 L1 L2");
        check_states(&scene, "LLLLEEEELLLL");
        opsfile_fail(scene.file, OPSFILE_LOAD, 1, 1, -ESTALE);
        assert_int_equal(probe_read((void *) word(&scene, 5 * 4096), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ESTALE);
        assert_calls(&scene, "L1");
        assert_int_equal(*word(&scene, 6 * 4096), 6);
        assert_calls(&scene, "L1");
        finish(&scene);
}

static void test_sizes_that_do_not_go_together(void **state) {
        struct scene scene = start(rig_here(state), 9 * 12288, 12288, 0);
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = 8192 };
        struct bf_fileh *fileh;

        assert_int_equal(bf_open(scene.client, "ops:blocks", O_RDWR, &opts, &fileh), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "multiple"));
        finish(&scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_pages_of_many_blocks),
                RIG_TEST(test_small_blocks),
                RIG_TEST(test_scattered_pages),
                RIG_TEST(test_blocks_of_four_pages),
                RIG_TEST(test_blocks_of_three_pages),
                RIG_TEST(test_large_blocks),
                RIG_TEST(test_a_large_block_fails),
                RIG_TEST(test_sizes_that_do_not_go_together),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("ops_blocks", tests, NULL, NULL);
}
