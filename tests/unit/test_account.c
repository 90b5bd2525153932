/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Accounts of users: counts, limits, and that nothing is left of who has nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "account.h"

static const struct account_limits limits = {
        .max = { [ACCOUNT_PEERS] = 2, [ACCOUNT_HANDLES] = 3, [ACCOUNT_MAPPINGS] = ACCOUNT_NO_LIMIT, [ACCOUNT_DIRTY_BYTES] = 8192, [ACCOUNT_FAILED_PAGES] = 1 },
};

static void test_counts_are_each_user_s_own(void **state) {
        struct accounts accounts;
        struct account *one, *other;

        (void) state;
        accounts_init(&accounts, &limits);
        one = account_get(&accounts, 1);
        other = account_get(&accounts, 1 + ACCOUNT_BUCKETS); /* in the same bucket */
        assert_ptr_not_equal(one, other);
        account_add(one, ACCOUNT_PEERS, 2);
        assert_false(account_is_over(one, ACCOUNT_PEERS));
        assert_int_equal(account_left(one, ACCOUNT_PEERS), 0);
        account_add(one, ACCOUNT_PEERS, 1);
        assert_true(account_is_over(one, ACCOUNT_PEERS));
        assert_int_equal(account_left(one, ACCOUNT_PEERS), 0);
        assert_false(account_is_over(one, ACCOUNT_HANDLES));
        assert_false(account_is_over(other, ACCOUNT_PEERS));
        assert_int_equal(account_left(other, ACCOUNT_PEERS), 2);
        account_sub(one, ACCOUNT_PEERS, 1);
        assert_false(account_is_over(one, ACCOUNT_PEERS));
        account_add(one, ACCOUNT_MAPPINGS, UINT64_MAX);
        assert_false(account_is_over(one, ACCOUNT_MAPPINGS));
        account_sub(one, ACCOUNT_MAPPINGS, UINT64_MAX);
        account_sub(one, ACCOUNT_PEERS, 2);
        account_put(one);
        account_put(other);
}

/* Up to a limit of the caller's, which the first may go beyond. */
static void test_taking(void **state) {
        struct accounts accounts;
        struct account *account;

        (void) state;
        accounts_init(&accounts, &limits);
        account = account_get(&accounts, 1);
        assert_true(account_take(account, ACCOUNT_LOADING_BYTES, 10, 4));
        assert_false(account_take(account, ACCOUNT_LOADING_BYTES, 1, 4));
        assert_false(account_take(account, ACCOUNT_LOADING_BYTES, UINT64_MAX, 12));
        assert_true(account_take(account, ACCOUNT_LOADING_BYTES, 2, 12));
        assert_false(account_take(account, ACCOUNT_LOADING_BYTES, 1, 12));
        assert_true(account_take(account, ACCOUNT_LOADING_SERVED_BYTES, 12, 12));
        account_sub(account, ACCOUNT_LOADING_SERVED_BYTES, 12);
        account_sub(account, ACCOUNT_LOADING_BYTES, 12);
        account_put(account);
}

/* Who comes again meets his account as long as somebody holds it, warnings included, and then a new one. */
static void test_accounts_come_and_go(void **state) {
        struct accounts accounts;
        struct account *account;

        (void) state;
        accounts_init(&accounts, &limits);
        account = account_get(&accounts, 5);
        assert_ptr_equal(account_get(&accounts, 5), account);
        assert_true(account_may_warn(account, ACCOUNT_HANDLES));
        assert_false(account_may_warn(account, ACCOUNT_HANDLES));
        assert_true(account_may_warn(account, ACCOUNT_PEERS));
        account_put(account);
        assert_false(account_may_warn(account_get(&accounts, 5), ACCOUNT_HANDLES));
        account_put(account);
        account_put(account);
        for (unsigned i = 0; i < ACCOUNT_BUCKETS; i++)
                assert_true(LIST_EMPTY(&accounts.buckets[i]));
        account = account_get(&accounts, 5);
        assert_true(account_may_warn(account, ACCOUNT_HANDLES));
        account_put(account);
}

/* Whatever the daemon may have, one user does not get more than half of it; and always a little. */
static void test_defaults_leave_something_to_others(void **state) {
        static const uint64_t numbers[] = { 256, 1024, 65536, 1048576, UINT64_MAX };
        struct account_limits defaults;

        (void) state;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                account_limits_default(&defaults, numbers[i]);
                assert_in_range(defaults.max[ACCOUNT_PEERS] * 2 + defaults.max[ACCOUNT_HANDLES] * 6, 1, numbers[i] / 2);
        }
        account_limits_default(&defaults, 0);
        assert_true(defaults.max[ACCOUNT_PEERS] > 0 && defaults.max[ACCOUNT_HANDLES] > 0 && defaults.max[ACCOUNT_MAPPINGS] > 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts_are_each_user_s_own),
                cmocka_unit_test(test_taking),
                cmocka_unit_test(test_accounts_come_and_go),
                cmocka_unit_test(test_defaults_leave_something_to_others),
        };

        return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
