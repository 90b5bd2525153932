/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reports.h"

static int make(const char *text) {
        struct report report;

        assert_int_equal(report_begin(&report), 0);
        assert_int_equal(report_add(&report, text, strlen(text)), 0);
        assert_int_equal(report_add(&report, text, strlen(text)), 0);
        assert_int_equal(report.length, 2 * strlen(text));
        assert_int_equal(report_end(&report), 0);
        return report.fd;
}

static off_t size_of(int fd) {
        struct stat stat_buf;

        assert_int_equal(fstat(fd, &stat_buf), 0);
        return stat_buf.st_size;
}

static void test_nobody_can_write_to_it(void **state) {
        int fd = make("abc");
        char text[7] = "";

        (void) state;
        assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
        assert_string_equal(text, "abcabc");
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(errno, EBADF);
        assert_int_equal(ftruncate(fd, 7), -1);
        close(fd);
}

static void test_the_oldest_are_emptied_by_number(void **state) {
        struct reports reports;
        int fds[REPORTS_MAX + 2];

        (void) state;
        reports_init(&reports);
        for (unsigned i = 0; i < REPORTS_MAX + 2; i++) {
                fds[i] = make("abc");
                assert_int_equal(reports_keep(&reports, 1, fds[i], 6), 0);
        }
        for (unsigned i = 0; i < REPORTS_MAX + 2; i++)
                assert_int_equal(size_of(fds[i]), i < 2 ? 0 : 6);
        reports_fini(&reports);
        for (unsigned i = 0; i < REPORTS_MAX + 2; i++) {
                assert_int_equal(size_of(fds[i]), 0);
                close(fds[i]);
        }
}

static void test_the_oldest_are_emptied_by_bytes(void **state) {
        struct reports reports;
        int fds[3];

        (void) state;
        reports_init(&reports);
        for (unsigned i = 0; i < 3; i++) {
                fds[i] = make("abc");
                assert_int_equal(reports_keep(&reports, 1, fds[i], REPORTS_BYTES_MAX / 2), 0);
        }
        assert_int_equal(size_of(fds[0]), 0);
        assert_int_equal(size_of(fds[1]), 6);
        assert_int_equal(size_of(fds[2]), 6);
        assert_int_equal(reports_keep(&reports, 1, fds[2], REPORTS_BYTES_MAX + 1), 0); /* one alone may be larger */
        assert_int_equal(size_of(fds[1]), 0);
        reports_fini(&reports);
        for (unsigned i = 0; i < 3; i++)
                close(fds[i]);
}

static void test_those_of_a_peer_that_goes_are_emptied(void **state) {
        struct reports reports;
        int fds[4];

        (void) state;
        reports_init(&reports);
        for (unsigned i = 0; i < 4; i++) {
                fds[i] = make("abc");
                assert_int_equal(reports_keep(&reports, 1 + i % 2, fds[i], 6), 0);
        }
        reports_forget(&reports, 2);
        reports_forget(&reports, 3);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(size_of(fds[i]), i % 2 ? 0 : 6);
        assert_int_equal(reports.n, 2);
        assert_int_equal(reports.n_bytes, 12);
        reports_fini(&reports);
        for (unsigned i = 0; i < 4; i++)
                close(fds[i]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_can_write_to_it),
                cmocka_unit_test(test_the_oldest_are_emptied_by_number),
                cmocka_unit_test(test_the_oldest_are_emptied_by_bytes),
                cmocka_unit_test(test_those_of_a_peer_that_goes_are_emptied),
        };

        return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
