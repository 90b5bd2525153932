/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The address given to bf_connect(): what each means, what is refused and in which words, and that a refusal leaves the result alone. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"
#include "bfclient.h"

#define OWN_TIMEOUT UINT64_MAX

static void test_understood(void **state) {
        static const struct {
                const char *text;
                const char *socket;
                enum address_kind kind;
                const char *path;
                uint64_t pool;
                uint64_t room_timeout_usec;
        } cases[] = {
                { NULL, NULL, ADDRESS_DEFAULT, ADDRESS_DEFAULT_SOCKET, ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { NULL, "", ADDRESS_DEFAULT, ADDRESS_DEFAULT_SOCKET, ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { NULL, "/tmp/s", ADDRESS_UNIX, "/tmp/s", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { NULL, "unix:/tmp/s", ADDRESS_UNIX, "/tmp/s", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT }, /* the variable holds a path, but an address is understood */
                { "unix:/tmp/s", "/other", ADDRESS_UNIX, "/tmp/s", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { "unix:a,b=c", NULL, ADDRESS_UNIX, "a,b=c", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { "spawn:", "/other", ADDRESS_SPAWN, "", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { "spawn:pool=2G", NULL, ADDRESS_SPAWN, "", UINT64_C(2) << 30, OWN_TIMEOUT },
                { "spawn:room-timeout=0.5", NULL, ADDRESS_SPAWN, "", ADDRESS_DEFAULT_POOL, 500000 },
                { "spawn:daemon=/opt/bigfiled", NULL, ADDRESS_SPAWN, "/opt/bigfiled", ADDRESS_DEFAULT_POOL, OWN_TIMEOUT },
                { "spawn:daemon=a=b,pool=262144,room-timeout=3", NULL, ADDRESS_SPAWN, "a=b", 262144, 3000000 },
                { "spawn:pool=1M,pool=2M", NULL, ADDRESS_SPAWN, "", UINT64_C(2) << 20, OWN_TIMEOUT }, /* the last one counts */
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct address address;

                assert_int_equal(address_parse(cases[i].text, cases[i].socket, &address), 0);
                assert_int_equal(address.kind, cases[i].kind);
                assert_string_equal(address.path, cases[i].path);
                assert_int_equal(address.pool, cases[i].pool);
                assert_int_equal(address.room_timeout_usec, cases[i].room_timeout_usec);
        }
}

static void test_a_private_daemon_from_the_environment(void **state) {
        struct address address;

        (void) state;
        assert_int_equal(address_parse(NULL, "spawn:pool=8M", &address), -EINVAL);
        assert_non_null(strstr(bf_errmsg(), "$BIGFILED_SOCKET is the path of a socket"));
}

static void check_refused(const char *text, const char *words) {
        struct address address, before;

        memset(&address, 0x5a, sizeof(address));
        before = address;
        assert_int_equal(address_parse(text, NULL, &address), -EINVAL);
        assert_memory_equal(&address, &before, sizeof(address));
        if (!strstr(bf_errmsg(), words))
                fail_msg("%s: \"%s\" does not say \"%s\"", text, bf_errmsg(), words);
}

static void test_refused(void **state) {
        (void) state;
        check_refused("", "not an address");
        check_refused("/run/s", "not an address");
        check_refused("tcp:host", "not an address");
        check_refused("spawn", "not an address");
        check_refused("unix:", "path in the address is empty");
        check_refused("spawn:daemon=", "path in the address is empty");
        check_refused("spawn:pool=", "\"\" is no size");
        check_refused("spawn:pool=lots", "\"lots\" is no size");
        check_refused("spawn:pool=99999999T", "\"99999999T\" is no size");
        check_refused("spawn:room-timeout=soon", "\"soon\" is no number of seconds");
        check_refused("spawn:spill-dir=", "path in the address is empty");
        check_refused("spawn:spill-size=lots", "\"lots\" is no size for spill-size=");
        check_refused("spawn:poool=64M", "unknown setting \"poool=64M\"");
        check_refused("spawn:pool", "unknown setting \"pool\"");
        check_refused("spawn:,", "unknown setting \"\"");
        check_refused("spawn:pool=1M,", "nothing behind the last comma");
        check_refused("spawn:pool=1M,,pool=2M", "unknown setting \"\"");
}

static void test_spilling(void **state) {
        struct address address;

        (void) state;
        assert_int_equal(address_parse("spawn:pool=1M", NULL, &address), 0);
        assert_string_equal(address.spill_dir, "");
        assert_int_equal(address.spill_size, UINT64_MAX);
        assert_int_equal(address_parse("spawn:spill-dir=/some/where,spill-size=3G", NULL, &address), 0);
        assert_string_equal(address.spill_dir, "/some/where");
        assert_int_equal(address.spill_size, UINT64_C(3) << 30);
        assert_string_equal(address.path, "");
        assert_int_equal(address_parse("spawn:spill-dir=none,daemon=/x", NULL, &address), 0);
        assert_string_equal(address.spill_dir, "none");
        assert_string_equal(address.path, "/x");
}

/* Longer than any path is said in words, not cut off. */
static void test_too_long(void **state) {
        static const char prefixes[][16] = { "unix:", "spawn:daemon=", "spawn:pool=" };

        (void) state;
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
                size_t n = strlen(prefixes[i]), n_path = 2 * ADDRESS_PATH_MAX;
                char *text = malloc(n + n_path + 1);

                memcpy(text, prefixes[i], n);
                memset(text + n, 'x', n_path);
                text[n + n_path] = '\0';
                check_refused(text, "too long");
                text[n + ADDRESS_PATH_MAX] = '\0'; /* one letter more than there is room for */
                check_refused(text, i < 2 ? "too long" : "is no size");
                free(text);
        }
}

static void test_longest(void **state) {
        char text[5 + ADDRESS_PATH_MAX] = "unix:";
        struct address address;

        (void) state;
        memset(text + 5, 'x', ADDRESS_PATH_MAX - 1);
        text[5 + ADDRESS_PATH_MAX - 1] = '\0';
        assert_int_equal(address_parse(text, NULL, &address), 0);
        assert_string_equal(address.path, text + 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_understood),
                cmocka_unit_test(test_a_private_daemon_from_the_environment),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_spilling),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
