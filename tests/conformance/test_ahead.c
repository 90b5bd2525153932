/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading ahead: what is read of who touches pages in order, that it is shown before it is touched, and that it changes nothing but how long things take. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 2000

struct scene {
        struct rig *rig;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map;
};

static struct scene start_with(struct rig *rig, const char *pool, enum bf_advice advice) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", pool, NULL);
        scene.client = rig_client(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        assert_int_equal(bf_advise(scene.fileh, 0, 0, advice), 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static void read_page(const struct scene *scene, uint64_t page) {
        assert_int_equal(*rig_word(scene->map, page, 0), page);
}

static bool is_loaded(const struct scene *scene, uint64_t page) {
        return bf_page_state(scene->fileh, page * RIG_PAGE) == BF_PAGE_LOADED;
}

/* It is read in the background. */
static void wait_loaded(const struct scene *scene, uint64_t page) {
        while (!is_loaded(scene, page))
                sched_yield();
}

/* What the reader sees already is counted a moment later, if another thread of the daemon has copied it. */
static void wait_counted(const struct scene *scene) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                while (bf_page_state(scene->fileh, page * RIG_PAGE) == BF_PAGE_LOADING)
                        sched_yield();
}

static uint64_t n_faults(const struct scene *scene) {
        return rig_stat(scene->fileh).faults;
}

/* From the third page in a row on the next ones are there before they are touched, and touching them is no fault. */
static void test_forwards(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);
        uint64_t n;

        read_page(&scene, 100);
        read_page(&scene, 101);
        assert_int_equal(rig_stat(scene.fileh).loads, 2);
        read_page(&scene, 102);
        wait_loaded(&scene, 110);
        assert_access(rig_word(scene.map, 102, 0), "RRRRRRRRR-");
        assert_states(scene.fileh, 98, "EE");
        n = n_faults(&scene);
        for (uint64_t page = 103; page < 111; page++)
                read_page(&scene, page);
        assert_int_equal(n_faults(&scene), n);
        for (uint64_t page = 111; page < N_PAGES; page++)
                read_page(&scene, page);
        assert_in_range(n_faults(&scene), n, n + N_PAGES / 10);
        wait_counted(&scene);
        assert_int_equal(rig_stat(scene.fileh).loads, N_PAGES - 100);
}

/* Of a file that is never in RAM the traps are read with the others, but not shown before they are touched: a hundred that are loaded are shown but for a few. */
static void test_traps(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);
        struct bf_fileh *fileh = rig_open(scene.client, scene.path, O_RDWR, BF_DIRECT);
        const struct scene direct = { .client = scene.client, .fileh = fileh, .map = rig_map(fileh, 0, N_PAGES) };
        unsigned n_hidden = 0;

        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_NORMAL), 0);
        for (uint64_t page = 0; page < 200; page++)
                read_page(&direct, page);
        wait_loaded(&direct, 300);
        for (uint64_t page = 200; page < 300; page++)
                n_hidden += !probe_is_readable((void *) rig_word(direct.map, page, 0));
        assert_in_range(n_hidden, 1, 10);
        for (uint64_t page = 200; page < N_PAGES; page++)
                read_page(&direct, page);
        assert_in_range(n_faults(&direct), 1, 100);
        wait_counted(&direct);
        assert_int_equal(rig_stat(fileh).loads, N_PAGES);
}

struct stale_reader {
        uint64_t *map;
        atomic_uint_fast64_t at;
        atomic_uint_fast64_t rounds[N_PAGES]; /* of each page: the file had that word when it was invalidated last */
        atomic_bool is_over;
        uint64_t n_stale;
};

static void *read_on_and_on(void *arg) {
        struct stale_reader *reader = arg;

        while (!atomic_load(&reader->is_over))
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        uint64_t round = atomic_load(&reader->rounds[page]);

                        reader->n_stale += *(volatile uint64_t *) rig_word(reader->map, page, 0) >> 32 < round;
                        atomic_store(&reader->at, page);
                }
        return NULL;
}

/* What is on its way when the file changes does not outlive an invalidation, whoever copies it just then; nor does a reader that waits for it miss its end. */
static void test_stale(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_SEQUENTIAL);
        int fd = open(scene.path, O_RDWR | O_CLOEXEC);
        static struct stale_reader reader;
        pthread_t thread;

        assert_true(fd >= 0);
        memset(&reader, 0, sizeof(reader));
        reader.map = scene.map;
        assert_int_equal(pthread_create(&thread, NULL, read_on_and_on, &reader), 0);
        for (uint64_t round = 1; round <= 10000; round++) {
                uint64_t page = (atomic_load(&reader.at) + round % 80) % N_PAGES, word = round << 32 | page;

                assert_int_equal(pwrite(fd, &word, sizeof(word), (off_t) (page * RIG_PAGE)), sizeof(word));
                assert_int_equal(bf_invalidate(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
                atomic_store(&reader.rounds[page], round);
        }
        atomic_store(&reader.is_over, true);
        pthread_join(thread, NULL);
        assert_int_equal(reader.n_stale, 0);
        close(fd);
}

/* What is read ahead for one mapping is not put where another one shows less: below that lies another file. */
static void test_a_shorter_mapping(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);
        uint64_t *shorter = rig_map(scene.fileh, 1000, N_PAGES - 1000), *other, random = 1;
        struct bf_fileh *other_fileh = rig_open(scene.client, rig_identity(scene.rig, "other", N_PAGES), O_RDWR, 0);
        static struct stale_reader reader;
        pthread_t thread;

        assert_int_equal(bf_advise(other_fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        other = rig_map(other_fileh, 0, N_PAGES);
        memset(&reader, 0, sizeof(reader));
        reader.map = scene.map;
        assert_int_equal(pthread_create(&thread, NULL, read_on_and_on, &reader), 0);
        for (unsigned round = 0; round < 600; round++) {
                for (unsigned i = 0; i < 50; i++) {
                        uint64_t page;

                        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                        page = 1000 + (random >> 33) % (N_PAGES - 1000);
                        assert_int_equal(*rig_word(shorter, page - 1000, 0), page);
                }
                assert_int_equal(bf_invalidate(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
        }
        atomic_store(&reader.is_over, true);
        pthread_join(thread, NULL);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(other, page, 0), page);
}

/* A writer in order, of pages that are on their way: each of his words is there afterwards. */
static void test_write_behind(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);

        for (uint64_t round = 1; round <= 100; round++) {
                assert_int_equal(bf_discard(scene.fileh), 0);
                assert_int_equal(bf_invalidate(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        read_page(&scene, page);
                        if (page % (2 + round % 5) == 0)
                                *rig_word(scene.map, page, 1) = round;
                }
                wait_counted(&scene);
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        if (page % (2 + round % 5) == 0)
                                assert_int_equal(*rig_word(scene.map, page, 1), round);
                        assert_int_equal(bf_page_state(scene.fileh, page * RIG_PAGE), page % (2 + round % 5) == 0 ? BF_PAGE_DIRTY : BF_PAGE_LOADED);
                }
        }
}

static void test_turned_off(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_RANDOM);

        for (uint64_t page = 0; page < 100; page++)
                read_page(&scene, page);
        assert_int_equal(rig_stat(scene.fileh).loads, 100);
        assert_int_equal(n_faults(&scene), 100);
}

/* Who says that he reads in order is believed at once. */
static void test_eager(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_SEQUENTIAL);

        read_page(&scene, 500);
        wait_loaded(&scene, 515);
        assert_states(scene.fileh, 498, "EELL");
}

static void check_stride(const struct scene *scene, int64_t stride, uint64_t first) {
        struct bf_fileh *fileh = rig_open(scene->client, scene->path, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, N_PAGES);

        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_NORMAL), 0);
        for (uint64_t i = 0; i < 150; i++) {
                uint64_t page = first + i * (uint64_t) stride;

                assert_int_equal(*rig_word(map, page, 0), page);
        }
        assert_in_range(rig_stat(fileh).faults, 1, 60);
        assert_in_range(rig_stat(fileh).loads, 140, 150 + 512);
}

static void test_strides(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);

        check_stride(&scene, -1, 999);
        check_stride(&scene, 3, 100);
        check_stride(&scene, -5, 1900);
}

/* Two readers in one file, step by step. */
static void test_two_at_once(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);

        for (uint64_t page = 0; page < 900; page++) {
                read_page(&scene, page);
                read_page(&scene, 1000 + page);
        }
        assert_in_range(n_faults(&scene), 1, 300);
}

/* Not behind the end of the mapping, nor of the file; and pages that are there already, dirty ones above all, stay as they are. */
static void test_bounds(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);
        uint64_t *window = rig_map(scene.fileh, 50, 50);

        *rig_word(scene.map, 70, 0) = 7777;
        *rig_word(scene.map, 71, 1) = 7778;
        for (uint64_t page = 0; page < 20; page++)
                assert_int_equal(*rig_word(window, page, 0), 50 + page);
        for (uint64_t page = 22; page < 50; page++)
                assert_int_equal(*rig_word(window, page, 0), 50 + page);
        assert_int_equal(*rig_word(window, 20, 0), 7777);
        assert_int_equal(*rig_word(window, 21, 1), 7778);
        assert_states(scene.fileh, 69, "LDDL");
        assert_states(scene.fileh, 100, "EEEE");
        assert_int_equal(rig_stat(scene.fileh).loads, 50);
        for (uint64_t page = N_PAGES - 30; page < N_PAGES; page++)
                read_page(&scene, page);
        assert_int_equal(rig_stat(scene.fileh).loads, 80);
}

/* A thread that writes in order is read ahead of as well; only what it writes is dirty. */
static void test_writer(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);

        for (uint64_t page = 0; page < 500; page++) {
                assert_int_equal(*rig_word(scene.map, page, 1), page);
                *rig_word(scene.map, page, 1) = page + 1;
        }
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < 500; page++)
                assert_int_equal(*rig_word(scene.map, page, 1), page + 1);
        assert_int_equal(rig_stat(scene.fileh).stores, 500);
}

/* It is shown what the others read: no copy of it is made. */
static void test_reader_of_a_shared_file(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_fileh *writer, *reader;
        uint64_t *map, *view;
        void *memory;

        rig_daemon(rig, "--pool", "64M", NULL);
        writer = rig_open(rig_client(rig), path, O_RDWR, BF_SHARED);
        map = rig_map(writer, 0, N_PAGES);
        reader = rig_open(rig_client(rig), path, O_RDONLY, BF_SHARED);
        assert_int_equal(bf_advise(reader, 0, 0, BF_ADVICE_NORMAL), 0);
        assert_int_equal(bf_mmap(reader, 0, N_PAGES * RIG_PAGE, PROT_READ, &memory), 0);
        view = memory;
        for (uint64_t page = 0; page < 600; page++)
                assert_int_equal(*rig_word(view, page, 0), page);
        assert_in_range(rig_stat(reader).faults, 1, 100);
        *rig_word(map, 300, 0) = 42;
        assert_int_equal(*rig_word(view, 300, 0), 42);
}

/* What is in RAM is shown to a second mapping many pages at a time; dirty ones writable, clean ones not. */
static void test_a_second_mapping(void **state) {
        struct scene scene = start_with(rig_here(state), "64M", BF_ADVICE_NORMAL);
        uint64_t *other, n;

        for (uint64_t page = 0; page < 320; page++)
                read_page(&scene, page);
        *rig_word(scene.map, 20, 1) = 1;
        *rig_word(scene.map, 21, 1) = 1;
        other = rig_map(scene.fileh, 0, 320);
        n = n_faults(&scene);
        assert_int_equal(*rig_word(other, 17, 0), 17);
        assert_access(rig_word(other, 15, 0), "-RRRR--");
        assert_int_equal(*rig_word(other, 20, 1), 1);
        assert_access(rig_word(other, 18, 0), "RRWW-");
        for (uint64_t page = 0; page < 320; page++)
                assert_int_equal(*rig_word(other, page, 0), page);
        assert_in_range(n_faults(&scene), n + 320 / 16, n + 320 / 16 + 4);
        assert_states(scene.fileh, 19, "LDDL");
        assert_int_equal(bf_advise(scene.fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        other = rig_map(scene.fileh, 0, 320);
        assert_int_equal(*rig_word(other, 17, 0), 17);
        assert_access(rig_word(other, 16, 0), "-R-");
}

/* However much is read, the pool is not passed, and who comes back finds the right content. */
static void test_small_pool(void **state) {
        struct scene scene = start_with(rig_here(state), "1M", BF_ADVICE_SEQUENTIAL);

        for (unsigned round = 0; round < 5; round++)
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        read_page(&scene, page);
                        if (page % 100 == 0)
                                assert_in_range(rig_pool_stat(scene.client).resident_bytes, 1, 1 << 20);
                }
        assert_in_range(n_faults(&scene), 1, 5 * N_PAGES / 2);
}

/* --- of a slow file ------------------------------------------------------------------------------------------------------------------------------ */

struct slow {
        struct heldfs *heldfs;
        struct bf_fileh *fileh;
        uint64_t *map;
};

static struct slow start_slow(struct rig *rig, enum bf_advice advice) {
        struct slow slow;

        rig_daemon(rig, "--pool", "64M", NULL);
        slow.heldfs = rig_heldfs(rig, 1000);
        slow.fileh = rig_open(rig_client(rig), heldfs_path(slow.heldfs), O_RDWR, 0);
        assert_int_equal(bf_advise(slow.fileh, 0, 0, advice), 0);
        slow.map = rig_map(slow.fileh, 0, 1000);
        return slow;
}

/* Several reads are under way ahead of the reader, and it waits for its own alone. */
static void test_reads_side_by_side(void **state) {
        struct rig *rig = rig_here(state);
        struct slow slow = start_slow(rig, BF_ADVICE_SEQUENTIAL);

        for (uint64_t page = 0; page < 40; page++)
                assert_int_equal(*rig_word(slow.map, page, 0), page);
        heldfs_wait_idle(slow.heldfs);
        heldfs_hold(slow.heldfs, HELDFS_READ, HELDFS_ANY, HELDFS_ALWAYS);
        for (uint64_t page = 40; bf_page_state(slow.fileh, page * RIG_PAGE) == BF_PAGE_LOADED; page++)
                assert_int_equal(*rig_word(slow.map, page, 0), page); /* up to the trap, or what was not read ahead */
        heldfs_clear(slow.heldfs);
        for (uint64_t page = 0; page < 1000; page++)
                assert_int_equal(*rig_word(slow.map, page, 0), page);
}

/* A block ahead that cannot be read is nobody's error until it is touched, and by then it may be readable. */
static void test_a_block_that_fails(void **state) {
        struct rig *rig = rig_here(state);
        struct slow slow = start_slow(rig, BF_ADVICE_SEQUENTIAL);
        struct probe_hit hit;

        heldfs_fail(slow.heldfs, HELDFS_READ, 90, 0, HELDFS_ALWAYS, EIO);
        for (uint64_t page = 0; page < 1000; page++)
                if (page != 90)
                        assert_int_equal(*rig_word(slow.map, page, 0), page);
        assert_states(slow.fileh, 89, "LEL");
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(slow.map, 90, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, EIO);
        heldfs_clear(slow.heldfs);
        assert_int_equal(bf_invalidate(slow.fileh, 90 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(slow.map, 90, 0), 90);
}

/* The mapping goes while reads ahead of it are under way; then the handle. */
static void test_munmap_meanwhile(void **state) {
        struct rig *rig = rig_here(state);
        struct slow slow = start_slow(rig, BF_ADVICE_SEQUENTIAL);

        heldfs_hold(slow.heldfs, HELDFS_READ, 17, HELDFS_ALWAYS);
        assert_int_equal(*rig_word(slow.map, 16, 0), 16);
        heldfs_wait(slow.heldfs, HELDFS_READ, 17, 1);
        assert_int_equal(bf_munmap(slow.map), 0);
        slow.map = rig_map(slow.fileh, 0, 1000);
        heldfs_clear(slow.heldfs);
        for (uint64_t page = 0; page < 1000; page++)
                assert_int_equal(*rig_word(slow.map, page, 0), page);
        assert_int_equal(bf_munmap(slow.map), 0);
        assert_int_equal(bf_close(slow.fileh), 0);
        slow.fileh = rig_open(rig->clients[0], heldfs_path(slow.heldfs), O_RDWR, 0); /* of which nothing is read ahead */
        assert_int_equal(bf_advise(slow.fileh, 0, 0, BF_ADVICE_SEQUENTIAL), 0);
        slow.map = rig_map(slow.fileh, 0, 1000);
        heldfs_hold(slow.heldfs, HELDFS_READ, 501, HELDFS_ALWAYS);
        assert_int_equal(*rig_word(slow.map, 500, 0), 500);
        heldfs_wait(slow.heldfs, HELDFS_READ, 501, 1);
        assert_int_equal(bf_munmap(slow.map), 0);
        assert_int_equal(bf_close(slow.fileh), 0);
        heldfs_clear(slow.heldfs);
        rig_wait_resident(rig->clients[0], 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_forwards),
                RIG_TEST(test_traps),
                RIG_TEST(test_stale),
                RIG_TEST(test_a_shorter_mapping),
                RIG_TEST(test_write_behind),
                RIG_TEST(test_turned_off),
                RIG_TEST(test_eager),
                RIG_TEST(test_strides),
                RIG_TEST(test_two_at_once),
                RIG_TEST(test_bounds),
                RIG_TEST(test_writer),
                RIG_TEST(test_reader_of_a_shared_file),
                RIG_TEST(test_a_second_mapping),
                RIG_TEST(test_small_pool),
                RIG_TEST(test_reads_side_by_side),
                RIG_TEST(test_a_block_that_fails),
                RIG_TEST(test_munmap_meanwhile),
        };

        return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
