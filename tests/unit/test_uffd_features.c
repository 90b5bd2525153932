/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an older kernel lacks, in words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uffd_abi.h"
#include "uffd_features.h"

static void test_nothing_is_missing(void **state) {
        char text[UFFD_FEATURES_TEXT_MAX] = "before";

        (void) state;
        assert_int_equal(uffd_features_missing(BF_UFFD_FEATURES, text), 0);
        assert_string_equal(text, "");
        assert_int_equal(uffd_features_missing(UINT64_MAX, text), 0);
}

static void test_each_is_named_with_its_version(void **state) {
        static const struct {
                uint64_t feature;
                const char *text;
        } features[] = {
                { UFFD_FEATURE_EVENT_REMAP, "EVENT_REMAP (Linux 4.11)" },
                { UFFD_FEATURE_MISSING_HUGETLBFS, "MISSING_HUGETLBFS (Linux 4.11)" },
                { UFFD_FEATURE_MISSING_SHMEM, "MISSING_SHMEM (Linux 4.11)" },
                { UFFD_FEATURE_THREAD_ID, "THREAD_ID (Linux 4.14)" },
                { UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP (Linux 5.7)" },
                { UFFD_FEATURE_MINOR_HUGETLBFS, "MINOR_HUGETLBFS (Linux 5.13)" },
                { UFFD_FEATURE_MINOR_SHMEM, "MINOR_SHMEM (Linux 5.14)" },
                { UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "WP_HUGETLBFS_SHMEM (Linux 5.19)" },
                { UFFD_FEATURE_POISON, "POISON (Linux 6.6)" },
        };
        char text[UFFD_FEATURES_TEXT_MAX];
        uint64_t all = 0;

        (void) state;
        for (unsigned i = 0; i < sizeof(features) / sizeof(*features); i++) {
                assert_int_equal(uffd_features_missing(BF_UFFD_FEATURES & ~features[i].feature, text), 1);
                assert_string_equal(text, features[i].text);
                all |= features[i].feature;
        }
        assert_int_equal(all, BF_UFFD_FEATURES);
}

static void test_all_are_named_and_fit(void **state) {
        char text[UFFD_FEATURES_TEXT_MAX];
        unsigned n_commas = 0;

        (void) state;
        assert_int_equal(uffd_features_missing(0, text), 9);
        for (const char *c = text; *c; c++)
                n_commas += *c == ',';
        assert_int_equal(n_commas, 8);
        assert_string_equal(text + strlen(text) - 11, "(Linux 6.6)");
}

/* What Debian 12's own kernel 6.1 offers. */
static void test_an_older_kernel(void **state) {
        char text[UFFD_FEATURES_TEXT_MAX];

        (void) state;
        assert_int_equal(uffd_features_missing(0x1fff, text), 1);
        assert_string_equal(text, "POISON (Linux 6.6)");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_is_missing),
                cmocka_unit_test(test_each_is_named_with_its_version),
                cmocka_unit_test(test_all_are_named_and_fit),
                cmocka_unit_test(test_an_older_kernel),
        };

        return cmocka_run_group_tests_name("uffd_features", tests, NULL, NULL);
}
