/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people read: the texts of bf_errmsg(), one for each thread and never without the reason, and the guesses at misspelt words. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bfclient.h"
#include "errmsg.h"
#include "nearest.h"

static void *first_text(void *data) {
        *(char *) data = bf_errmsg()[0];
        (void) errmsg_set(-EIO, "of another thread");
        return NULL;
}

static void test_each_thread_its_own(void **state) {
        char first = 'x';
        pthread_t thread;

        (void) state;
        assert_string_equal(bf_errmsg(), "");
        assert_int_equal(errmsg_set(-EINVAL, "the number is %d", 5), -EINVAL);
        assert_int_equal(pthread_create(&thread, NULL, first_text, &first), 0);
        pthread_join(thread, NULL);
        assert_int_equal(first, '\0');
        assert_string_equal(bf_errmsg(), "the number is 5");
}

static void test_words_of_the_errno(void **state) {
        (void) state;
        assert_int_equal(errmsg_fail(-EACCES, NULL, "cannot open %s", "/x"), -EACCES);
        assert_string_equal(bf_errmsg(), "cannot open /x: Permission denied");
        assert_int_equal(errmsg_fail(-ENOTCONN, "bigfiled at /s", "cannot map %s", "/x"), -ENOTCONN);
        assert_string_equal(bf_errmsg(), "cannot map /x: the daemon is gone (bigfiled at /s)");
        assert_int_equal(errmsg_prefix(-EIO, "%s, and ", "first"), -EIO);
        assert_string_equal(bf_errmsg(), "first, and cannot map /x: the daemon is gone (bigfiled at /s)");
}

/* A name of any length leaves room for the reason and the hint. */
static void test_long_names(void **state) {
        char name[5000];

        (void) state;
        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        (void) errmsg_fail(-EACCES, "ask for it", "cannot open %s", name);
        assert_non_null(strstr(bf_errmsg(), ": Permission denied (ask for it)"));
        (void) errmsg_set(-EACCES, "cannot open " ERRMSG_NAME ": it is %s", name, "a pipe");
        assert_non_null(strstr(bf_errmsg(), ": it is a pipe"));
        (void) errmsg_prefix(-EACCES, "%s", name);
        assert_true(strlen(bf_errmsg()) < sizeof(name));
}

static void test_nearest(void **state) {
        static const char *const words[] = { "status", "stats", "reclaim", NULL };
        static const struct {
                const char *text;
                const char *nearest;
        } cases[] = {
                { "statsu", "status" }, /* "stats" is as near: the first wins */
                { "staus", "status" },
                { "sttas", "stats" },
                { "stat", "stats" },
                { "relcaim", "reclaim" },
                { "reclam", "reclaim" },
                { "reclaims", "reclaim" },
                { "rcelam", "reclaim" },
                { "claim", "reclaim" },
                { "st", NULL },
                { "peers", NULL },
                { "", NULL },
                { "x", NULL },
                { "a word that is so long that it cannot be a slip of any", NULL },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *word = nearest_word(cases[i].text, words);

                if (cases[i].nearest ? !word || strcmp(word, cases[i].nearest) != 0 : word != NULL)
                        fail_msg("\"%s\": %s", cases[i].text, word ? word : "nothing");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_thread_its_own),
                cmocka_unit_test(test_words_of_the_errno),
                cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_nearest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
