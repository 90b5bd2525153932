/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which URIs are allowed, and how one comes from a client. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "uri.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct judged {
        const char *allowed;
        const char *uri;
        enum uri_verdict verdict;
};

static const struct judged judged[] = {
        { NULL, "nbd://host/", URI_REFUSED },
        { URI_ANY, "nbd://host/", URI_ALLOWED_AS_SAID },
        { "nbd://host/", "nbd://host/", URI_ALLOWED_AS_SAID },
        { "nbd://host/", "nbd://host/export/1", URI_ALLOWED },
        { "nbd://host", "nbd://host/export", URI_ALLOWED },
        { "nbd://host", "nbd://host.example.net/", URI_REFUSED },
        { "nbd://host", "nbd://host:10809/", URI_REFUSED },
        { "nbd://host", "nbd://host@elsewhere/", URI_REFUSED },
        { "nbd://", "nbd://host@elsewhere/", URI_REFUSED },
        { "nbd://", "nbd://[::1]:10810/x", URI_ALLOWED },
        { "nbds://host/", "nbd://host/", URI_REFUSED },
        { "nbd://host/", "nbd://hos", URI_REFUSED },
        { "nbd+unix:///?socket=/run/nbd/", "nbd+unix:///?socket=/run/nbd/one", URI_ALLOWED },
        { "nbd+unix:///?socket=/run/nbd/", "nbd+unix:///?socket=/run/nbd/../other", URI_REFUSED },
        { "nbd+unix:///?socket=/run/nbd/", "nbd+unix:///?socket=/run/nbd/%2e%2e/other", URI_REFUSED },
        { "nbd+unix:///?socket=/run/nbd/", "nbd+unix:///?socket=/run/nbd/one&socket=/other", URI_REFUSED },
        { "nbd+unix:///?socket=/run/nbd/", "nbd+unix:///?socket=/run/nbd/one;socket=/other", URI_REFUSED },
        { "nbd+unix:///?socket=/run/nbd", "nbd+unix:///?socket=/run/nbd2/one", URI_REFUSED },
        { "nbd+unix:///a?socket=/run/one", "nbd+unix:///b?socket=/run/one", URI_REFUSED },
        { "nbds://host/x?tls-psk-file=/etc/key", "nbds://host/x?tls-psk-file=/etc/key", URI_ALLOWED_AS_SAID },
        { "nbds://host/", "nbds://host/x?tls-psk-file=/etc/key", URI_ALLOWED },
        { "nbd://a/ \t nbd://b/", "nbd://b/x", URI_ALLOWED },
        { "nbd://a/x nbd://a/", "nbd://a/x", URI_ALLOWED_AS_SAID },
        { "nbd://a/ nbd://a/x", "nbd://a/x", URI_ALLOWED_AS_SAID },
        { "nbd://a/ ", "nbd://b/", URI_REFUSED },
};

static void test_judge(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
                if (uri_judge(judged[i].uri, judged[i].allowed) != judged[i].verdict)
                        fail_msg("\"%s\" where \"%s\" is allowed", judged[i].uri, judged[i].allowed);
}

static void test_lists(void **state) {
        (void) state;
        assert_true(uri_list_is_valid("nbd://a/"));
        assert_true(uri_list_is_valid(" nbd://a/  nbds+unix:///?socket=/b "));
        assert_false(uri_list_is_valid(""));
        assert_false(uri_list_is_valid(" "));
        assert_false(uri_list_is_valid(URI_ANY));
        assert_false(uri_list_is_valid("http://a/"));
        assert_false(uri_list_is_valid("nbd://a/ b"));
        assert_false(uri_list_is_valid("nbd://a/,\x01"));
}

static void test_identity(void **state) {
        struct file_identity a = uri_identity("nbd://a/"), same = uri_identity("nbd://a/"), b = uri_identity("nbd://b/");

        (void) state;
        assert_true(file_identity_is(&a, &same));
        assert_false(file_identity_is(&a, &b));
        assert_true(a.device >> 63);
}

static int memory_with(const char *text, size_t n, int seals) {
        int fd = memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, n), n);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void assert_read(const char *text, size_t n, int seals, int expected) {
        int fd = memory_with(text, n, seals);
        char uri[URI_MAX];

        assert_int_equal(uri_read(fd, uri), expected);
        if (expected == 0)
                assert_string_equal(uri, text);
        close(fd);
}

static void test_read(void **state) {
        char longest[WIRE_NAME_MAX + 2];

        (void) state;
        assert_read("nbd://a/", 8, ALL_SEALS, 0);
        assert_read("nbd://a/", 8, ALL_SEALS & ~F_SEAL_WRITE, -EINVAL);
        assert_read("nbd://a/", 8, ALL_SEALS & ~F_SEAL_GROW, -EINVAL);
        assert_read("nbd://a/", 9, ALL_SEALS, -EINVAL);
        assert_read("nbd://a b", 9, ALL_SEALS, -EINVAL);
        assert_read("", 0, ALL_SEALS, -EINVAL);
        memset(longest, 'a', sizeof(longest));
        assert_read(longest, sizeof(longest) - 1, ALL_SEALS, -EINVAL);
        longest[WIRE_NAME_MAX] = '\0';
        assert_read(longest, WIRE_NAME_MAX, ALL_SEALS, 0);
}

static void test_read_of_a_file(void **state) {
        char uri[URI_MAX];
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        (void) state;
        assert_int_equal(uri_read(fd, uri), -EINVAL);
        close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_judge),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_identity),
                cmocka_unit_test(test_read),
                cmocka_unit_test(test_read_of_a_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
