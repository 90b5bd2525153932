/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: reading a file without waiting for it. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u
#define N_PAGES 16u

static uint8_t bytes[N_PAGES * PAGE];

/* A file of the directory of the test run that is on the disk, and not in RAM any more, where the file system can do that. */
static int open_file(void) {
        int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd < 0) {
                print_message("skipped: the file system here makes no nameless files: %s\n", strerror(errno));
                skip();
        }
        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) (i / 7);
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_int_equal(fsync(fd), 0);
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        return fd;
}

static ssize_t read_nowait(int fd, void *buf, size_t n, off_t offset) {
        struct iovec iov = { buf, n };
        ssize_t r = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);

        if (r < 0 && errno == EOPNOTSUPP) {
                close(fd);
                print_message("skipped: the file system here cannot tell what is cached\n");
                skip();
        }
        return r < 0 ? -errno : r;
}

static void test_what_is_cached_is_read_at_once(void **state) {
        uint8_t buf[sizeof(bytes)];
        int fd = open_file();

        (void) state;
        assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
        memset(buf, 0, sizeof(buf));
        assert_int_equal(read_nowait(fd, buf, sizeof(buf), 0), sizeof(buf));
        assert_memory_equal(buf, bytes, sizeof(buf));
        assert_int_equal(read_nowait(fd, buf, sizeof(buf), sizeof(bytes)), 0); /* the end */
        close(fd);
}

/* What is not cached says EAGAIN, or less than asked for: never anything false. */
static void test_what_is_not_cached_is_not_waited_for(void **state) {
        uint8_t buf[sizeof(bytes)];
        int fd = open_file();
        ssize_t n;

        (void) state;
        n = read_nowait(fd, buf, sizeof(buf), 0);
        assert_true(n == -EAGAIN || n > 0);
        if (n > 0)
                assert_memory_equal(buf, bytes, n);
        close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_cached_is_read_at_once),
                cmocka_unit_test(test_what_is_not_cached_is_not_waited_for),
        };

        return cmocka_run_group_tests_name("kernel: files", tests, NULL, NULL);
}
