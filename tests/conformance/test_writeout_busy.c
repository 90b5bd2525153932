/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What may go on beside a writeout: rule 24; cases E10, T1. A held write of the file keeps the writeout going as long as a test needs it. */

#include <errno.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200

/* Pages 50 to 53 are dirty (page + 1000), and a writeout of them is held at the write of page 51. */
struct scene {
        struct rig *rig;
        struct heldfs *heldfs;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
        struct worker *writeout;
};

static struct scene start(struct rig *rig, unsigned flags) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.heldfs = rig_heldfs(rig, N_PAGES);
        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, heldfs_path(scene.heldfs), O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        for (uint64_t page = 50; page < 54; page++)
                *rig_word(scene.map, page, 0) = page + 1000;
        heldfs_hold(scene.heldfs, HELDFS_WRITE, 51, 1);
        scene.writeout = rig_worker(rig, worker_writeout, NULL, scene.fileh, flags, 0);
        heldfs_wait(scene.heldfs, HELDFS_WRITE, 51, 1);
        assert_states(scene.fileh, 51, "S");
        return scene;
}

static void finish(struct scene *scene) {
        assert_false(worker_is_done(scene->writeout));
        heldfs_release(scene->heldfs, HELDFS_WRITE, 51);
        worker_join(scene->writeout);
        assert_int_equal(scene->writeout->result, 0);
}

static uint64_t stored_word(const struct scene *scene, uint64_t page) {
        return *(uint64_t *) heldfs_content(scene->heldfs, page * RIG_PAGE);
}

/* a page written while it is being stored: the writer does not wait, the file gets what was there, the page stays dirty, and is stored next time */
static void test_write_to_a_page_being_stored(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);

        *rig_word(scene.map, 51, 0) = 7777;
        *rig_word(scene.map, 51, 1) = 7778;
        assert_int_equal(heldfs_n_held(scene.heldfs, HELDFS_WRITE, 51), 1);
        finish(&scene);
        assert_states(scene.fileh, 50, "LDLL");
        assert_int_equal(stored_word(&scene, 51), 1051);
        assert_int_equal(*rig_word(scene.map, 51, 0), 7777);
        heldfs_forget(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_blocks(scene.heldfs, HELDFS_WRITE, 51);
        assert_int_equal(stored_word(&scene, 51), 7777);
        assert_int_equal(*(uint64_t *) heldfs_content(scene.heldfs, 51 * RIG_PAGE + 8), 7778);
        assert_states(scene.fileh, 50, "LLLL");
}

/* the same through a mapping that had not seen the page, and with STORE alone */
static void test_write_through_another_mapping(void **state) {
        struct scene scene = start(rig_here(state), BF_WRITEOUT_STORE);
        uint64_t *other = rig_map(scene.fileh, 50, 4);

        assert_int_equal(*rig_word(other, 1, 0), 1051);
        *rig_word(other, 1, 0) = 7777;
        assert_int_equal(*rig_word(scene.map, 51, 0), 7777);
        finish(&scene);
        assert_states(scene.fileh, 50, "DDDD");
        assert_int_equal(stored_word(&scene, 51), 1051);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(stored_word(&scene, 51), 7777);
        *rig_word(scene.map, 51, 0) = 8888; /* and nothing is left unprotected */
        *rig_word(other, 2, 0) = 9999;
        assert_states(scene.fileh, 50, "LDDL");
}

/* reads of pages stored, being stored and not loaded; first writes of others; pages that become dirty now are not this writeout's business */
static void test_reads_and_first_writes(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);

        for (uint64_t page = 50; page < 54; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 1000);
        assert_int_equal(*rig_word(scene.map, 70, 0), 70);
        *rig_word(scene.map, 71, 0) = 7100;
        *rig_word(scene.map, 5, 0) = 500;
        finish(&scene);
        assert_states(scene.fileh, 50, "LLLL");
        assert_states(scene.fileh, 70, "LD");
        assert_int_equal(stored_word(&scene, 71), 71);
        assert_int_equal(stored_word(&scene, 5), 5);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(stored_word(&scene, 71), 7100);
        assert_int_equal(stored_word(&scene, 5), 500);
}

static void test_mmap_munmap_and_looking(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);
        uint64_t *other = rig_map(scene.fileh, 40, 20);

        assert_int_equal(*rig_word(other, 11, 0), 1051);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_munmap(other), 0);
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes % RIG_PAGE, 0);
        assert_true(rig_stat(scene.fileh).dirty_bytes >= RIG_PAGE);
        assert_int_equal(bf_advise(scene.fileh, 0, N_PAGES * RIG_PAGE, BF_ADVICE_DONTNEED), 0);
        assert_int_equal(bf_load(scene.fileh, 80 * RIG_PAGE, RIG_PAGE), 0);
        finish(&scene);
        for (uint64_t page = 50; page < 54; page++)
                assert_int_equal(stored_word(&scene, page), page + 1000);
}

/* a second writeout waits for the first, then stores what is dirty then */
static void test_second_writeout(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);
        struct worker *second;

        *rig_word(scene.map, 51, 0) = 7777;
        *rig_word(scene.map, 60, 0) = 6000;
        second = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, RIG_STORE_MARK, 0);
        worker_wait_call(second);
        assert_states(scene.fileh, 60, "D"); /* a round trip after it was sent */
        assert_int_equal(rig_stat(scene.fileh).loads, 5);
        assert_false(worker_is_done(second));
        assert_int_equal(stored_word(&scene, 60), 60);
        finish(&scene);
        worker_join(second);
        assert_int_equal(second->result, 0);
        assert_states(scene.fileh, 50, "LLLL");
        assert_states(scene.fileh, 60, "L");
        assert_blocks(scene.heldfs, HELDFS_WRITE, 50, 51, 52, 53, 51, 60);
        assert_int_equal(stored_word(&scene, 51), 7777);
        assert_int_equal(stored_word(&scene, 60), 6000);
}

/*
 * discard or invalidate while stores are under way: the dirty pages are dropped, and none comes back as it was before the store: a new touch
 * waits until the file has what was on its way. What had not yet been written may be stored or not.
 */
static void check_drop(struct scene *scene, void (*drop)(struct worker *worker)) {
        struct worker *dropper, *reader;

        *rig_word(scene->map, 90, 0) = 9000; /* not of this writeout: it is lost */
        *rig_word(scene->map, 53, 1) = 5353;
        dropper = rig_worker(scene->rig, drop, NULL, scene->fileh, 0, N_PAGES * RIG_PAGE);
        worker_wait_call(dropper);
        reader = rig_worker(scene->rig, worker_read, (void *) (uintptr_t) rig_word(scene->map, 51, 0), NULL, 0, 0);
        assert_int_equal(*rig_word(scene->map, 70, 0), 70); /* others go on */
        heldfs_release(scene->heldfs, HELDFS_WRITE, 51);
        worker_join(scene->writeout);
        worker_join(dropper);
        worker_join(reader);
        assert_int_equal(dropper->result, 0);
        assert_int_equal(scene->writeout->result, 0);
        assert_int_equal(reader->hit.signo, 0);
        assert_int_equal(reader->value, 1051);
        assert_int_equal(stored_word(scene, 51), 1051);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 0);
        for (uint64_t page = 50; page < 54; page++)
                assert_int_equal(*rig_word(scene->map, page, 0), stored_word(scene, page));
        assert_int_equal(*rig_word(scene->map, 53, 1), *(uint64_t *) heldfs_content(scene->heldfs, 53 * RIG_PAGE + 8));
        assert_int_equal(*rig_word(scene->map, 90, 0), 90);
        assert_int_equal(stored_word(scene, 90), 90);
}

static void test_discard(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);

        check_drop(&scene, worker_discard);
}

static void test_discard_beside_store_alone(void **state) {
        struct scene scene = start(rig_here(state), BF_WRITEOUT_STORE);

        check_drop(&scene, worker_discard);
}

static void test_invalidate(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);

        check_drop(&scene, worker_invalidate);
}

/* T1: while a store (or load) of one file is stuck, pages of another are touched, stored and invalidated */
static void test_other_files_go_on(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);
        const char *path = rig_identity(scene.rig, "other", 20);
        struct bf_fileh *fileh = rig_open(scene.client, path, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, 20);

        assert_int_equal(*rig_word(map, 3, 0), 3);
        *rig_word(map, 4, 0) = 44;
        assert_int_equal(bf_invalidate(fileh, 3 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(path, 4), 44);
        *rig_word(map, 5, 0) = 55;
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(*rig_word(map, 5, 0), 5);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        finish(&scene);
}

/* a store that fails while its page is written again: both contents are safe */
static void test_store_fails_while_written(void **state) {
        struct scene scene = start(rig_here(state), RIG_STORE_MARK);

        heldfs_fail(scene.heldfs, HELDFS_WRITE, 52, 0, 1, EIO);
        *rig_word(scene.map, 51, 1) = 5151;
        *rig_word(scene.map, 52, 1) = 5252;
        *rig_word(scene.map, 53, 1) = 5353;
        heldfs_release(scene.heldfs, HELDFS_WRITE, 51);
        worker_join(scene.writeout);
        if (scene.writeout->result == 0) /* the pages were one request, which had passed */
                assert_states(scene.fileh, 50, "LDDD");
        else
                assert_int_equal(scene.writeout->result, -EIO);
        heldfs_clear(scene.heldfs);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t page = 51; page < 54; page++) {
                assert_int_equal(stored_word(&scene, page), page + 1000);
                assert_int_equal(*(uint64_t *) heldfs_content(scene.heldfs, page * RIG_PAGE + 8), page * 101);
        }
}

struct scribbler {
        uint64_t *page;
        atomic_uint n_passes;
        atomic_bool stop;
};

/* Writes 1, 2, 3, ... over the whole page, from its first word to its last. */
static void scribble(struct worker *worker) {
        struct scribbler *scribbler = worker->object;

        for (uint64_t value = 1; !atomic_load(&scribbler->stop); value++) {
                for (size_t i = 0; i < 512; i++)
                        *rig_word(scribbler->page, 0, i) = value;
                worker->value = value;
                atomic_fetch_add(&scribbler->n_passes, 1);
        }
}

/* One moment of such a page: so far the new value, from there on the one before. */
static void assert_one_moment(const uint64_t *words) {
        for (size_t i = 1; i < 512; i++)
                if (words[i] != words[i - 1] && (words[i] + 1 != words[0] || words[i - 1] != words[0]))
                        fail_msg("torn: word 0 is %llu, word %zu is %llu, then %llu", (unsigned long long) words[0], i - 1,
                                 (unsigned long long) words[i - 1], (unsigned long long) words[i]);
}

/* what is stored of a page is one moment's content, and what was written last is in the end stored too */
static void test_nothing_is_torn_or_lost(void **state) {
        static struct scribbler scribbler;
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", 8);
        struct bf_fileh *fileh;
        struct worker *worker;
        uint64_t words[512], last = 0;

        rig_daemon(rig, "--pool", "64M", NULL);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        scribbler.page = (uint64_t *) (uintptr_t) rig_word(rig_map(fileh, 0, 8), 5, 0);
        for (size_t i = 0; i < 512; i++)
                *rig_word(scribbler.page, 0, i) = 0;
        worker = rig_worker(rig, scribble, NULL, &scribbler, 0, 0);
        for (int i = 0; i < 500 || last == 0 || atomic_load(&scribbler.n_passes) < 50; i++) {
                assert_int_equal(bf_writeout(fileh, i % 3 ? RIG_STORE_MARK : BF_WRITEOUT_STORE), 0);
                assert_int_equal(tempfile_read(path, 5 * RIG_PAGE, words, sizeof(words)), 0);
                assert_one_moment(words);
                assert_true(words[511] >= last);
                last = words[511];
        }
        atomic_store(&scribbler.stop, true);
        worker_join(worker);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(tempfile_read(path, 5 * RIG_PAGE, words, sizeof(words)), 0);
        for (size_t i = 0; i < 512; i++)
                assert_int_equal(words[i], worker->value);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_write_to_a_page_being_stored),
                RIG_TEST(test_write_through_another_mapping),
                RIG_TEST(test_reads_and_first_writes),
                RIG_TEST(test_mmap_munmap_and_looking),
                RIG_TEST(test_second_writeout),
                RIG_TEST(test_discard),
                RIG_TEST(test_discard_beside_store_alone),
                RIG_TEST(test_invalidate),
                RIG_TEST(test_other_files_go_on),
                RIG_TEST(test_store_fails_while_written),
                RIG_TEST(test_nothing_is_torn_or_lost),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("writeout beside others", tests, NULL, NULL);
}
