/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The file changes behind the back of who has it open: it is truncated, grown, replaced, removed; its disk fills up. All of it is as with any
 * open descriptor, and what is in RAM is not lost by it.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 50

struct scene {
        struct rig *rig;
        const char *path;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

static void start_daemon(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", NULL);
}

static void open_file(struct scene *scene, uint32_t flags) {
        scene->fileh = rig_open(rig_client(scene->rig), scene->path, O_RDWR, flags);
        scene->map = rig_map(scene->fileh, 0, N_PAGES);
}

#define N_MANY 1500

/* A file of which so much is read, out of order, that the daemon looks at it in the page cache instead of reading it. */
static struct scene start_many(struct rig *rig) {
        struct scene scene = { .rig = rig };

        start_daemon(rig);
        scene.path = rig_identity(rig, "many", N_MANY);
        scene.fileh = rig_open(rig_client(rig), scene.path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_MANY);
        for (uint64_t page = 0; page < 400; page++)
                assert_int_equal(*rig_word(scene.map, page * 3, 0), page * 3);
        return scene;
}

/* page 3 clean, page 30 written */
static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        start_daemon(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        open_file(&scene, 0);
        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
        *rig_word(scene.map, 30, 0) = 3000;
        return scene;
}

static void *at(const struct scene *scene, uint64_t page) {
        return scene->map + page * RIG_PAGE / sizeof(uint64_t);
}

/* What another process writes to the file is seen when pages are loaded. */
static void test_changed_where_much_is_read(void **state) {
        struct scene scene = start_many(rig_here(state));
        int fd = open(scene.path, O_WRONLY | O_CLOEXEC);

        for (uint64_t page = 0; page < N_MANY; page++) {
                uint64_t word = page + 9000;

                assert_int_equal(pwrite(fd, &word, sizeof(word), (off_t) (page * RIG_PAGE)), sizeof(word));
        }
        close(fd);
        for (uint64_t page = 1; page < N_MANY; page += 3)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 9000);
        assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
        for (uint64_t page = 0; page < N_MANY; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page + 9000);
}

/* What was truncated while it was looked at cannot be loaded any more; what is left can. */
static void test_truncated_where_much_is_read(void **state) {
        struct scene scene = start_many(rig_here(state));
        struct probe_hit hit;

        assert_int_equal(truncate(scene.path, 700 * RIG_PAGE), 0);
        for (uint64_t page = 1; page < 700; page += 3)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        for (uint64_t page = 701; page < N_MANY; page += 30)
                if (bf_page_state(scene.fileh, page * RIG_PAGE) == BF_PAGE_EMPTY) {
                        assert_int_equal(probe_read(at(&scene, page), NULL, &hit), SIGBUS);
                        assert_int_equal(hit.error, ENXIO);
                }
}

/* What the kernel has dropped of it is read. */
static void test_dropped_where_much_is_read(void **state) {
        struct scene scene = start_many(rig_here(state));
        int fd = open(scene.path, O_RDONLY | O_CLOEXEC);

        assert_int_equal(fsync(fd), 0);
        for (unsigned round = 0; round < 5; round++) {
                assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
                assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
                for (uint64_t page = 0; page < N_MANY; page++)
                        assert_int_equal(*rig_word(scene.map, page * 7 % N_MANY, 0), page * 7 % N_MANY);
        }
        close(fd);
}

static uint64_t file_size(const char *path) {
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return (uint64_t) st.st_size;
}

static void check_gone(const struct scene *scene, uint64_t page) {
        struct probe_hit hit;

        assert_int_equal(probe_read(at(scene, page), NULL, &hit), SIGBUS);
        assert_int_equal(hit.known, 0);
        assert_int_equal(hit.error, ENXIO);
}

/* --- shorter ------------------------------------------------------------------------------------------------------------------------------------ */

/* what is gone is an error, of its own kind and said; what is in RAM stays */
static void test_truncated(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(truncate(scene.path, 10 * RIG_PAGE + 64), 0);
        check_gone(&scene, 20);
        check_gone(&scene, 10); /* also where a part is there: nobody takes the rest for zeros */
        assert_true(daemonproc_says(&scene.rig->daemon, "it was truncated"));
        assert_int_equal(bf_load(scene.fileh, 21 * RIG_PAGE, RIG_PAGE), -ENXIO);
        assert_non_null(strstr(bf_errmsg(), "truncated"));
        assert_int_equal(bf_load(scene.fileh, 60 * RIG_PAGE, RIG_PAGE), -ENXIO);
        assert_null(strstr(bf_errmsg(), "truncated"));
        assert_int_equal(*rig_word(scene.map, 3, 1), 3);
        assert_int_equal(*rig_word(scene.map, 9, 0), 9);
        assert_int_equal(*rig_word(scene.map, 30, 0), 3000);
        assert_int_equal(rig_stat(scene.fileh).size, N_PAGES * RIG_PAGE);
        assert_states(scene.fileh, 30, "D");

        assert_int_equal(tempfile_make_identity(scene.path, N_PAGES, RIG_PAGE), 0); /* it is put right */
        check_gone(&scene, 20);
        assert_int_equal(bf_invalidate(scene.fileh, 20 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 20, 0), 20);
        assert_int_equal(bf_load(scene.fileh, 21 * RIG_PAGE, RIG_PAGE), 0);
}

/* a store behind the new end makes the file longer again; in between is what a file system puts there: zeros */
static void test_stored_behind_the_end(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(truncate(scene.path, 10 * RIG_PAGE), 0);
        check_gone(&scene, 20);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(file_size(scene.path), 31 * RIG_PAGE);
        assert_int_equal(rig_file_word(scene.path, 30), 3000);
        assert_int_equal(bf_invalidate(scene.fileh, 0, UINT64_MAX), 0);
        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
        assert_int_equal(*rig_word(scene.map, 20, 0), 0);
        assert_int_equal(*rig_word(scene.map, 30, 0), 3000);
        check_gone(&scene, 31);
}

/* and so does bf_resize(), to what it says */
static void test_truncated_and_grown(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(truncate(scene.path, 10 * RIG_PAGE), 0);
        assert_int_equal(bf_resize(scene.fileh, N_PAGES * RIG_PAGE), 0);
        assert_int_equal(file_size(scene.path), N_PAGES * RIG_PAGE);
        assert_int_equal(*rig_word(scene.map, 20, 0), 0);
        assert_int_equal(*rig_word(scene.map, 30, 0), 3000);
}

/* the next daemon takes it up as it is */
static void test_truncated_and_restarted(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(truncate(scene.path, 10 * RIG_PAGE), 0);
        check_gone(&scene, 20);
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(scene.rig);
        check_gone(&scene, 20);
        check_gone(&scene, 21);
        assert_int_equal(*rig_word(scene.map, 30, 0), 3000);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 30), 3000);
}

/* --- longer ------------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t word_at(const char *path, uint64_t offset) {
        uint64_t word;

        assert_int_equal(tempfile_read(path, offset, &word, sizeof(word)), 0);
        return word;
}

/* another process appends: the handle sees it after bf_resize(), which cuts nothing off, and stores nothing over it before */
static void test_grown(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "data", N_PAGES) };
        const uint64_t size = (N_PAGES - 1) * RIG_PAGE + 64, appended = 4711;
        uint64_t *more;
        void *none;

        assert_int_equal(truncate(scene.path, (off_t) size), 0);
        start_daemon(rig);
        open_file(&scene, 0);
        *rig_word(scene.map, N_PAGES - 1, 0) = 4900; /* the last block, of which 64 bytes are in the file */
        *rig_word(scene.map, N_PAGES - 1, 8) = 1;    /* behind the end: never stored */
        assert_int_equal(tempfile_write(scene.path, size, &appended, sizeof(appended)), 0);
        assert_int_equal(tempfile_write(scene.path, 60 * RIG_PAGE, &appended, sizeof(appended)), 0);
        assert_int_equal(rig_stat(scene.fileh).size, size);
        assert_int_equal(bf_mmap(scene.fileh, 60 * RIG_PAGE, RIG_PAGE, PROT_READ, &none), -ENXIO);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(word_at(scene.path, (N_PAGES - 1) * RIG_PAGE), 4900);
        assert_int_equal(word_at(scene.path, size), appended);

        assert_int_equal(bf_resize(scene.fileh, 55 * RIG_PAGE), 0); /* less than it has now */
        assert_int_equal(file_size(scene.path), 60 * RIG_PAGE + sizeof(appended));
        assert_int_equal(bf_resize(scene.fileh, 61 * RIG_PAGE), 0);
        more = rig_map(scene.fileh, 50, 11);
        assert_int_equal(*rig_word(more, 10, 0), appended);
        assert_int_equal(*rig_word(more, 5, 0), 0);
}

/* --- another one -------------------------------------------------------------------------------------------------------------------------------- */

/* another file takes the name: a handle stays with the file it opened, also over a restart; who opens anew gets the new one */
static void check_replaced(struct rig *rig, uint32_t flags) {
        struct scene scene = { .rig = rig }, anew = { .rig = rig };
        const char *other = rig_path(rig, "other"), *kept = rig_path(rig, "kept");

        start_daemon(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        anew.path = scene.path;
        open_file(&scene, flags);
        *rig_word(scene.map, 30, 0) = 3000;
        assert_int_equal(link(scene.path, kept), 0); /* for the test to look at */
        assert_int_equal(tempfile_make_sparse(other, N_PAGES * RIG_PAGE), 0);
        assert_int_equal(rename(other, scene.path), 0);
        open_file(&anew, flags);
        assert_int_equal(*rig_word(anew.map, 20, 0), 0);
        assert_int_equal(*rig_word(anew.map, 30, 0), 0);
        assert_int_equal(*rig_word(scene.map, 20, 0), 20);
        daemonproc_kill(&rig->daemon);
        start_daemon(rig);
        assert_int_equal(*rig_word(scene.map, 21, 0), 21);
        *rig_word(scene.map, 22, 0) = 2200;
        *rig_word(anew.map, 31, 0) = 3100;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(bf_writeout(anew.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(kept, 30), 3000);
        assert_int_equal(rig_file_word(kept, 22), 2200);
        assert_int_equal(rig_file_word(kept, 31), 31);
        assert_int_equal(rig_file_word(scene.path, 30), 0);
        assert_int_equal(rig_file_word(scene.path, 31), 3100);
}

static void test_replaced(void **state) {
        check_replaced(rig_here(state), 0);
}

static void test_replaced_shared(void **state) {
        check_replaced(rig_here(state), BF_SHARED);
}

/* the name goes: the file lives as long as somebody has it open */
static void test_removed(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_fileh *none = NULL;
        uint64_t word;
        int fd;

        fd = open(scene.path, O_RDWR | O_CLOEXEC); /* for the test to look at */
        assert_true(fd >= 0);
        assert_int_equal(unlink(scene.path), 0);
        assert_int_equal(bf_open(scene.rig->clients[0], scene.path, O_RDWR, NULL, &none), -ENOENT);
        assert_int_equal(*rig_word(scene.map, 20, 0), 20);
        daemonproc_kill(&scene.rig->daemon);
        start_daemon(scene.rig);
        assert_int_equal(*rig_word(scene.map, 21, 0), 21);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(pread(fd, &word, sizeof(word), 30 * RIG_PAGE), sizeof(word));
        assert_int_equal(word, 3000);
        close(fd);
}

/* --- no room ------------------------------------------------------------------------------------------------------------------------------------ */

/* Exactly those before some page are stored and marked; it and all behind it are dirty, and readable. Returns how many are stored. */
static uint64_t check_half_way(const struct scene *scene, uint64_t n_pages, uint64_t plus) {
        uint64_t n_stored = 0;

        while (n_stored < n_pages && bf_page_state(scene->fileh, n_stored * RIG_PAGE) == BF_PAGE_LOADED)
                n_stored++;
        for (uint64_t page = 0; page < n_pages; page++) {
                assert_states(scene->fileh, page, page < n_stored ? "L" : "D");
                assert_int_equal(*rig_word(scene->map, page, 511), page + plus);
                if (page < n_stored)
                        assert_int_equal(word_at(scene->path, page * RIG_PAGE + 511 * 8), page + plus);
        }
        assert_int_equal(rig_stat(scene->fileh).dirty_bytes, (n_pages - n_stored) * RIG_PAGE);
        return n_stored;
}

static void write_pages(const struct scene *scene, uint64_t n_pages, uint64_t plus) {
        for (uint64_t page = 0; page < n_pages; page++)
                for (size_t word = 0; word < 512; word++)
                        *rig_word(scene->map, page, word) = page + plus;
}

/* the daemon may write files up to a size only, as a private one inherits it from its client's shell */
static void test_file_size_limit(void **state) {
        struct scene scene = start(rig_here(state));
        struct rlimit limit = { 20 * RIG_PAGE + 100, RLIM_INFINITY };
        struct bf_fileh *none = NULL;

        write_pages(&scene, N_PAGES, 1000);
        assert_int_equal(prlimit(scene.rig->daemon.pid, RLIMIT_FSIZE, &limit, NULL), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), -EFBIG);
                assert_int_equal(check_half_way(&scene, N_PAGES, 1000), 20);
        }
        assert_int_equal(bf_open(scene.rig->clients[0], scene.path, O_RDWR, NULL, &none), -EFBIG);
        assert_int_equal(bf_resize(scene.fileh, 2 * N_PAGES * RIG_PAGE), -EFBIG);
        limit.rlim_cur = RLIM_INFINITY;
        assert_int_equal(prlimit(scene.rig->daemon.pid, RLIMIT_FSIZE, &limit, NULL), 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(word_at(scene.path, page * RIG_PAGE + 511 * 8), page + 1000);

        limit.rlim_cur = 0; /* what it has to say as it ends is lost, and no more than that */
        assert_int_equal(prlimit(scene.rig->daemon.pid, RLIMIT_FSIZE, &limit, NULL), 0);
        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
}

#define SMALL_DISK_PAGES 400

/* A tmpfs of 1 MiB that only this process sees; it grows when it is told to. */
static int serve_small_disk(int line, void *arg) {
        const char *dir = arg;

        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", dir, "tmpfs", 0, "size=1M") < 0) {
                child_say(line, 1);
                return 0;
        }
        child_say(line, 0);
        while (child_hear(line) != CHILD_GONE) {
                CHILD_CHECK(mount("none", dir, "tmpfs", MS_REMOUNT, "size=4M") == 0);
                child_say(line, 0);
        }
        return 0;
}

/* a real file system that fills up in the middle of a writeout */
static void test_small_disk(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig };
        struct child *child;
        uint64_t n_stored;
        char path[96];

        start_daemon(rig);
        child = rig_child(rig, serve_small_disk, rig->dir);
        if (child_hear(child->line) != 0) {
                print_message("skipped: this process may not mount\n");
                skip();
        }
        snprintf(path, sizeof(path), "/proc/%d/root%s/data", child->pid, rig->dir);
        scene.path = path;
        assert_int_equal(tempfile_make_sparse(path, SMALL_DISK_PAGES * RIG_PAGE), 0);
        scene.fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, SMALL_DISK_PAGES);
        write_pages(&scene, SMALL_DISK_PAGES, 1000);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), -ENOSPC);
                n_stored = check_half_way(&scene, SMALL_DISK_PAGES, 1000);
                assert_true(n_stored > 100 && n_stored <= 256);
        }
        child_say(child->line, 0);
        assert_int_equal(child_hear(child->line), 0);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        for (uint64_t page = 0; page < SMALL_DISK_PAGES; page++)
                assert_int_equal(word_at(path, page * RIG_PAGE + 511 * 8), page + 1000);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_changed_where_much_is_read),
                RIG_TEST(test_truncated_where_much_is_read),
                RIG_TEST(test_dropped_where_much_is_read),
                RIG_TEST(test_truncated),
                RIG_TEST(test_stored_behind_the_end),
                RIG_TEST(test_truncated_and_grown),
                RIG_TEST(test_truncated_and_restarted),
                RIG_TEST(test_grown),
                RIG_TEST(test_replaced),
                RIG_TEST(test_replaced_shared),
                RIG_TEST(test_removed),
                RIG_TEST(test_file_size_limit),
                RIG_TEST(test_small_disk),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("file changes", tests, NULL, NULL);
}
