/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which pager a handle gets. There are no threads behind it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crew.h"

/* --- in place of threads ------------------------------------------------------------------------------------------------------------------------ */

struct pager_thread {
        unsigned index;
};

static struct pager_thread threads[COMMONS_PAGERS_MAX];

int pager_thread_new(const struct pager_thread_params *params, struct pager_thread **ret) {
        threads[params->index].index = params->index;
        *ret = &threads[params->index];
        return 0;
}

void pager_thread_end(struct pager_thread *thread) {
        (void) thread;
}

bool pager_thread_join(struct pager_thread *thread) {
        (void) thread;
        return true;
}

void pager_thread_free(struct pager_thread *thread) {
        (void) thread;
}

int pager_thread_tune(struct pager_thread *thread, const struct pager_options *options) {
        (void) thread;
        (void) options;
        return 0;
}

unsigned pager_thread_poke(struct pager_thread *thread) {
        (void) thread;
        return 0;
}

bool pager_thread_is_in_kernel(const struct pager_thread *thread) {
        (void) thread;
        return false;
}

/* --- tests -------------------------------------------------------------------------------------------------------------------------------------- */

static struct crew *start(void **state, unsigned n_per_user) {
        const struct pager_options options = { .reclaim_batch = 1 };
        struct crew *crew;

        (void) state;
        assert_int_equal(crew_new(NULL, &options, n_per_user, &crew), 0);
        return crew;
}

static unsigned open_one(struct crew *crew, uid_t uid) {
        unsigned pager = crew_choose(crew, uid);

        crew_count(crew, pager, 1);
        return pager;
}

static unsigned open_beside(struct crew *crew, uid_t uid, unsigned other) {
        unsigned pager = crew_choose_beside(crew, uid, other);

        crew_count(crew, pager, 1);
        return pager;
}

static void test_users_have_their_own(void **state) {
        struct crew *crew = start(state, 2);
        unsigned a = open_one(crew, 1), b = open_one(crew, 1), c = open_one(crew, 2);

        assert_int_not_equal(a, b);
        assert_int_not_equal(c, a);
        assert_int_not_equal(c, b);
        assert_in_range(open_one(crew, 1), a < b ? a : b, a < b ? b : a);
        crew_count(crew, c, -1);
        assert_int_equal(open_one(crew, 3), c); /* nobody's any more */
        assert_true(crew_free(crew));
}

static void test_beside_another(void **state) {
        struct crew *crew = start(state, 2);
        unsigned a = open_one(crew, 1), other;

        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(open_beside(crew, 1, a), a); /* though it has more than the others */
        other = open_beside(crew, 2, a);                     /* another user's */
        assert_int_not_equal(other, a);
        assert_int_not_equal(open_beside(crew, 1, other), other);
        assert_true(crew_free(crew));
}

/* As after a restart: all is served again, and then what was open is. */
static void test_files_that_are_served(void **state) {
        struct crew *crew = start(state, 3);
        unsigned first = crew_choose_to_serve(crew, 1), second = crew_choose_to_serve(crew, 1), third = crew_choose_to_serve(crew, 1);

        assert_int_not_equal(first, second);
        assert_int_not_equal(second, third);
        assert_int_not_equal(third, first);
        assert_int_equal(open_beside(crew, 1, first), first);
        assert_int_equal(open_beside(crew, 1, second), second);
        assert_int_equal(open_beside(crew, 1, third), third);
        assert_true(crew_free(crew));
}

/* One that is nobody's is no way to more of them than a user may have. */
static void test_not_more_than_allowed(void **state) {
        struct crew *crew = start(state, 2);
        unsigned a = open_one(crew, 1), b = open_one(crew, 1), spare = open_one(crew, 2), c;

        crew_count(crew, spare, -1);
        c = crew_choose_beside(crew, 1, spare);
        assert_true(c == a || c == b);
        crew_count(crew, a, -1);
        assert_int_equal(crew_choose_beside(crew, 1, spare), spare);
        assert_true(crew_free(crew));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_users_have_their_own),
                cmocka_unit_test(test_beside_another),
                cmocka_unit_test(test_files_that_are_served),
                cmocka_unit_test(test_not_more_than_allowed),
        };

        return cmocka_run_group_tests_name("who is served by which pager", tests, NULL, NULL);
}
