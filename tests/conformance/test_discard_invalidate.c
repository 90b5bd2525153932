/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dropping pages: rules 14, 15 (what is not about loads: test_loading.c); cases V2.12, V2.13, V2.18-V2.22, E8, E9. */

#include <errno.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

struct scene {
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
};

static struct scene start(struct rig *rig) {
        struct scene scene;

        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", 200);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        return scene;
}

static void change_file(const struct scene *scene, uint64_t page, uint64_t word) {
        assert_int_equal(tempfile_write(scene->path, page * RIG_PAGE, &word, sizeof(word)), 0);
}

/* rule 14, V2.12, V2.13: dirty pages go, everywhere; clean ones stay as they are; nothing is stored */
static void test_discard(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map = rig_map(scene.fileh, 100, 4), *other = rig_map(scene.fileh, 98, 10);

        *rig_word(map, 0, 0) = 1;
        *rig_word(map, 2, 0) = 2;
        assert_int_equal(*rig_word(map, 3, 0), 103);
        assert_int_equal(*rig_word(other, 4, 0), 2);
        *rig_word(other, 8, 0) = 3;
        assert_states(scene.fileh, 100, "DEDLEED");
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_states(scene.fileh, 100, "EEELEEE");
        assert_access(map, "---R");
        assert_access(other, "----------");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(rig_stat(scene.fileh).resident_bytes, RIG_PAGE);
        assert_int_equal(rig_stat(scene.fileh).stores, 0);
        assert_int_equal(*rig_word(map, 0, 0), 100);
        assert_int_equal(*rig_word(other, 4, 0), 102);
        assert_int_equal(*rig_word(other, 8, 0), 106);
        assert_int_equal(*rig_word(map, 3, 0), 103);
        assert_int_equal(rig_stat(scene.fileh).loads, 7);
}

/* rule 14: dirty through one mapping, seen clean through another before that */
static void test_discard_of_what_one_mapping_wrote(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *reader = rig_map(scene.fileh, 100, 4), *writer = rig_map(scene.fileh, 100, 4);

        assert_int_equal(*rig_word(reader, 1, 0), 101);
        assert_int_equal(*rig_word(reader, 2, 0), 102);
        *rig_word(writer, 1, 0) = 7;
        assert_int_equal(*rig_word(reader, 1, 0), 7);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_access(reader, "--R-");
        assert_access(writer, "----");
        assert_int_equal(*rig_word(reader, 1, 0), 101);
        assert_int_equal(*rig_word(writer, 1, 0), 101);
        assert_states(scene.fileh, 100, "ELLE");
}

/* rule 14: pages dirty and mapped nowhere; and nothing to discard */
static void test_discard_unmapped_and_nothing(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map;

        assert_int_equal(bf_discard(scene.fileh), 0);
        map = rig_map(scene.fileh, 100, 4);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(map, 1, 0), 101);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_access(map, "-R--");
        *rig_word(map, 2, 0) = 5;
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_states(scene.fileh, 100, "ELEE");
        assert_int_equal(*rig_word(rig_map(scene.fileh, 100, 4), 2, 0), 102);
}

/* rule 15, V2.18-V2.22: one page after another, each in another condition */
static void test_invalidate_in_each_state(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map = rig_map(scene.fileh, 100, 6);
        struct bf_stat before, after;

        *rig_word(map, 0, 0) = 1;                        /* 100: dirty, to be unmapped */
        assert_int_equal(*rig_word(map, 1, 0), 101);     /* 101: clean, to be unmapped */
        assert_int_equal(bf_munmap(map), 0);
        map = rig_map(scene.fileh, 100, 6);
        *rig_word(map, 2, 0) = 2;                        /* 102: dirty, mapped */
        assert_int_equal(*rig_word(map, 3, 0), 103);     /* 103: clean, mapped; 104: never touched */
        for (uint64_t page = 100; page < 105; page++)
                change_file(&scene, page, page + 500);

        before = rig_stat(scene.fileh);
        assert_int_equal(bf_invalidate(scene.fileh, 104 * RIG_PAGE, RIG_PAGE), 0);
        after = rig_stat(scene.fileh);
        assert_memory_equal(&before, &after, sizeof(before));
        assert_states(scene.fileh, 100, "DLDLE");
        assert_access(map, "--WR-");
        assert_int_equal(bf_invalidate(scene.fileh, 101 * RIG_PAGE, RIG_PAGE), 0);
        assert_states(scene.fileh, 100, "DEDLE");
        assert_int_equal(bf_invalidate(scene.fileh, 102 * RIG_PAGE, RIG_PAGE), 0);
        assert_states(scene.fileh, 100, "DEELE");
        assert_access(map, "---R-");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, RIG_PAGE);
        assert_int_equal(bf_invalidate(scene.fileh, 100 * RIG_PAGE, RIG_PAGE), 0);
        assert_states(scene.fileh, 100, "EEELE");
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_stat(scene.fileh).stores, 0);
        for (uint64_t page = 100; page < 105; page++)
                assert_int_equal(*rig_word(map, page - 100, 0), page == 103 ? 103 : page + 500);
}

struct span {
        uint64_t offset, length;
        const char *states; /* of pages 100 to 107, all LOADED before */
};

/* any byte of a page counts; the range may reach beyond the end */
static void test_invalidate_ranges(void **state) {
        static const struct span spans[] = {
                { 100 * RIG_PAGE, 0, "LLLLLLLL" },
                { 103 * RIG_PAGE + 1, 1, "LLLELLLL" },
                { 103 * RIG_PAGE + 4095, 1, "LLLELLLL" },
                { 103 * RIG_PAGE + 4095, 2, "LLLEELLL" },
                { 101 * RIG_PAGE, 3 * RIG_PAGE, "LEEELLLL" },
                { 0, 100 * RIG_PAGE, "LLLLLLLL" },
                { 0, 100 * RIG_PAGE + 1, "ELLLLLLL" },
                { 106 * RIG_PAGE, UINT64_MAX - 106 * RIG_PAGE, "LLLLLLEE" },
                { 105 * RIG_PAGE, UINT64_MAX, "LLLLLEEE" },
                { 0, UINT64_MAX, "EEEEEEEE" },
                { 200 * RIG_PAGE, RIG_PAGE, "LLLLLLLL" },
                { UINT64_C(1) << 50, RIG_PAGE, "LLLLLLLL" },
        };
        struct scene scene = start(rig_here(state));
        uint64_t *map = rig_map(scene.fileh, 100, 8);

        for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
                for (size_t page = 0; page < 8; page++)
                        assert_int_equal(*rig_word(map, page, 0), 100 + page);
                assert_states(scene.fileh, 100, "LLLLLLLL");
                assert_int_equal(bf_invalidate(scene.fileh, spans[i].offset, spans[i].length), 0);
                assert_states(scene.fileh, 100, spans[i].states);
        }
}

/* rule 15: what another program wrote to the file is seen from then on, and only then */
static void test_invalidate_shows_what_the_file_has(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map = rig_map(scene.fileh, 100, 4);

        for (uint64_t round = 1; round < 100; round++) {
                uint64_t was = *rig_word(map, 1, 0);

                change_file(&scene, 101, 7000 + round);
                assert_int_equal(*rig_word(map, 1, 0), was);
                assert_int_equal(bf_invalidate(scene.fileh, 101 * RIG_PAGE, RIG_PAGE), 0);
                assert_int_equal(*rig_word(map, 1, 0), 7000 + round);
        }
}

/* E8, E9: after a discard the whole pool can be filled again, as often as one likes, and never more than the pool */
static void test_room_after_discard(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t *map = rig_map(scene.fileh, 0, 200);
        size_t n = RIG_SMALL_PAGES - 8;

        for (uint64_t round = 0; round < 50; round++) {
                for (size_t i = 0; i < n; i++)
                        *rig_word(map, (round * 7 + i) % 200, 0) = 1;
                assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, n * RIG_PAGE);
                assert_true(rig_pool_stat(scene.client).resident_bytes <= rig_pool_stat(scene.client).pool_bytes);
                assert_int_equal(round % 2 ? bf_discard(scene.fileh) : bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, 0);
        }
        for (uint64_t page = 0; page < 200; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
}

struct writers {
        uint64_t *map;
        atomic_bool stop;
};

/* Writes to four pages without end. */
static void write_on(struct worker *worker) {
        struct writers *writers = worker->object;

        for (uint64_t i = 0; !atomic_load(&writers->stop); i++)
                *rig_word(writers->map, i % 4, worker->a) = i;
}

/* pages dropped under the hands of those who write them: nobody hangs, and at the end the file is what is seen */
static void test_drops_beside_writers(void **state) {
        static struct writers writers;
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct worker *workers[2];

        writers.map = rig_map(scene.fileh, 100, 4);
        for (uint64_t i = 0; i < 2; i++)
                workers[i] = rig_worker(rig, write_on, NULL, &writers, 1 + i, 0);
        for (uint64_t i = 0; i < 1000; i++)
                assert_int_equal(i % 2 ? bf_discard(scene.fileh) : bf_invalidate(scene.fileh, (100 + i % 5) * RIG_PAGE, RIG_PAGE), 0);
        atomic_store(&writers.stop, true);
        for (size_t i = 0; i < 2; i++)
                worker_join(workers[i]);
        assert_int_equal(bf_discard(scene.fileh), 0);
        for (uint64_t page = 0; page < 4; page++)
                for (size_t word = 0; word < 4; word++)
                        assert_int_equal(*rig_word(writers.map, page, word), 100 + page);
        assert_int_equal(rig_stat(scene.fileh).stores, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_discard),
                RIG_TEST(test_discard_of_what_one_mapping_wrote),
                RIG_TEST(test_discard_unmapped_and_nothing),
                RIG_TEST(test_invalidate_in_each_state),
                RIG_TEST(test_invalidate_ranges),
                RIG_TEST(test_invalidate_shows_what_the_file_has),
                RIG_TEST(test_room_after_discard),
                RIG_TEST(test_drops_beside_writers),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("discard and invalidate", tests, NULL, NULL);
}
