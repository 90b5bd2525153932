/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Changes larger than the pool: they are spilled, come back, are stored and dropped like all others, and a disk that fails loses none. (Rule 22.) */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 300 /* the pool has 64 */

struct scene {
        struct rig *rig;
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t *map; /* of all pages */
};

static struct scene open_scene(struct rig *rig) {
        struct scene scene = { .rig = rig, .client = rig_client(rig), .path = rig_identity(rig, "data", N_PAGES) };

        scene.fileh = rig_open(scene.client, scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        return scene;
}

static struct scene start(struct rig *rig) {
        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, NULL);
        return open_scene(rig);
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

static void dirty(const struct scene *scene, uint64_t first, uint64_t n, uint64_t value) {
        for (uint64_t page = first; page < first + n; page++)
                *rig_word(scene->map, page, 0) = page + value;
}

static void check_memory(const struct scene *scene, uint64_t first, uint64_t n, uint64_t value) {
        for (uint64_t page = first; page < first + n; page++) {
                assert_int_equal(*rig_word(scene->map, page, 0), page + value);
                assert_int_equal(*rig_word(scene->map, page, 511), page);
        }
}

static void check_file(const struct scene *scene, uint64_t first, uint64_t n, uint64_t value) {
        for (uint64_t page = first; page < first + n; page++)
                assert_int_equal(rig_file_word(scene->path, page), page + value);
}

static struct bf_spill_stat spill_stat(struct bf_client *client) {
        struct bf_spill_stat stat;

        assert_int_equal(bf_spill_stat(client, &stat), 0);
        return stat;
}

/* Room on the disk is given back in the background. */
static void wait_nothing_spilled(struct bf_client *client) {
        while (spill_stat(client).spilled_bytes > 0 || spill_stat(client).file_bytes > 0)
                sched_yield();
}

/* The pages that are in one of these states, each looked at once: spilling goes on. */
static uint64_t count_states(const struct scene *scene, enum bf_page_state one, enum bf_page_state other) {
        uint64_t n = 0;

        for (uint64_t page = 0; page < N_PAGES; page++) {
                int state = bf_page_state(scene->fileh, page * RIG_PAGE);

                n += state == (int) one || state == (int) other;
        }
        return n;
}

/* A page that is spilled. */
static uint64_t find_spilled(const struct scene *scene) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                if (bf_page_state(scene->fileh, page * RIG_PAGE) == BF_PAGE_SPILLED)
                        return page;
        fail_msg("no page is spilled");
        return 0;
}

/* --- what becomes of spilled pages --------------------------------------------------------------------------------------------------------------- */

static void test_oldest_go_and_come_back(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_spill_stat spill;

        dirty(&scene, 0, N_PAGES, 1000);
        rig_wait_spilled(scene.fileh, 0, 8);
        assert_states(scene.fileh, N_PAGES - 4, "DDDD");
        assert_int_equal(count_states(&scene, BF_PAGE_SPILLED, BF_PAGE_DIRTY), N_PAGES);
        spill = spill_stat(scene.client);
        assert_in_range(spill.spilled_bytes, (N_PAGES - RIG_SMALL_PAGES) * RIG_PAGE, N_PAGES * RIG_PAGE);
        assert_true(spill.file_bytes >= spill.spilled_bytes);
        assert_true(spill.limit_bytes > 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
        assert_int_equal(rig_pool_stat(scene.client).dirty_bytes, N_PAGES * RIG_PAGE);
        assert_in_range(rig_pool_stat(scene.client).resident_bytes, 1, RIG_SMALL_PAGES * RIG_PAGE);
        assert_access(rig_word(scene.map, 0, 0), "-");

        assert_int_equal(*rig_word(scene.map, 0, 0), 1000); /* by a read: dirty, and writable without a further fault */
        *rig_word(scene.map, 1, 1) = 5;
        assert_states(scene.fileh, 0, "DDP");
        assert_access(rig_word(scene.map, 0, 0), "WW-");
        check_memory(&scene, 0, N_PAGES, 1000);
        assert_int_equal(*rig_word(scene.map, 1, 1), 5);
        assert_true(spill_stat(scene.client).unspills >= N_PAGES - RIG_SMALL_PAGES);
        assert_int_equal(rig_stat(scene.fileh).loads, N_PAGES); /* each came from the file once */
        check_file(&scene, 0, N_PAGES, 0);
}

static void test_writeout(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 0, N_PAGES, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, N_PAGES, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(rig_stat(scene.fileh).stores, N_PAGES);
        assert_states(scene.fileh, 0, "EEEE");
        assert_states(scene.fileh, N_PAGES - 4, "LLLL");
        wait_nothing_spilled(scene.client);
        check_memory(&scene, 0, N_PAGES, 1000);
        dirty(&scene, 100, 150, 2000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        check_file(&scene, 100, 150, 2000);
        check_file(&scene, 250, 50, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
}

/* Two phases: after STORE all is dirty as before, and can be discarded or marked. */
static void test_store_and_mark_apart(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t n_spilled;

        dirty(&scene, 0, N_PAGES, 1000);
        n_spilled = count_states(&scene, BF_PAGE_SPILLED, BF_PAGE_SPILLED);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        check_file(&scene, 0, N_PAGES, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
        assert_in_range(count_states(&scene, BF_PAGE_SPILLED, BF_PAGE_SPILLED), n_spilled, N_PAGES); /* some may have been on their way */
        dirty(&scene, 0, 10, 3000);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0);
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_MARKSTORED), 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(count_states(&scene, BF_PAGE_EMPTY, BF_PAGE_LOADED), N_PAGES);
        check_file(&scene, 0, 10, 3000);
        check_memory(&scene, 0, 10, 3000);
        check_memory(&scene, 10, N_PAGES - 10, 1000);
}

static void test_discard(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 0, N_PAGES, 1000);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, 0);
        assert_int_equal(count_states(&scene, BF_PAGE_EMPTY, BF_PAGE_EMPTY), N_PAGES);
        wait_nothing_spilled(scene.client);
        check_memory(&scene, 0, N_PAGES, 0);
        check_file(&scene, 0, N_PAGES, 0);
}

/* Pages that are on their way to the disk, or from there to the file, when they are dropped leave room to be given back, too, however soon that was. */
static void test_discard_on_the_way(void **state) {
        struct scene scene = start(rig_here(state));

        for (uint64_t n = RIG_SMALL_PAGES; n <= N_PAGES; n += 2) {
                dirty(&scene, 0, n, 1000);
                assert_int_equal(bf_discard(scene.fileh), 0);
                wait_nothing_spilled(scene.client);
        }
        check_memory(&scene, 0, N_PAGES, 0);
}

static void test_invalidate(void **state) {
        struct scene scene = start(rig_here(state));

        dirty(&scene, 0, N_PAGES, 1000);
        rig_wait_spilled(scene.fileh, 0, 8);
        assert_int_equal(bf_invalidate(scene.fileh, 2 * RIG_PAGE, 5 * RIG_PAGE), 0);
        assert_states(scene.fileh, 1, "PEEEEEP");
        assert_int_equal(bf_advise(scene.fileh, 0, 10 * RIG_PAGE, BF_ADVICE_DONTNEED), 0);
        assert_states(scene.fileh, 1, "PEEEEEP");
        check_memory(&scene, 0, 2, 1000);
        check_memory(&scene, 2, 5, 0);
        check_memory(&scene, 7, N_PAGES - 7, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, (N_PAGES - 5) * RIG_PAGE);
}

/* bf_load brings pages back, several at a time; reclaim finds nothing of them to drop. */
static void test_load(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t n;

        dirty(&scene, 0, N_PAGES, 1000);
        assert_int_equal(bf_load(scene.fileh, 0, 8 * RIG_PAGE), 0);
        assert_states(scene.fileh, 0, "DDDDDDDD");
        assert_int_equal(bf_pool_reclaim(scene.client, 0, &n), 0);
        assert_states(scene.fileh, 0, "DDDDDDDD");
        assert_int_equal(bf_load(scene.fileh, 0, N_PAGES * RIG_PAGE), 0);
        check_memory(&scene, 0, N_PAGES, 1000);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_PAGES * RIG_PAGE);
}

/* What is closed is gone, from RAM and from the disk; others keep theirs. */
static void test_close(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        const char *path = rig_identity(rig, "other", N_PAGES);
        struct bf_client *other = rig_client(rig);
        struct bf_fileh *fileh = rig_open(other, path, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, N_PAGES);

        dirty(&scene, 0, N_PAGES, 1000);
        for (uint64_t page = 0; page < N_PAGES; page++)
                *rig_word(map, page, 0) = 7 * page;
        rig_disconnect(rig, scene.client);
        while (rig_pool_stat(other).dirty_bytes != N_PAGES * RIG_PAGE)
                sched_yield();
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), 7 * page);
        assert_int_equal(rig_file_word(scene.path, 3), 3);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        wait_nothing_spilled(other);
}

/* The last block of a file that grows: zeros are behind what was its end, though a program wrote there and the page was spilled. */
static void test_tail_of_a_file_that_grows(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        const char *path = rig_path(rig, "short");
        struct bf_fileh *fileh;
        uint64_t *map, *longer;

        assert_int_equal(tempfile_make_sparse(path, 5000), 0);
        fileh = rig_open(scene.client, path, O_RDWR, 0);
        map = rig_map(fileh, 0, 2);
        *rig_word(map, 1, 0) = 11;
        *rig_word(map, 1, 300) = 12; /* behind the end */
        while (bf_page_state(fileh, RIG_PAGE) != BF_PAGE_SPILLED)
                dirty(&scene, 0, N_PAGES, 1000); /* another pager's pages: whose go first depends on which of the two threads runs */
        assert_int_equal(bf_resize(fileh, 4 * RIG_PAGE), 0);
        assert_states(fileh, 1, "P");
        longer = rig_map(fileh, 0, 4);
        assert_int_equal(*rig_word(longer, 1, 0), 11);
        assert_int_equal(*rig_word(longer, 1, 300), 0);
}

static void check_block_size(struct rig *rig, uint64_t block_size, const char *pool) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = block_size };
        const uint64_t n_words = block_size / sizeof(uint64_t), n = 24;
        const char *path = rig_path(rig, "blocks");
        struct bf_fileh *fileh;
        uint64_t *map, word;

        rig_daemon(rig, "--pool", pool, "--spill-dir", rig->dir, NULL);
        assert_int_equal(tempfile_make_identity(path, n, block_size), 0);
        assert_int_equal(bf_open(rig_client(rig), path, O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, n * block_size, PROT_READ | PROT_WRITE, (void **) &map), 0);
        for (uint64_t i = 0; i < n; i++)
                map[i * n_words + 17] = 100 * i;
        assert_int_equal(bf_page_state(fileh, 0), BF_PAGE_SPILLED);
        for (uint64_t i = 0; i < n; i++) {
                assert_int_equal(map[i * n_words + 17], 100 * i);
                assert_int_equal(map[i * n_words + n_words - 1], i);
        }
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        for (uint64_t i = 0; i < n; i++) {
                assert_int_equal(tempfile_read(path, i * block_size + 17 * 8, &word, sizeof(word)), 0);
                assert_int_equal(word, 100 * i);
        }
}

static void test_blocks_of_64K(void **state) {
        check_block_size(rig_here(state), 65536, "512K");
}

static void test_blocks_of_2M(void **state) {
        check_block_size(rig_here(state), UINT64_C(2) << 20, "8M");
}

/* --- more than one ------------------------------------------------------------------------------------------------------------------------------- */

/* Two users of one shared fileh see each other's changes, spilled or not. */
static void test_shared(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct bf_fileh *filehs[2];
        uint64_t *maps[2];

        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, NULL);
        for (unsigned i = 0; i < 2; i++) {
                filehs[i] = rig_open(rig_client(rig), path, O_RDWR, BF_SHARED);
                maps[i] = rig_map(filehs[i], 0, N_PAGES);
        }
        for (uint64_t page = 0; page < N_PAGES; page++) {
                *rig_word(maps[page % 2], page, 0) = page + 1000;
                *rig_word(maps[(page + 1) % 2], page, 1) = page + 2000;
        }
        for (uint64_t page = 0; page < N_PAGES; page++) {
                assert_int_equal(*rig_word(maps[(page + 1) % 2], page, 0), page + 1000);
                assert_int_equal(*rig_word(maps[page % 2], page, 1), page + 2000);
        }
        assert_int_equal(bf_writeout(filehs[1], RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(path, page), page + 1000);
}

#define N_THREADS 4

static atomic_bool threads_stop;

/* Adds one to words of pages of its own, in no order, and checks what it finds; .a: its number. Written out and spilled at any moment meanwhile. */
static void count_up(struct worker *worker) {
        uint32_t counts[N_PAGES] = { 0 };
        uint64_t random = 88172645463325252 + worker->a;

        worker->result = 0;
        while (!atomic_load(&threads_stop)) {
                uint64_t page;

                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                page = random % (N_PAGES / N_THREADS) * N_THREADS + worker->a;
                if (*rig_word(worker->at, page, 3) != page + counts[page])
                        worker->result = -1;
                *rig_word(worker->at, page, 3) = page + ++counts[page];
        }
        for (uint64_t page = worker->a; page < N_PAGES; page += N_THREADS)
                if (*rig_word(worker->at, page, 3) != page + counts[page])
                        worker->result = -1;
}

static void test_writeouts_under_writers(void **state) {
        struct scene scene = start(rig_here(state));
        struct worker *workers[N_THREADS];

        atomic_store(&threads_stop, false);
        for (unsigned i = 0; i < N_THREADS; i++)
                workers[i] = rig_worker(scene.rig, count_up, scene.map, NULL, i, 0);
        for (unsigned i = 0; i < 50 || spill_stat(scene.client).unspills < 2000; i++)
                assert_int_equal(bf_writeout(scene.fileh, i % 8 ? BF_WRITEOUT_STORE : RIG_STORE_MARK), 0);
        atomic_store(&threads_stop, true);
        for (unsigned i = 0; i < N_THREADS; i++) {
                worker_join(workers[i]);
                assert_int_equal(workers[i]->result, 0);
        }
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                uint64_t word;

                assert_int_equal(tempfile_read(scene.path, page * RIG_PAGE + 24, &word, sizeof(word)), 0);
                assert_int_equal(*rig_word(scene.map, page, 3), word);
        }
}

/* --- no room ------------------------------------------------------------------------------------------------------------------------------------- */

/* All that can be dirty is; the next touch fails after the time limit; nothing else is lost, and with room made it goes on. */
static void check_no_more(const struct scene *scene, uint64_t n_dirty) {
        struct probe_hit hit;

        assert_int_equal(probe_write(at(scene, N_PAGES - 1), 1, &hit), SIGBUS);
        assert_int_equal(hit.error, ENOMEM);
        check_memory(scene, n_dirty - 1, 1, 1000);
        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), 0);
        check_file(scene, 0, n_dirty, 1000);
        check_file(scene, n_dirty, N_PAGES - n_dirty, 0);
        check_memory(scene, 0, n_dirty, 1000);
        assert_int_equal(bf_invalidate(scene->fileh, (N_PAGES - 1) * RIG_PAGE, RIG_PAGE), 0);
        *rig_word(scene->map, N_PAGES - 1, 0) = 5;
}

/* Dirties pages until one fails; how many went well. */
static uint64_t dirty_until_full(const struct scene *scene) {
        struct probe_hit hit;

        for (uint64_t page = 0; page < N_PAGES; page++)
                if (probe_write(at(scene, page), page + 1000, &hit) != 0) {
                        assert_int_equal(hit.error, ENOMEM);
                        assert_int_equal(bf_invalidate(scene->fileh, page * RIG_PAGE, RIG_PAGE), 0);
                        return page;
                }
        fail_msg("there was room for everything");
        return 0;
}

static void test_limit(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene;
        uint64_t n;

        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, "--spill-size", "256K", "--room-timeout", "2", NULL);
        scene = open_scene(rig);
        n = dirty_until_full(&scene);
        assert_in_range(n, RIG_SMALL_PAGES + 1, 2 * RIG_SMALL_PAGES + 2);
        assert_in_range(spill_stat(scene.client).file_bytes, 1, 256 << 10);
        check_no_more(&scene, n);
        assert_int_equal(bf_discard(scene.fileh), 0);
        wait_nothing_spilled(scene.client);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, "--spill-size", "256K", "--room-timeout", "100", NULL);
        for (uint64_t i = 0; i < 6; i++) { /* and so it does again and again: no place is used up for ever */
                dirty(&scene, i * 7, 100, 1000 + i);
                check_memory(&scene, i * 7, 100, 1000 + i);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        }
        check_file(&scene, 5 * 7, 100, 1005);
}

/* Writes .a pages, one after the other. */
static void write_pages(struct worker *worker) {
        for (uint64_t page = 0; page < worker->a; page++)
                *rig_word(worker->at, page, 0) = page + 1000;
}

/* Who waits for room gets it when others make some: more is written than pool and disk take together. */
static void test_waiting_for_a_writeout(void **state) {
        struct rig *rig = rig_here(state);
        struct worker *writer;
        struct scene scene;

        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", rig->dir, "--spill-size", "64K", "--room-timeout", "100", NULL);
        scene = open_scene(rig);
        writer = rig_worker(rig, write_pages, scene.map, NULL, RIG_SMALL_PAGES + 16 + 50, 0);
        while (rig_stat(scene.fileh).dirty_bytes < (RIG_SMALL_PAGES + 8) * RIG_PAGE)
                sched_yield();
        while (!worker_is_done(writer))
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        worker_join(writer);
        check_memory(&scene, 0, RIG_SMALL_PAGES + 16 + 50, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, RIG_SMALL_PAGES + 16 + 50, 1000);
}

/* Without a folder, or in one whose file system has no files without a name, the pool is all there is. */
static void check_without(struct rig *rig, const char *dir) {
        struct scene scene;

        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", dir, "--room-timeout", "0.2", NULL);
        scene = open_scene(rig);
        assert_int_equal(dirty_until_full(&scene), RIG_SMALL_PAGES);
        assert_int_equal(spill_stat(scene.client).spills, 0);
        check_no_more(&scene, RIG_SMALL_PAGES);
}

static void test_turned_off(void **state) {
        check_without(rig_here(state), "none");
}

static void test_no_folder(void **state) {
        check_without(rig_here(state), "/nonexistent");
}

static void test_unfit_folder(void **state) {
        check_without(rig_here(state), "/proc");
}

/* --- a disk that fails --------------------------------------------------------------------------------------------------------------------------- */

/* For this process and its daemon alone: gone with them. */
static void mount_small_disk(struct rig *rig, char *ret_path, size_t size) {
        snprintf(ret_path, size, "%s/disk", rig->dir);
        assert_int_equal(mkdir(ret_path, 0700), 0);
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", ret_path, "tmpfs", 0, "size=256k") < 0) {
                print_message("skipped: this process may not mount\n");
                skip();
        }
}

/* The disk is full: what it does not take stays in RAM, and goes there when the disk has room again. Of the disk's 64 pages another has 32 at first. */
static void test_full_disk(void **state) {
        struct rig *rig = rig_here(state);
        char disk[96], filler[112];
        struct worker *writer;
        struct scene scene;

        mount_small_disk(rig, disk, sizeof(disk));
        snprintf(filler, sizeof(filler), "%s/filler", disk);
        assert_int_equal(tempfile_make_identity(filler, 32, RIG_PAGE), 0);
        rig_daemon(rig, RIG_SMALL_POOL, "--spill-dir", disk, "--spill-size", "10M", "--room-timeout", "100", NULL);
        scene = open_scene(rig);
        writer = rig_worker(rig, write_pages, scene.map, NULL, RIG_SMALL_PAGES + 32 + 20, 0);
        while (rig_stat(scene.fileh).dirty_bytes < (RIG_SMALL_PAGES + 16) * RIG_PAGE)
                sched_yield();
        assert_int_equal(bf_writeout(scene.fileh, BF_WRITEOUT_STORE), 0); /* nothing is lost, whatever the disk says */
        check_file(&scene, 0, RIG_SMALL_PAGES, 1000);
        assert_int_equal(unlink(filler), 0);
        worker_join(writer);
        check_memory(&scene, 0, RIG_SMALL_PAGES + 32 + 20, 1000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        check_file(&scene, 0, RIG_SMALL_PAGES + 32 + 20, 1000);
}

/* The daemon's spill file: the one descriptor of a file without a name in that folder. */
static int open_spill_file(const struct rig *rig) {
        char path[128], target[256], expected[128];
        struct dirent *entry;
        int found = -1;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", rig->daemon.pid);
        snprintf(expected, sizeof(expected), "%s/#", rig->dir);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                char link[400];
                ssize_t n;

                snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
                n = readlink(link, target, sizeof(target) - 1);
                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (strncmp(target, expected, strlen(expected)) == 0)
                        found = open(link, O_RDWR | O_CLOEXEC);
        }
        closedir(dir);
        assert_true(found >= 0);
        return found;
}

/* Nothing is on its way to the spill file, and nothing needs to be, as there is room in the pool: of the last pages, which alone are in RAM, who loads one waits for
 * that. */
static void settle(const struct scene *scene) {
        const uint64_t first = (N_PAGES - RIG_SMALL_PAGES) * RIG_PAGE, length = RIG_SMALL_PAGES * RIG_PAGE;

        assert_int_equal(bf_invalidate(scene->fileh, first, length), 0);
        assert_int_equal(bf_load(scene->fileh, first, length / 2), 0);
        assert_int_equal(bf_load(scene->fileh, first + length / 2, length / 2), 0);
        assert_int_equal(bf_invalidate(scene->fileh, first, length), 0);
}

/* A page that cannot be brought back: SIGBUS, but its change is not lost. When the disk is well again, bf_load() brings it, and no poison is left. */
static void test_page_that_does_not_come_back(void **state) {
        struct scene scene = start(rig_here(state));
        uint64_t page, content[512];
        struct probe_hit hit;
        struct stat st;
        int fd;

        dirty(&scene, 0, N_PAGES, 1000);
        settle(&scene);
        page = find_spilled(&scene);
        fd = open_spill_file(scene.rig);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(pread(fd, content, sizeof(content), (off_t) (page * RIG_PAGE)), sizeof(content));
        assert_int_equal(content[0], page + 1000);
        assert_int_equal(ftruncate(fd, (off_t) (page * RIG_PAGE)), 0); /* it can be read no more, and all behind it */

        assert_int_equal(probe_read(at(&scene, page), NULL, &hit), SIGBUS);
        assert_int_equal(hit.known, 0);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(probe_write(at(&scene, page), 1, &hit), SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_load(scene.fileh, page * RIG_PAGE, RIG_PAGE), -EIO);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), -EIO);
        assert_states(scene.fileh, page, "P");
        check_file(&scene, page, 1, 0);

        assert_int_equal(pwrite(fd, content, sizeof(content), (off_t) (page * RIG_PAGE)), sizeof(content));
        close(fd);
        assert_int_equal(bf_load(scene.fileh, page * RIG_PAGE, RIG_PAGE), 0);
        assert_states(scene.fileh, page, "D");
        assert_int_equal(probe_read(at(&scene, page), NULL, &hit), 0);
        assert_int_equal(*rig_word(scene.map, page, 0), page + 1000);
        *rig_word(scene.map, page, 1) = 3;
}

/* --- much of it ---------------------------------------------------------------------------------------------------------------------------------- */

/* Sixteen times the pool. BF_SPILL_MEGABYTES: how much that is. */
static uint64_t large_bytes(void) {
        const char *text = getenv("BF_SPILL_MEGABYTES");

        return (text ? strtoull(text, NULL, 10) : 256) << 20;
}

struct large {
        struct bf_client *client;
        struct bf_fileh *fileh;
        const char *path;
        uint64_t n_words;
        uint64_t *map;
};

/* Every word of the file is changed, to its number and something. */
static struct large start_large(struct rig *rig) {
        struct large large = { .n_words = large_bytes() / sizeof(uint64_t), .path = rig_path(rig, "large") };
        char pool[32];

        snprintf(pool, sizeof(pool), "%" PRIu64, large_bytes() / 16);
        rig_daemon(rig, "--pool", pool, "--spill-dir", rig->dir, NULL);
        assert_int_equal(tempfile_make_sparse(large.path, large_bytes()), 0);
        large.client = rig_client(rig);
        assert_int_equal(bf_open(large.client, large.path, O_RDWR, NULL, &large.fileh), 0);
        assert_int_equal(bf_mmap(large.fileh, 0, large_bytes(), PROT_READ | PROT_WRITE, (void **) &large.map), 0);
        for (uint64_t i = 0; i < large.n_words; i++)
                large.map[i] = i ^ UINT64_C(0xabcdef);
        assert_int_equal(rig_stat(large.fileh).dirty_bytes, large_bytes());
        return large;
}

static void check_words(const uint64_t *words, uint64_t n, uint64_t first, bool is_changed) {
        for (uint64_t i = 0; i < n; i++)
                if (words[i] != (is_changed ? (first + i) ^ UINT64_C(0xabcdef) : 0))
                        fail_msg("word %" PRIu64 " is %#" PRIx64, first + i, words[i]);
}

static void check_large_file(const struct large *large, bool is_changed) {
        static uint64_t words[1 << 17];
        const uint64_t n = sizeof(words) / sizeof(*words);

        for (uint64_t first = 0; first < large->n_words; first += n) {
                assert_int_equal(tempfile_read(large->path, first * sizeof(uint64_t), words, sizeof(words)), 0);
                check_words(words, n, first, is_changed);
        }
}

static void test_large_commit(void **state) {
        struct large large;

        watchdog_arm("test_large_commit", 300);
        large = start_large(rig_here(state));
        check_large_file(&large, false);
        assert_int_equal(bf_writeout(large.fileh, RIG_STORE_MARK), 0);
        check_large_file(&large, true);
        check_words(large.map, large.n_words, 0, true);
        wait_nothing_spilled(large.client);
}

static void test_large_discard(void **state) {
        struct large large;

        watchdog_arm("test_large_discard", 300);
        large = start_large(rig_here(state));
        check_words(large.map, large.n_words / 4, 0, true);
        assert_int_equal(bf_discard(large.fileh), 0);
        check_words(large.map, large.n_words, 0, false);
        check_large_file(&large, false);
        wait_nothing_spilled(large.client);
}

static int compare_words(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

/* A program that knows nothing of all this, over memory eight times the pool, as one transaction. */
static void test_sort(void **state) {
        struct rig *rig = rig_here(state);
        const uint64_t n = UINT64_C(1) << 20;
        const char *path = rig_path(rig, "numbers");
        uint64_t *numbers = calloc(n, sizeof(*numbers)), *map, word;
        struct bf_fileh *fileh;

        watchdog_arm("test_sort", 300);
        rig_daemon(rig, "--pool", "1M", "--spill-dir", rig->dir, NULL);
        assert_int_equal(tempfile_make_sparse(path, n * sizeof(*map)), 0);
        assert_int_equal(bf_open(rig_client(rig), path, O_RDWR, NULL, &fileh), 0);
        assert_int_equal(bf_mmap(fileh, 0, n * sizeof(*map), PROT_READ | PROT_WRITE, (void **) &map), 0);
        for (uint64_t i = 0; i < n; i++)
                map[i] = numbers[i] = i * UINT64_C(0x9e3779b97f4a7c15);
        qsort(map, n, sizeof(*map), compare_words);
        qsort(numbers, n, sizeof(*numbers), compare_words);
        assert_memory_equal(map, numbers, n * sizeof(*map));
        assert_int_equal(tempfile_read(path, 8 * 1000, &word, sizeof(word)), 0);
        assert_int_equal(word, 0);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        for (uint64_t i = 0; i < n; i += 511) {
                assert_int_equal(tempfile_read(path, i * sizeof(word), &word, sizeof(word)), 0);
                assert_int_equal(word, numbers[i]);
        }
        free(numbers);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_oldest_go_and_come_back),
                RIG_TEST(test_writeout),
                RIG_TEST(test_store_and_mark_apart),
                RIG_TEST(test_discard),
                RIG_TEST(test_discard_on_the_way),
                RIG_TEST(test_invalidate),
                RIG_TEST(test_load),
                RIG_TEST(test_close),
                RIG_TEST(test_tail_of_a_file_that_grows),
                RIG_TEST(test_blocks_of_64K),
                RIG_TEST(test_blocks_of_2M),
                RIG_TEST(test_shared),
                RIG_TEST(test_writeouts_under_writers),
                RIG_TEST(test_limit),
                RIG_TEST(test_waiting_for_a_writeout),
                RIG_TEST(test_turned_off),
                RIG_TEST(test_no_folder),
                RIG_TEST(test_unfit_folder),
                RIG_TEST(test_full_disk),
                RIG_TEST(test_page_that_does_not_come_back),
                RIG_TEST(test_large_commit),
                RIG_TEST(test_large_discard),
                RIG_TEST(test_sort),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("spill", tests, NULL, NULL);
}
