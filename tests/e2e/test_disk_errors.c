/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Disks that fail, with a real block server (nbddisk.h): each kind of error at the first request, at the second, and so on until none is left. What the
 * client is told and what is dirty then is as stated; nothing that was written is lost; when the disk is well again, success is real: the image is
 * compared with a model, byte by byte. And disks that are slow or do not answer at all.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 24
#define N_WORDS (RIG_PAGE / sizeof(uint64_t))
#define STORE_MARK_SYNC (RIG_STORE_MARK | BF_WRITEOUT_SYNC)

struct scene {
        struct rig *rig;
        struct nbddisk *disk;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
        uint64_t words[N_PAGES]; /* the model: what every word of a page must be */
        const char *other_path; /* a file on a disk that is well */
        struct bf_fileh *other;
        uint64_t *other_map;
        uint64_t round;
};

static void open_file(struct scene *scene) {
        int fd = open(nbddisk_path(scene->disk), O_RDWR | O_DIRECT | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(bf_open_fd(scene->client, fd, NULL, &scene->fileh), 0);
        close(fd);
        assert_int_equal(bf_advise(scene->fileh, 0, UINT64_MAX, BF_ADVICE_RANDOM), 0);
        scene->map = rig_map(scene->fileh, 0, N_PAGES);
}

static void close_file(struct scene *scene) {
        assert_int_equal(bf_munmap(scene->map), 0);
        assert_int_equal(bf_close(scene->fileh), 0);
}

static struct scene start(struct rig *rig, const char *const *args) {
        struct scene scene = { .rig = rig };

        rig_daemon(rig, "--pool", "64M", NULL);
        scene.disk = rig_disk(rig, N_PAGES, args);
        scene.client = rig_client(rig);
        scene.other_path = rig_identity(rig, "well", N_PAGES);
        scene.other = rig_open(rig_client(rig), scene.other_path, O_RDWR, 0);
        scene.other_map = rig_map(scene.other, 0, N_PAGES);
        for (uint64_t page = 0; page < N_PAGES; page++)
                scene.words[page] = page;
        open_file(&scene);
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return scene->map + page * N_WORDS;
}

static void write_page(struct scene *scene, uint64_t page, uint64_t value) {
        for (size_t word = 0; word < N_WORDS; word++)
                *rig_word(scene->map, page, word) = value;
        scene->words[page] = value;
}

static void check_page(const struct scene *scene, uint64_t page) {
        for (size_t word = 0; word < N_WORDS; word++)
                assert_int_equal(*rig_word(scene->map, page, word), scene->words[page]);
}

static bool page_is_stored(const struct scene *scene, uint64_t page) {
        uint64_t words[N_WORDS];

        assert_int_equal(tempfile_read(nbddisk_image(scene->disk), page * RIG_PAGE, words, sizeof(words)), 0);
        for (size_t word = 0; word < N_WORDS; word++)
                if (words[word] != scene->words[page])
                        return false;
        return true;
}

static void check_image(const struct scene *scene) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                if (!page_is_stored(scene, page))
                        fail_msg("page %llu is not in the image as it should be", (unsigned long long) page);
}

/* Somebody else loads, writes and commits, and sees nothing of all that. */
static void check_others(struct scene *scene) {
        uint64_t page = scene->round % N_PAGES, value = 1000000 + scene->round;

        assert_int_equal(bf_invalidate(scene->other, 0, UINT64_MAX), 0);
        *rig_word(scene->other_map, page, 0) = value;
        assert_int_equal(bf_writeout(scene->other, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_file_word(scene->other_path, page), value);
        assert_int_equal(*rig_word(scene->other_map, (page + 1) % N_PAGES, 1), (page + 1) % N_PAGES);
        scene->round++;
}

/* --- loads -------------------------------------------------------------------------------------------------------------------------------------- */

#define N_TOUCHED 12

/* Pages touched one by one, so that each is one request, then a range. The first first - 1 requests are to go well, and then all fail, or one. Who touched gets
 * the error, who asked is told, and nobody else. One that is about many pages is made again for each of them: if it was for the moment, nobody hears of it. */
static void touch_all(struct scene *scene, unsigned first, bool lasts) {
        struct probe_hit hit;
        int r;

        for (uint64_t page = 0; page < N_TOUCHED; page++) {
                bool fails = page + 1 == first || (lasts && page + 1 > first);

                assert_int_equal(probe_read(at(scene, page), NULL, &hit), fails ? SIGBUS : 0);
                if (!fails)
                        continue;
                assert_int_equal(hit.known, 0);
                assert_int_equal(hit.error, EIO);
        }
        r = bf_load(scene->fileh, N_TOUCHED * RIG_PAGE, (N_PAGES - N_TOUCHED) * RIG_PAGE);
        assert_int_equal(r, lasts && nbddisk_count(scene->disk, "pread") >= first ? -EIO : 0);
}

static bool fail_load(struct scene *scene, unsigned first, bool lasts) {
        bool came;

        open_file(scene);
        nbddisk_fail(scene->disk, "pread", first, lasts ? UINT32_MAX / 4 : first, "EIO");
        touch_all(scene, first, lasts);
        came = nbddisk_count(scene->disk, "pread") >= first;
        nbddisk_heal(scene->disk);
        for (uint64_t page = 0; page < N_TOUCHED; page++) /* it stays so until it is invalidated */
                assert_int_equal(probe_read(at(scene, page), NULL, NULL), page + 1 == first || (lasts && page + 1 > first) ? SIGBUS : 0);
        check_others(scene);
        assert_int_equal(bf_invalidate(scene->fileh, 0, N_TOUCHED * RIG_PAGE), 0);
        assert_int_equal(bf_load(scene->fileh, 0, N_PAGES * RIG_PAGE), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                check_page(scene, page);
        close_file(scene);
        return came;
}

static void check_load_error(struct rig *rig, bool lasts) {
        struct scene scene = start(rig, NULL);
        unsigned n = 1;

        close_file(&scene);
        while (fail_load(&scene, n, lasts))
                n++;
        print_message("EIO at each of %u reads\n", n - 1);
        assert_true(n > N_TOUCHED + 1);
}

static void test_load_fails(void **state) {
        check_load_error(rig_here(state), false);
}

static void test_load_fails_for_long(void **state) {
        check_load_error(rig_here(state), true);
}

/* --- stores ------------------------------------------------------------------------------------------------------------------------------------- */

static const uint64_t written[] = { 1, 2, 3, 6, 9, 10, 15, 16, 17, 18, 19, 23 };
#define N_WRITTEN (sizeof(written) / sizeof(*written))

static void write_pages(struct scene *scene, uint64_t plus) {
        for (size_t i = 0; i < N_WRITTEN; i++)
                write_page(scene, written[i], written[i] + plus);
}

/* Those before some page are stored and marked; it and all behind it are dirty, with what was written to them. */
static void check_half_way(struct scene *scene) {
        bool is_over = false;

        for (size_t i = 0; i < N_WRITTEN; i++) {
                int page_state = bf_page_state(scene->fileh, written[i] * RIG_PAGE);

                assert_true(page_state == BF_PAGE_DIRTY || page_state == BF_PAGE_LOADED);
                is_over |= page_state == BF_PAGE_DIRTY;
                assert_int_equal(page_state, is_over ? BF_PAGE_DIRTY : BF_PAGE_LOADED);
                if (!is_over)
                        assert_true(page_is_stored(scene, written[i]));
                check_page(scene, written[i]);
        }
        assert_true(is_over);
}

struct store_error {
        const char *name;
        int error;
        bool lasts; /* the disk fails from there on */
};

static bool fail_store(struct scene *scene, const struct store_error *e, unsigned n) {
        bool came;
        int r;

        write_pages(scene, 1000 * n);
        nbddisk_fail(scene->disk, "pwrite", n, e->lasts ? UINT32_MAX / 4 : n, e->name);
        r = bf_writeout(scene->fileh, STORE_MARK_SYNC);
        came = nbddisk_count(scene->disk, "pwrite") >= n;
        assert_int_equal(r, came ? -e->error : 0);
        if (came) {
                check_half_way(scene);
                if (e->lasts)
                        assert_int_equal(bf_writeout(scene->fileh, RIG_STORE_MARK), -e->error);
                check_others(scene);
        }
        nbddisk_heal(scene->disk);
        assert_int_equal(bf_writeout(scene->fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 0);
        check_image(scene);
        return came;
}

static void check_store_error(struct rig *rig, const struct store_error *e) {
        struct scene scene = start(rig, NULL);
        unsigned n = 1;

        while (fail_store(&scene, e, n))
                n++;
        print_message("%s at each of %u writes\n", e->name, n - 1);
        assert_true(n > 5);
}

static void test_store_fails(void **state) {
        check_store_error(rig_here(state), &(struct store_error) { "EIO", EIO, false });
}

static void test_store_fails_for_long(void **state) {
        check_store_error(rig_here(state), &(struct store_error) { "EIO", EIO, true });
}

static void test_disk_fills_up(void **state) {
        check_store_error(rig_here(state), &(struct store_error) { "ENOSPC", ENOSPC, true });
}

static void test_disk_is_full_for_a_moment(void **state) {
        check_store_error(rig_here(state), &(struct store_error) { "ENOSPC", ENOSPC, false });
}

/* nbdkit's own: reads as zeros, and has never any room */
static void test_full_disk(void **state) {
        static const char *const full[] = { "full", "size=98304", NULL };
        struct scene scene = start(rig_here(state), full);

        assert_int_equal(N_PAGES * RIG_PAGE, 98304);
        for (uint64_t page = 0; page < N_PAGES; page++)
                scene.words[page] = 0;
        write_pages(&scene, 1000);
        for (int i = 0; i < 3; i++)
                assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -ENOSPC);
        for (size_t i = 0; i < N_WRITTEN; i++)
                assert_states(scene.fileh, written[i], "D");
        for (uint64_t page = 0; page < N_PAGES; page++)
                check_page(&scene, page);
        check_others(&scene);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, 15, 0), 0);
}

/* --- flushes ------------------------------------------------------------------------------------------------------------------------------------ */

/* Four commits, of which the first does not flush; it shares the fate of the second. */
static bool fail_flush(struct scene *scene, unsigned n) {
        unsigned n_failed = 0;
        bool came;

        nbddisk_fail(scene->disk, "flush", n, n, "EIO");
        for (unsigned commit = 0; commit < 4; commit++) {
                int r;

                for (uint64_t page = commit * 5; page < commit * 5 + 3; page++)
                        write_page(scene, page, page + 1000 * n + 100 * commit);
                r = bf_writeout(scene->fileh, commit == 0 ? RIG_STORE_MARK : STORE_MARK_SYNC);
                assert_true(r == 0 || r == -EIO);
                assert_states(scene->fileh, commit * 5, r < 0 ? "DDD" : "LLL");
                assert_states(scene->fileh, 0, n == 1 && r < 0 ? "DDD" : "LLL");
                n_failed += r < 0;
        }
        came = nbddisk_count(scene->disk, "flush") >= n;
        assert_int_equal(n_failed, came);
        check_others(scene);
        nbddisk_heal(scene->disk);
        assert_int_equal(bf_writeout(scene->fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, 0);
        check_image(scene);
        return came;
}

static void test_flush_fails(void **state) {
        struct scene scene = start(rig_here(state), NULL);
        unsigned n = 1;

        while (fail_flush(&scene, n))
                n++;
        print_message("EIO at each of %u flushes\n", n - 1);
        assert_int_equal(n, 4);
}

/* --- anything ----------------------------------------------------------------------------------------------------------------------------------- */

/* Until it goes well, as a program does that does not give up. Returns how often it did not. */
static unsigned write_stubbornly(struct scene *scene, uint64_t page, uint64_t value) {
        unsigned n_failed = 0;
        struct probe_hit hit;

        while (probe_write(at(scene, page), value, &hit) != 0) {
                assert_int_equal(hit.error, EIO);
                assert_int_equal(bf_invalidate(scene->fileh, page * RIG_PAGE, RIG_PAGE), 0);
                n_failed++;
        }
        write_page(scene, page, value);
        return n_failed;
}

static unsigned commit_stubbornly(struct scene *scene, unsigned flags) {
        unsigned n_failed = 0;
        int r;

        while ((r = bf_writeout(scene->fileh, flags)) < 0) {
                assert_int_equal(r, -EIO);
                n_failed++;
        }
        return n_failed;
}

static unsigned do_anything(struct scene *scene, uint64_t plus) {
        unsigned n_failed = 0;

        for (size_t i = 0; i < N_WRITTEN; i++)
                n_failed += write_stubbornly(scene, written[i], written[i] + plus);
        n_failed += commit_stubbornly(scene, RIG_STORE_MARK);
        for (size_t i = 0; i < 4; i++)
                n_failed += write_stubbornly(scene, written[i], written[i] + plus + 1);
        n_failed += commit_stubbornly(scene, STORE_MARK_SYNC);
        return n_failed;
}

static bool fail_anything(struct scene *scene, unsigned n) {
        unsigned n_failed;
        bool came;

        open_file(scene);
        nbddisk_fail(scene->disk, "any", n, n, "EIO");
        n_failed = do_anything(scene, 1000 * n);
        came = nbddisk_count(scene->disk, "any") >= n;
        nbddisk_heal(scene->disk);
        assert_int_equal(n_failed, came);
        check_image(scene);
        check_others(scene);
        close_file(scene);
        return came;
}

/* each request of loads, stores and flushes in turn, under a client that tries again */
static void test_anything_fails(void **state) {
        struct scene scene = start(rig_here(state), NULL);
        unsigned n = 1;

        close_file(&scene);
        while (fail_anything(&scene, n))
                n++;
        print_message("EIO at each of %u requests\n", n - 1);
        assert_true(n > N_WRITTEN);
}

/* nbdkit's own: one request in five fails */
static void test_anything_fails_at_random(void **state) {
        static const char *const random[] = { "--filter=error", "file", "image", "error=EIO", "error-rate=20%", NBDDISK_TRIGGER, NULL };
        struct scene scene = start(rig_here(state), random);
        unsigned n_failed = 0;

        for (uint64_t round = 1; round <= 20; round++) {
                nbddisk_trigger(scene.disk, 1);
                n_failed += do_anything(&scene, 1000 * round);
                nbddisk_trigger(scene.disk, 0);
                check_image(&scene);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
        }
        print_message("%u errors at random\n", n_failed);
        check_others(&scene);
}

/* --- slow ones ---------------------------------------------------------------------------------------------------------------------------------- */

/* requests take their time, many at once: all is right nevertheless */
static void test_slow_disk(void **state) {
        static const char *const slow[] = { "--filter=delay", "file", "image", "rdelay=20ms", "wdelay=20ms", NULL };
        struct scene scene = start(rig_here(state), slow);

        for (uint64_t round = 1; round <= 3; round++) {
                assert_int_equal(do_anything(&scene, 1000 * round), 0);
                check_image(&scene);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                check_others(&scene);
        }
        for (uint64_t page = 0; page < N_PAGES; page++)
                check_page(&scene, page);
}

static const char *const pausing[] = { "--filter=pause", "file", "image", NBDDISK_PAUSE, NULL };

struct stuck {
        struct worker *reader, *loader, *writeout;
};

static void wait_state(const struct scene *scene, uint64_t page, enum bf_page_state page_state) {
        while (bf_page_state(scene->fileh, page * RIG_PAGE) != (int) page_state)
                usleep(1000);
}

/* The disk stops to answer under a thread that touches a page, a load and a writeout. */
static struct stuck get_stuck(struct scene *scene) {
        struct stuck stuck;

        write_pages(scene, 1000);
        nbddisk_pause(scene->disk);
        stuck.reader = rig_worker(scene->rig, worker_read, at(scene, 4), NULL, 0, 0);
        stuck.loader = rig_worker(scene->rig, worker_load, NULL, scene->fileh, 5 * RIG_PAGE, RIG_PAGE);
        stuck.writeout = rig_worker(scene->rig, worker_writeout, NULL, scene->fileh, STORE_MARK_SYNC, 0);
        wait_state(scene, 4, BF_PAGE_LOADING);
        wait_state(scene, 5, BF_PAGE_LOADING);
        for (size_t i = 0; i < N_WRITTEN; i++)
                wait_state(scene, written[i], BF_PAGE_STORING);
        return stuck;
}

/* others work while it is stuck, and so does its own client; then all ends well */
static void test_hung_disk(void **state) {
        struct scene scene = start(rig_here(state), pausing);
        struct stuck stuck = get_stuck(&scene);

        for (int i = 0; i < 200; i++)
                check_others(&scene);
        *rig_word(scene.map, written[0], 5) = 7;
        *rig_word(scene.map, written[0], 5) = 1000 + written[0];
        assert_int_equal(rig_stat(scene.fileh).dirty_bytes, N_WRITTEN * RIG_PAGE);
        assert_false(worker_is_done(stuck.reader) || worker_is_done(stuck.loader) || worker_is_done(stuck.writeout));
        nbddisk_go_on(scene.disk);
        worker_join(stuck.reader);
        worker_join(stuck.loader);
        worker_join(stuck.writeout);
        assert_int_equal(stuck.reader->value, 4);
        assert_int_equal(stuck.loader->result, 0);
        assert_int_equal(stuck.writeout->result, 0);
        assert_states(scene.fileh, written[0], "D");
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
        check_image(&scene);
}

/* its client gives up, and is gone for the daemon at once */
static void test_hung_disk_left_alone(void **state) {
        struct scene scene = start(rig_here(state), pausing);
        struct stuck stuck = get_stuck(&scene);

        assert_int_equal(bf_invalidate(scene.fileh, 4 * RIG_PAGE, RIG_PAGE), 0); /* the load under way is no longer for it */
        worker_wait_fault(stuck.reader);
        nbddisk_stop(scene.disk);
        scene.rig->n_disks = 0;
        worker_join(stuck.reader);
        worker_join(stuck.loader);
        worker_join(stuck.writeout);
        assert_int_equal(stuck.reader->hit.signo, SIGBUS);
        assert_true(stuck.loader->result < 0);
        assert_true(stuck.writeout->result < 0);
        for (size_t i = 0; i < N_WRITTEN; i++) {
                assert_states(scene.fileh, written[i], "D");
                check_page(&scene, written[i]);
        }
        check_others(&scene);
        close_file(&scene);
}

/* the daemon is told to end, and says that it does; its clients go on with the next one, which waits for no answer of the old one */
static void test_end_with_a_hung_disk(void **state) {
        struct scene scene = start(rig_here(state), pausing);
        struct stuck stuck = get_stuck(&scene);

        assert_int_equal(kill(scene.rig->daemon.pid, SIGTERM), 0);
        while (!daemonproc_says(&scene.rig->daemon, "are left to the next bigfiled"))
                usleep(1000);
        nbddisk_go_on(scene.disk); /* a process ends when its requests have */
        assert_int_equal(daemonproc_wait(&scene.rig->daemon), 0);
        rig_daemon(scene.rig, "--pool", "64M", NULL);
        worker_join(stuck.reader);
        worker_join(stuck.loader);
        worker_join(stuck.writeout);
        assert_int_equal(stuck.reader->value, 4);
        assert_int_equal(stuck.loader->result, 0);
        assert_int_equal(stuck.writeout->result, 0);
        check_others(&scene);
        check_image(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_load_fails),
                RIG_TEST(test_load_fails_for_long),
                RIG_TEST(test_store_fails),
                RIG_TEST(test_store_fails_for_long),
                RIG_TEST(test_disk_fills_up),
                RIG_TEST(test_disk_is_full_for_a_moment),
                RIG_TEST(test_full_disk),
                RIG_TEST(test_flush_fails),
                RIG_TEST(test_anything_fails),
                RIG_TEST(test_anything_fails_at_random),
                RIG_TEST(test_slow_disk),
                RIG_TEST(test_hung_disk),
                RIG_TEST(test_hung_disk_left_alone),
                RIG_TEST(test_end_with_a_hung_disk),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("disk errors", tests, NULL, NULL);
}
