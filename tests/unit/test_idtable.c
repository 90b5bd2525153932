/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers for pointers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "idtable.h"

#define N_MANY 1000u

static int things[N_MANY];

static void test_numbers_begin_at_one(void **state) {
        struct idtable table;

        (void) state;
        idtable_init(&table);
        assert_null(idtable_get(&table, 0));
        assert_null(idtable_get(&table, 1));
        assert_int_equal(idtable_next(&table, 0), 0);
        assert_int_equal(idtable_add(&table, &things[0]), 1);
        assert_int_equal(idtable_add(&table, &things[1]), 2);
        assert_ptr_equal(idtable_get(&table, 1), &things[0]);
        assert_ptr_equal(idtable_get(&table, 2), &things[1]);
        assert_null(idtable_get(&table, 0));
        assert_null(idtable_get(&table, 3));
        assert_null(idtable_get(&table, UINT32_MAX));
        idtable_remove(&table, 1);
        idtable_remove(&table, 2);
        idtable_fini(&table);
}

/* A number that was just freed is given again as late as possible: whoever still holds it finds nothing rather than another's thing. */
static void test_a_freed_number_rests(void **state) {
        struct idtable table;
        uint32_t first, second;

        (void) state;
        idtable_init(&table);
        first = idtable_add(&table, &things[0]);
        second = idtable_add(&table, &things[1]);
        idtable_remove(&table, first);
        assert_null(idtable_get(&table, first));
        for (unsigned i = 0; i < 5; i++) {
                uint32_t id = idtable_add(&table, &things[2]);

                assert_int_not_equal(id, first);
                idtable_remove(&table, id);
        }
        idtable_remove(&table, second);
        idtable_fini(&table);
}

static void test_many(void **state) {
        struct idtable table;
        uint32_t ids[N_MANY];

        (void) state;
        idtable_init(&table);
        for (unsigned round = 0; round < 3; round++) {
                uint32_t n_slots = table.n_slots;

                for (unsigned i = 0; i < N_MANY; i++) {
                        ids[i] = idtable_add(&table, &things[i]);
                        assert_int_not_equal(ids[i], 0);
                }
                assert_int_equal(table.n_used, N_MANY);
                for (unsigned i = 0; i < N_MANY; i++)
                        assert_ptr_equal(idtable_get(&table, ids[i]), &things[i]);
                for (unsigned i = 0; i < N_MANY; i++)
                        idtable_remove(&table, ids[(i * 7) % N_MANY]);
                assert_int_equal(table.n_used, 0);
                assert_true(round == 0 || table.n_slots == n_slots);
        }
        idtable_fini(&table);
}

/* A walk goes on over what is removed under it. */
static void test_walking(void **state) {
        struct idtable table;
        unsigned n = 0;

        (void) state;
        idtable_init(&table);
        for (unsigned i = 0; i < 100; i++)
                idtable_add(&table, &things[i]);
        for (uint32_t id = 1; id <= 100; id += 2)
                idtable_remove(&table, id);
        for (uint32_t id = idtable_next(&table, 0), before = 0; id; id = idtable_next(&table, id), n++) {
                assert_true(id > before);
                assert_int_equal(id % 2, 0);
                before = id;
                idtable_remove(&table, id);
        }
        assert_int_equal(n, 50);
        assert_int_equal(table.n_used, 0);
        idtable_fini(&table);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers_begin_at_one),
                cmocka_unit_test(test_a_freed_number_rests),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_walking),
        };

        return cmocka_run_group_tests_name("idtable", tests, NULL, NULL);
}
