/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Views of files are of what is in RAM: none is given of what has still to come from the disk, as who copies from it would wait. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ring.h"
#include "view.h"

#define SIZE (2u << 20)
#define PART (128u << 10) /* what is read ahead at a time where the system is set up as usual */
#define SECONDS 60

static char path[64];
static char cgroup[64];

static int make_file(void) {
        static char page[4096]; /* one at a time: so that one at a time can be dropped */
        int fd;

        strcpy(path, "/var/tmp/bftest-XXXXXX"); /* on a disk, where there is one */
        fd = mkstemp(path);
        assert_true(fd >= 0);
        for (unsigned i = 0; i < SIZE / sizeof(page); i++) {
                memset(page, 'a' + (int) (i * sizeof(page) / PART), sizeof(page));
                assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
        }
        assert_int_equal(fsync(fd), 0);
        return fd;
}

static bool write_text(const char *name, const char *text) {
        char where[160];
        int fd, n;

        snprintf(where, sizeof(where), "%s/%s", cgroup, name);
        fd = open(where, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = (int) write(fd, text, strlen(text));
        close(fd);
        return n == (int) strlen(text);
}

/* A cgroup that reads a mebibyte a second of that file's device. */
static bool make_slow(int fd) {
        char limit[64];
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup/blkio/bftest-%d", (int) getpid());
        if (mkdir(cgroup, 0755) < 0)
                return false;
        snprintf(limit, sizeof(limit), "%u:%u 1048576", major(st.st_dev), minor(st.st_dev));
        return write_text("blkio.throttle.read_bps_device", limit);
}

/* Asks for all of the file, and waits for none of it. */
static void read_ahead_slowly(int fd) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                if (!write_text("cgroup.procs", "0"))
                        _exit(1);
                for (unsigned i = 0; i < SIZE / PART; i++)
                        if (readahead(fd, i * PART, PART) < 0)
                                _exit(1);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static bool is_all_there(int fd) {
        void *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
        unsigned char there[SIZE / 4096];

        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(mincore(memory, SIZE, there), 0);
        munmap(memory, SIZE);
        for (unsigned i = 0; i < SIZE / (unsigned) sysconf(_SC_PAGESIZE); i++)
                if (!(there[i] & 1))
                        return false;
        return true;
}

static void read_part(int fd, uint64_t offset) {
        static char part[PART];

        assert_int_equal(pread(fd, part, sizeof(part), (off_t) offset), sizeof(part));
}

/* Of some file systems nothing can be had without waiting. */
static void skip_without_views(const struct views *views, int fd) {
        char byte;

        if (views && ring_read_now(fd, &byte, 1, 0) == 1)
                return;
        print_message("skipped: there are no views here (of /var/tmp, or without /proc)\n");
        skip();
}

/* As who needs the content does: without a view it is read. Views are not looked for all the time. */
static const char *wait_for_view(struct views *views, int fd, uint64_t offset) {
        const char *view;

        while (!(view = views_get(views, fd, offset, PART)))
                read_part(fd, offset);
        return view;
}

static void test_what_is_there(void **state) {
        struct views *views = views_new();
        int fd = make_file();

        (void) state;
        skip_without_views(views, fd);
        assert_int_equal(wait_for_view(views, fd, 0)[0], 'a');
        views_used(views, true);
        assert_int_equal(wait_for_view(views, fd, 3 * PART)[PART - 1], 'd');
        views_used(views, true);
        assert_null(views_get(views, fd, SIZE, PART)); /* behind the end */
        views_forget(views, fd);
        views_free(views);
        close(fd);
}

/* What was missing is there when it was read. */
static void test_a_gap(void **state) {
        struct views *views = views_new();
        int fd = make_file();

        (void) state;
        skip_without_views(views, fd);
        assert_int_equal(posix_fadvise(fd, 5 * sysconf(_SC_PAGESIZE), sysconf(_SC_PAGESIZE), POSIX_FADV_DONTNEED), 0);
        assert_int_equal(wait_for_view(views, fd, 0)[0], 'a');
        views_used(views, true);
        views_free(views);
        close(fd);
}

static void test_what_is_on_its_way(void **state) {
        struct views *views = views_new();
        int fd = make_file();

        (void) state;
        skip_without_views(views, fd);
        if (!make_slow(fd)) {
                print_message("skipped: reading cannot be made slow here (it takes root, a disk, and version 1 of the blkio controller)\n");
                skip();
        }
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        read_ahead_slowly(fd);
        assert_null(views_get(views, fd, SIZE - PART, PART));
        assert_false(is_all_there(fd)); /* nor did it wait */
        for (uint64_t offset = 0; offset < SIZE; offset += PART)
                read_part(fd, offset); /* which waits */
        assert_int_equal(wait_for_view(views, fd, SIZE - PART)[0], 'a' + SIZE / PART - 1);
        views_used(views, true);
        views_free(views);
        close(fd);
}

static int clean_up(void **state) {
        (void) state;
        (void) unlink(path);
        if (cgroup[0])
                (void) rmdir(cgroup);
        return 0;
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_what_is_there, clean_up),
                cmocka_unit_test_teardown(test_a_gap, clean_up),
                cmocka_unit_test_teardown(test_what_is_on_its_way, clean_up),
        };

        (void) alarm(SECONDS);
        return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
