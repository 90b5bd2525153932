/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is told and what is not: levels, one line an event, so many of each message, and what sinks get. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"

static struct {
        unsigned n;
        enum log_level level;
        char text[2000];
        struct log_about about;
} taken;

static bool take(enum log_level level, const char *text, const struct log_about *about) {
        taken.n++;
        taken.level = level;
        taken.about = *about;
        snprintf(taken.text, sizeof(taken.text), "%s", text);
        return true;
}

static int begin(void **state) {
        (void) state;
        memset(&taken, 0, sizeof(taken));
        log_set_sink(take);
        log_set_level(LOG_LEVEL_INFO);
        return 0;
}

static void test_levels(void **state) {
        enum log_level level;

        (void) state;
        log_debug("no");
        assert_int_equal(taken.n, 0);
        log_info("%s %d", "yes", 5);
        assert_int_equal(taken.n, 1);
        assert_int_equal(taken.level, LOG_LEVEL_INFO);
        assert_string_equal(taken.text, "yes 5");
        log_set_level(LOG_LEVEL_ERROR);
        log_warning("no");
        assert_int_equal(taken.n, 1);
        log_set_level(LOG_LEVEL_DEBUG);
        log_debug("yes");
        assert_int_equal(taken.n, 2);
        for (unsigned i = 0; i < N_LOG_LEVELS; i++) {
                assert_int_equal(log_level_parse(log_level_name((enum log_level) i), &level), 0);
                assert_int_equal(level, i);
        }
        assert_int_equal(log_level_parse("loud", &level), -EINVAL);
}

/* A name of a file may have anything in it. */
static void test_one_line(void **state) {
        char huge[5000];

        (void) state;
        log_info("a\nb\x1b[31mc\td%s", "\r\n<3>e");
        assert_string_equal(taken.text, "a?b?[31mc?d?" "?<3>e");
        memset(huge, 'x', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = '\0';
        log_info("%s", huge);
        assert_in_range(strlen(taken.text), 1000, 2000);
}

static void test_about(void **state) {
        const struct log_about about = { .pid = 7, .has_uid = true, .uid = 8, .file = "/data", .error = -EIO };

        (void) state;
        errno = EXDEV;
        log_about(LOG_LEVEL_WARNING, &about, "what");
        assert_int_equal(errno, EXDEV);
        assert_int_equal(taken.about.pid, 7);
        assert_int_equal(taken.about.uid, 8);
        assert_string_equal(taken.about.file, "/data");
        assert_int_equal(taken.about.error, -EIO);
        log_warning("nothing");
        assert_int_equal(taken.about.pid, 0);
        assert_false(taken.about.has_uid);
        assert_null(taken.about.file);
}

static void one_message(unsigned i) {
        log_warning("number %u", i);
}

/* Each message in the code is counted by itself; debug is not. */
static void test_suppressed(void **state) {
        (void) state;
        for (unsigned i = 0; i < 1000; i++)
                one_message(i);
        assert_int_equal(taken.n, RATELIMIT_BURST);
        log_warning("another");
        assert_int_equal(taken.n, RATELIMIT_BURST + 1);
        for (unsigned i = 0; i < 100; i++)
                log_each(LOG_LEVEL_WARNING, "always");
        assert_int_equal(taken.n, RATELIMIT_BURST + 101);
        log_each(LOG_LEVEL_DEBUG, "no");
        taken.n -= 100;
        log_flush(); /* the time is not over */
        assert_int_equal(taken.n, RATELIMIT_BURST + 1);
        log_set_level(LOG_LEVEL_DEBUG);
        for (unsigned i = 0; i < 1000; i++)
                log_debug("number %u", i);
        assert_int_equal(taken.n, RATELIMIT_BURST + 1001);
}

/* A site whose time is over, as if it had passed. */
static void test_suppressed_is_told(void **state) {
        static struct log_site site;

        (void) state;
        for (unsigned i = 0; i < RATELIMIT_BURST + 3; i++)
                log_write(LOG_LEVEL_WARNING, &site, NULL, "number %u", i);
        assert_int_equal(taken.n, RATELIMIT_BURST);
        site.limit.begun -= RATELIMIT_USEC;
        log_flush();
        assert_int_equal(taken.n, RATELIMIT_BURST + 1);
        assert_int_equal(taken.level, LOG_LEVEL_WARNING);
        assert_string_equal(taken.text, "3 more of these were not told, the last one: number 22");
        log_flush();
        log_write(LOG_LEVEL_WARNING, &site, NULL, "again");
        assert_int_equal(taken.n, RATELIMIT_BURST + 2);
        assert_string_equal(taken.text, "again");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_levels, begin),
                cmocka_unit_test_setup(test_one_line, begin),
                cmocka_unit_test_setup(test_about, begin),
                cmocka_unit_test_setup(test_suppressed, begin),
                cmocka_unit_test_setup(test_suppressed_is_told, begin),
        };

        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
