/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sizes and times as people write them: what is understood, what is refused, and that a refusal leaves the result alone. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "size.h"

#define UNTOUCHED UINT64_C(0x5a5a5a5a)

struct parse_case {
        const char *text;
        int r;
        uint64_t value;
};

static void check_cases(const struct parse_case *cases, size_t n, int (*parse)(const char *text, uint64_t *ret)) {
        for (size_t i = 0; i < n; i++) {
                uint64_t value = UNTOUCHED;
                int r = parse(cases[i].text, &value);

                if (r != cases[i].r || value != (r == 0 ? cases[i].value : UNTOUCHED))
                        fail_msg("\"%s\": %d, value %llu", cases[i].text, r, (unsigned long long) value);
        }
}

static void test_sizes(void **state) {
        static const struct parse_case cases[] = {
                { "0", 0, 0 },
                { "4096", 0, 4096 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE, 0 },
                { "99999999999999999999999", -ERANGE, 0 },
                { "1K", 0, 1024 },
                { "1k", 0, 1024 },
                { "64M", 0, UINT64_C(64) << 20 },
                { "64m", 0, UINT64_C(64) << 20 },
                { "2G", 0, UINT64_C(2) << 30 },
                { "10T", 0, UINT64_C(10) << 40 },
                { "16777215T", 0, UINT64_C(16777215) << 40 },
                { "16777216T", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "M", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "1.5G", -EINVAL, 0 },
                { "64MB", -EINVAL, 0 },
                { "64X", -EINVAL, 0 },
                { "0x10", -EINVAL, 0 },
        };

        (void) state;
        check_cases(cases, sizeof(cases) / sizeof(*cases), size_parse);
}

static void test_seconds(void **state) {
        static const struct parse_case cases[] = {
                { "0", 0, 0 },
                { "10", 0, 10000000 },
                { "0.3", 0, 300000 },
                { "1.25", 0, 1250000 },
                { "0.000001", 0, 1 },
                { "18446744073709.551615", 0, UINT64_MAX },
                { "18446744073709.551616", -ERANGE, 0 },
                { "18446744073710", -ERANGE, 0 },
                { "99999999999999999999", -ERANGE, 0 },
                { "0.0000001", -EINVAL, 0 },
                { "", -EINVAL, 0 },
                { ".5", -EINVAL, 0 },
                { "1.", -EINVAL, 0 },
                { "1.x", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "1s", -EINVAL, 0 },
                { "1.5s", -EINVAL, 0 },
                { "1,5", -EINVAL, 0 },
        };

        (void) state;
        check_cases(cases, sizeof(cases) / sizeof(*cases), seconds_parse);
}

static void test_format(void **state) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                { 0, "0 B" },
                { 1023, "1023 B" },
                { 1024, "1.0 KiB" },
                { 1536, "1.5 KiB" },
                { (1 << 20) - 1, "1023.9 KiB" },
                { 1 << 20, "1.0 MiB" },
                { UINT64_C(1288490189), "1.2 GiB" },
                { UINT64_C(10) << 40, "10.0 TiB" },
                { UINT64_MAX, "15.9 EiB" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                char text[SIZE_TEXT_MAX];

                assert_string_equal(size_format(cases[i].bytes, text), cases[i].text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_seconds),
                cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
