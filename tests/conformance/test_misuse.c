/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A client that meddles with its own mappings and descriptors by plain system calls: the result is defined (never silent zeros where the file
 * has something else), and another client notices nothing.
 */

#include <dirent.h>
#include <errno.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 40

struct scene {
        struct bf_client *client;
        struct bf_fileh *fileh, *bystander;
        uint64_t *map, *other; /* of all pages */
};

/* Page 10 is loaded, page 11 dirty (1100), page 12 not there. */
static struct scene set_scene(struct rig *rig) {
        const char *path = rig_identity(rig, "data", N_PAGES);
        struct scene scene;

        scene.client = rig_client(rig);
        scene.fileh = rig_open(scene.client, path, O_RDWR, 0);
        scene.map = rig_map(scene.fileh, 0, N_PAGES);
        scene.bystander = rig_open(rig_client(rig), path, O_RDWR, 0);
        scene.other = rig_map(scene.bystander, 0, N_PAGES);
        *rig_word(scene.other, 30, 0) = 3000;
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 11, 0) = 1100;
        return scene;
}

static struct scene start(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", NULL);
        return set_scene(rig);
}

static void *at(const struct scene *scene, uint64_t page) {
        return (void *) (uintptr_t) rig_word(scene->map, page, 0);
}

static void assert_bystander_well(const struct scene *scene) {
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(scene->other, page, 0), page == 30 ? 3000 : page);
        assert_int_equal(bf_invalidate(scene->bystander, 0, 20 * RIG_PAGE), 0);
        assert_states(scene->bystander, 30, "D");
}

/* MADV_DONTNEED takes pages out of the mapping, not out of the memory: all is as before, writes are still tracked */
static void test_dontneed(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(madvise(scene.map, N_PAGES * RIG_PAGE, MADV_DONTNEED), 0);
        assert_states(scene.fileh, 10, "LDE");
        assert_int_equal(*rig_word(scene.map, 11, 0), 1100);
        *rig_word(scene.map, 10, 0) = 1000; /* written before it is read again */
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
        assert_states(scene.fileh, 10, "DDL");
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        assert_int_equal(*rig_word(scene.map, 11, 0), 11);
        assert_bystander_well(&scene);
}

/* MADV_REMOVE takes pages out of the memory: what was there is lost, and what is seen then is the file */
static void test_remove(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(madvise(scene.map, N_PAGES * RIG_PAGE, MADV_REMOVE), 0);
        for (uint64_t page = 8; page < 14; page++)
                assert_int_equal(*rig_word(scene.map, page, 0), page);
        *rig_word(scene.map, 12, 0) = 1200;
        assert_int_equal(madvise(at(&scene, 12), RIG_PAGE, MADV_REMOVE), 0);
        *rig_word(scene.map, 12, 1) = 1201; /* a write comes first */
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_states(scene.fileh, 12, "L");
        assert_bystander_well(&scene);
}

/* a dirty page that its own client removed: a writeout stores no zeros in its place */
static void test_writeout_of_removed_pages(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t stored;

        assert_int_equal(madvise(at(&scene, 11), RIG_PAGE, MADV_REMOVE), 0);
        (void) bf_writeout(scene.fileh, RIG_STORE_MARK);
        stored = rig_file_word(rig->paths[0], 11);
        assert_true(stored == 11 || stored == 1100);
        assert_bystander_well(&scene);
}

/* pages unmapped or made inaccessible behind the library's back */
static void test_munmap_and_mprotect(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(mprotect(at(&scene, 10), 3 * RIG_PAGE, PROT_NONE), 0);
        assert_int_equal(probe_read(at(&scene, 11), NULL, NULL), SIGSEGV);
        assert_int_equal(mprotect(at(&scene, 10), 3 * RIG_PAGE, PROT_READ | PROT_WRITE), 0);
        assert_int_equal(*rig_word(scene.map, 11, 0), 1100);
        *rig_word(scene.map, 10, 0) = 1000;
        assert_int_equal(*rig_word(scene.map, 12, 0), 12);
        assert_states(scene.fileh, 10, "DDL");
        assert_int_equal(munmap(at(&scene, 20), 4 * RIG_PAGE), 0);
        assert_int_equal(probe_read(at(&scene, 21), NULL, NULL), SIGSEGV);
        assert_int_equal(*rig_word(scene.map, 24, 0), 24);
        assert_int_equal(*rig_word(scene.map, 19, 0), 19);
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.map, 10, 0), 10);
        *rig_word(scene.map, 24, 0) = 2400;
        assert_states(scene.fileh, 24, "D");
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_bystander_well(&scene);
}

/* The descriptors of this process that are such things. */
static size_t find_fds(const char *target, int *ret_fds, size_t max) {
        DIR *dir = opendir("/proc/self/fd");
        char path[300], text[128];
        size_t n = 0;

        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry && n < max; entry = readdir(dir)) {
                ssize_t k;

                snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
                k = readlink(path, text, sizeof(text) - 1);
                if (k <= 0)
                        continue;
                text[k] = '\0';
                if (strncmp(text, target, strlen(target)) == 0)
                        ret_fds[n++] = atoi(entry->d_name);
        }
        closedir(dir);
        return n;
}

/* what the client does to its memory through the memory's descriptor: the file is what is seen in the end; the memory cannot be shrunk under the
 * daemon */
static void test_memory_descriptor(void **state) {
        struct scene scene = start(rig_here(state));
        int fds[8];
        size_t n = find_fds("/memfd:", fds, 8);

        assert_true(n > 0);
        for (size_t i = 0; i < n; i++) {
                if ((fcntl(fds[i], F_GETFL) & O_ACCMODE) != O_RDWR)
                        continue;
                assert_int_equal(ftruncate(fds[i], 0), -1);
                assert_int_equal(fallocate(fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 20 * RIG_PAGE), 0);
                assert_int_equal(fallocate(fds[i], 0, 12 * RIG_PAGE, 4 * RIG_PAGE), 0); /* zeros that nobody loaded */
        }
        for (uint64_t page = 8; page < 20; page++) { /* the bystander's memory was hit as well: it is this same process's */
                assert_int_equal(*rig_word(scene.map, page, 0), page);
                assert_int_equal(*rig_word(scene.map, page, 511), page);
                assert_int_equal(*rig_word(scene.other, page, 0), page);
        }
}

/* The one that is new: in now, not in before. */
static int find_new(const int *now, size_t n_now, const int *before, size_t n_before) {
        for (size_t i = 0; i < n_now; i++) {
                size_t k = 0;

                while (k < n_before && before[k] != now[i])
                        k++;
                if (k == n_before)
                        return now[i];
        }
        return -1;
}

/* the userfaultfd is made to block: the daemon does not hang on it, and drops who does such things, or goes on; the other is served in any case */
static void test_blocking_userfaultfd(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        struct bf_fileh *fileh;
        uint64_t value = 12;
        int before[16], fds[16], mine;
        size_t n_before = find_fds("anon_inode:[userfaultfd]", before, 16);

        fileh = rig_open(scene.client, rig->paths[0], O_RDWR, 0);
        scene.map = rig_map(fileh, 0, N_PAGES);
        mine = find_new(fds, find_fds("anon_inode:[userfaultfd]", fds, 16), before, n_before);
        assert_true(mine >= 0);
        assert_int_equal(fcntl(mine, F_SETFL, fcntl(mine, F_GETFL) & ~O_NONBLOCK), 0);
        if (probe_read(at(&scene, 12), &value, NULL) == 0)
                assert_int_equal(value, 12);
        assert_bystander_well(&scene);
}

/* --- mremap(2) ---------------------------------------------------------------------------------------------------------------------------------- */

#define TIMEOUT "0.3"

/* A place for so many pages, kept free for them; anywhere, or there. */
static void *keep_place(void *at, size_t n_pages) {
        int flags = at ? MAP_FIXED_NOREPLACE : 0;
        void *place = mmap(at, n_pages * RIG_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

        assert_ptr_not_equal(place, MAP_FAILED);
        return place;
}

static void *find_place(size_t n_pages) {
        return keep_place(NULL, n_pages);
}

/* To a place that was kept; where it was is kept then. */
static uint64_t *move(uint64_t *map, uint64_t page, size_t n_pages, int flags, void *to) {
        void *from = (void *) (uintptr_t) rig_word(map, page, 0);
        void *moved = mremap(from, n_pages * RIG_PAGE, n_pages * RIG_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to);

        assert_ptr_not_equal(moved, MAP_FAILED);
        if (!(flags & MREMAP_DONTUNMAP))
                keep_place(from, n_pages);
        return moved;
}

/* a moved mapping is served where it is: pages in RAM and others, first writes, writeout, discard; and unmapped when it is back */
static void test_move(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t *moved = move(scene.map, 0, N_PAGES, 0, find_place(N_PAGES));

        assert_int_equal(probe_read(scene.map, NULL, NULL), SIGSEGV);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(moved, page, 0), page == 11 ? 1100 : page);
        *rig_word(moved, 10, 0) = 1000;
        *rig_word(moved, 25, 0) = 2500;
        assert_states(scene.fileh, 10, "DD");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(rig->paths[0], 10), 1000);
        assert_int_equal(rig_file_word(rig->paths[0], 25), 2500);
        assert_access(rig_word(moved, 25, 0), "R");
        *rig_word(moved, 25, 0) = 2501; /* protected again by the writeout */
        assert_states(scene.fileh, 25, "D");
        assert_int_equal(bf_discard(scene.fileh), 0);
        assert_int_equal(*rig_word(moved, 25, 0), 2500);
        assert_int_equal(bf_munmap(scene.map), -EFAULT);
        assert_non_null(strstr(bf_errmsg(), "mremap"));
        assert_int_equal(bf_close(scene.fileh), -EBUSY);
        (void) move(moved, 0, N_PAGES, 0, scene.map);
        assert_int_equal(*rig_word(scene.map, 25, 0), 2500);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
        assert_int_equal(*rig_word(scene.other, 30, 0), 3000);
}

/* pages moved out of the middle of a mapping, one by one, and back in another order */
static void test_move_pieces(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t *moved[8];

        for (uint64_t i = 0; i < 8; i++)
                moved[i] = move(scene.map, 8 + i, 1, 0, find_place(1));
        for (uint64_t i = 0; i < 8; i++) {
                assert_int_equal(*rig_word(moved[i], 0, 0), i == 3 ? 1100 : 8 + i);
                *rig_word(moved[i], 0, 1) = i;
        }
        assert_states(scene.fileh, 7, "EDDDDDDDDE");
        assert_int_equal(*rig_word(scene.map, 7, 0), 7);
        assert_int_equal(*rig_word(scene.map, 16, 0), 16);
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        for (uint64_t i = 0; i < 8; i++)
                assert_access(rig_word(moved[i], 0, 0), "R");
        assert_int_equal(bf_munmap(scene.map), -EFAULT);
        for (uint64_t i = 0; i < 8; i++)
                (void) move(moved[i * 5 % 8], 0, 1, 0, at(&scene, 8 + i * 5 % 8));
        for (uint64_t i = 0; i < 8; i++)
                assert_int_equal(*rig_word(scene.map, 8 + i, 1), i);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
}

/* moved over a part of itself, which so goes; and a copy left behind, of which the daemon knows nothing */
static void test_move_over_and_leave_behind(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene;

        rig_daemon(rig, "--room-timeout", TIMEOUT, NULL);
        scene = set_scene(rig);
        (void) move(scene.map, 10, 2, 0, at(&scene, 20));
        assert_int_equal(*rig_word(scene.map, 20, 0), 10);
        assert_int_equal(*rig_word(scene.map, 21, 0), 1100);
        assert_int_equal(*rig_word(scene.map, 22, 0), 22);
        *rig_word(scene.map, 20, 0) = 1000;
        assert_states(scene.fileh, 10, "DD");
        assert_states(scene.fileh, 20, "E");
        (void) move(scene.map, 30, 1, MREMAP_DONTUNMAP, find_place(1));
        assert_int_equal(probe_read(at(&scene, 30), NULL, NULL), SIGBUS);
        assert_int_equal(*rig_word(scene.map, 31, 0), 31);
        assert_bystander_well(&scene);
}

/* what is added to a mapping raises SIGBUS, and nobody spins there: the daemon is woken some times a second */
static void test_grow(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene;
        struct daemonproc_usage before, after;
        uint64_t *grown;

        rig_daemon(rig, "--room-timeout", TIMEOUT, NULL);
        scene = set_scene(rig);
        grown = mremap(scene.map, 10 * RIG_PAGE, 15 * RIG_PAGE, MREMAP_MAYMOVE);
        assert_ptr_not_equal(grown, MAP_FAILED);
        for (uint64_t page = 0; page < 10; page++)
                assert_int_equal(*rig_word(grown, page, 0), page);
        assert_int_equal(daemonproc_usage(&rig->daemon, &before), 0);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(grown, 12, 0), NULL, NULL), SIGBUS);
        assert_int_equal(probe_write((void *) (uintptr_t) rig_word(grown, 13, 0), 1, NULL), SIGBUS);
        assert_int_equal(daemonproc_usage(&rig->daemon, &after), 0);
        assert_in_range(after.n_wakeups - before.n_wakeups, 1, 200);
        assert_states(scene.fileh, 12, "EE");
        assert_int_equal(*rig_word(scene.map, 15, 0), 15);
        assert_bystander_well(&scene);
}

/* a block of many pages torn apart: its pages that are not in the mapping yet raise SIGBUS, whole blocks go on */
static void test_move_half_a_block(void **state) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = 4 * RIG_PAGE };
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh;
        uint64_t *map, *moved;

        rig_daemon(rig, "--room-timeout", TIMEOUT, NULL);
        assert_int_equal(bf_open(rig_client(rig), rig_identity(rig, "data", N_PAGES), O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        map = rig_map(fileh, 0, N_PAGES);
        *rig_word(map, 0, 0) = 1000;
        moved = move(map, 2, 8, 0, find_place(8)); /* blocks 0 and 2 are torn, block 1 is moved */
        assert_int_equal(*rig_word(map, 0, 0), 1000);
        assert_int_equal(*rig_word(moved, 0, 0), 2); /* of block 0, in RAM */
        *rig_word(moved, 0, 1) = 1002;
        for (uint64_t page = 4; page < 8; page++)
                assert_int_equal(*rig_word(moved, page - 2, 0), page);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(moved, 7, 0), NULL, NULL), SIGBUS);
        assert_int_equal(probe_write((void *) (uintptr_t) rig_word(map, 11, 0), 1, NULL), SIGBUS);
        assert_int_equal(*rig_word(map, 12, 0), 12);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_access(rig_word(moved, 0, 0), "R"); /* torn or not: what is stored holds still */
        assert_int_equal(rig_file_word(rig->paths[0], 0), 1000);
}

/* the next daemon is shown mappings where they were: elsewhere, what is in RAM can be seen, and what is not raises SIGBUS */
static void test_move_and_another_daemon(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene;
        uint64_t *moved;

        rig_daemon(rig, "--room-timeout", TIMEOUT, NULL);
        scene = set_scene(rig);
        moved = move(scene.map, 10, 4, 0, find_place(4));
        assert_int_equal(*rig_word(moved, 1, 0), 1100);
        daemonproc_kill(&rig->daemon);
        rig_daemon(rig, "--room-timeout", TIMEOUT, NULL);
        assert_int_equal(*rig_word(scene.map, 20, 0), 20);
        assert_int_equal(*rig_word(moved, 1, 0), 1100); /* in RAM */
        assert_int_equal(*rig_word(moved, 0, 0), 10);
        assert_int_equal(probe_read((void *) (uintptr_t) rig_word(moved, 2, 0), NULL, NULL), SIGBUS); /* not in RAM: no zeros */
        assert_states(scene.fileh, 10, "LDE");
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(rig->paths[0], 11), 1100);
        assert_int_equal(*rig_word(scene.other, 30, 0), 3000);
}

/* at the end of the client what has taken the place of a moved mapping stays */
static void test_disconnect_after_a_move(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = start(rig);
        uint64_t *place, *moved = move(scene.map, 0, N_PAGES, 0, find_place(N_PAGES));

        assert_int_equal(*rig_word(moved, 11, 0), 1100);
        place = mmap(scene.map, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        assert_ptr_equal(place, scene.map);
        *rig_word(place, 5, 0) = 4711;
        rig_disconnect(rig, scene.client);
        assert_int_equal(*rig_word(place, 5, 0), 4711);
        assert_int_equal(munmap(place, N_PAGES * RIG_PAGE), 0);
        assert_int_equal(munmap(moved, N_PAGES * RIG_PAGE), 0);
        assert_bystander_well(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_dontneed),
                RIG_TEST(test_remove),
                RIG_TEST(test_writeout_of_removed_pages),
                RIG_TEST(test_munmap_and_mprotect),
                RIG_TEST(test_memory_descriptor),
                RIG_TEST(test_blocking_userfaultfd),
                RIG_TEST(test_move),
                RIG_TEST(test_move_pieces),
                RIG_TEST(test_move_over_and_leave_behind),
                RIG_TEST(test_grow),
                RIG_TEST(test_move_half_a_block),
                RIG_TEST(test_move_and_another_daemon),
                RIG_TEST(test_disconnect_after_a_move),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
