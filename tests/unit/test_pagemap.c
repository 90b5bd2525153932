/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The map from blocks to pages, and the ledger that it is for clients. */

#include <errno.h>

#include "pagemap_rig.h"

/* n blocks whose search begins at the same place of a table of this capacity. */
static void colliding_blocks(uint64_t *ret_blocks, unsigned n, uint64_t home, uint64_t capacity) {
        for (uint64_t block = 0; n > 0; block++)
                if (ledger_home(block, capacity) == home)
                        ret_blocks[--n] = block;
}

static void test_words_hold_what_they_are_made_of(void **state) {
        static const uint64_t blocks[] = { 0, 1, 511, 512, UINT64_C(1) << 32, LEDGER_BLOCK_MAX };

        (void) state;
        for (unsigned i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
                for (enum page_state s = PAGE_LOADING; s < N_PAGE_STATES; s++)
                        for (int error = 0; error <= LEDGER_ERROR_MAX; error += 819) {
                                uint64_t word = ledger_word(blocks[i], s, error);

                                assert_true(word != 0);
                                assert_int_equal(ledger_word_block(word), blocks[i]);
                                assert_true(ledger_word_is(word, blocks[i]));
                                assert_false(ledger_word_is(word, blocks[i] + 1));
                                assert_int_equal(ledger_word_state(word), s);
                                assert_int_equal(ledger_word_error(word), error);
                        }
        assert_false(ledger_word_is(0, 0));
}

/* Each size of table has a place of its own, behind the header. */
static void test_tables_do_not_overlap(void **state) {
        uint64_t end = sizeof(struct ledger_header);

        (void) state;
        for (uint64_t capacity = LEDGER_CAPACITY_MIN; capacity <= UINT64_C(1) << 40; capacity *= 2) {
                assert_true(ledger_table_offset(capacity) >= end);
                assert_int_equal(ledger_table_offset(capacity) % 4096, 0);
                end = ledger_table_offset(capacity) + capacity * sizeof(uint64_t);
        }
}

/* P2: nothing is in an empty map. */
static void test_absent(void **state) {
        struct pagemap_rig *rig = *state;

        pagemap_rig_assert(rig, 0, 0, PAGE_EMPTY, 0);
        pagemap_rig_assert(rig, 12345, 0, PAGE_EMPTY, 0);
        pagemap_rig_assert(rig, LEDGER_BLOCK_MAX, 0, PAGE_EMPTY, 0);
        assert_int_equal(rig->map.capacity, LEDGER_CAPACITY_MIN);
}

/* P3: what is set is got, with its neighbours absent. */
static void test_set_and_get(void **state) {
        static const uint64_t blocks[] = { 0, 1, 7, 511, 512, 1000000, LEDGER_BLOCK_MAX };
        struct pagemap_rig *rig = *state;

        for (uint32_t i = 0; i < 7; i++) {
                pagemap_rig_add(rig, blocks[i], i + 1);
                assert_int_equal(rig->map.n_used, i + 1);
        }
        for (uint32_t i = 0; i < 7; i++)
                pagemap_rig_assert(rig, blocks[i], i + 1, PAGE_LOADED, 0);
        pagemap_rig_assert(rig, 2, 0, PAGE_EMPTY, 0);
        pagemap_rig_assert(rig, 510, 0, PAGE_EMPTY, 0);
        pagemap_rig_assert(rig, LEDGER_BLOCK_MAX - 1, 0, PAGE_EMPTY, 0);
}

static void test_states_and_errors_are_published(void **state) {
        struct pagemap_rig *rig = *state;

        pagemap_rig_add(rig, 5, 1);
        for (enum page_state s = PAGE_LOADING; s < N_PAGE_STATES; s++) {
                pagemap_set(&rig->map, 5, s, s == PAGE_FAILED ? EIO : 0);
                pagemap_rig_assert(rig, 5, 1, s, s == PAGE_FAILED ? EIO : 0);
        }
        pagemap_set(&rig->map, 5, PAGE_LOADED, 0);
        pagemap_rig_assert(rig, 5, 1, PAGE_LOADED, 0);
}

/* P4: what is deleted is absent, what is beside it stays. */
static void test_delete(void **state) {
        struct pagemap_rig *rig = *state;
        uint64_t seq = rig->header.seq;

        pagemap_rig_add(rig, 5, 1);
        pagemap_rig_add(rig, 6, 2);
        pagemap_remove(&rig->map, 5);
        pagemap_rig_assert(rig, 5, 0, PAGE_EMPTY, 0);
        pagemap_rig_assert(rig, 6, 2, PAGE_LOADED, 0);
        assert_int_equal(rig->header.seq, seq + 2); /* readers that looked meanwhile look again */
        pagemap_remove(&rig->map, 6);
        assert_int_equal(rig->map.n_used, 0);
        pagemap_rig_add(rig, 5, 3);
        pagemap_rig_assert(rig, 5, 3, PAGE_LOADED, 0);
}

/* A run of blocks that all want one place, also around the end of the table: removing any of them leaves the others. */
static void test_delete_among_collisions(void **state) {
        struct pagemap_rig *rig = *state;
        uint64_t blocks[12];

        for (unsigned at = 0; at < 12; at++) {
                colliding_blocks(blocks, 6, LEDGER_CAPACITY_MIN - 3, LEDGER_CAPACITY_MIN);
                colliding_blocks(blocks + 6, 6, 0, LEDGER_CAPACITY_MIN);
                for (uint32_t i = 0; i < 12; i++)
                        pagemap_rig_add(rig, blocks[i], i + 1);
                pagemap_remove(&rig->map, blocks[at]);
                for (uint32_t i = 0; i < 12; i++)
                        pagemap_rig_assert(rig, blocks[i], i == at ? 0 : i + 1, i == at ? PAGE_EMPTY : PAGE_LOADED, 0);
                for (unsigned i = 0; i < 12; i++)
                        if (i != at)
                                pagemap_remove(&rig->map, blocks[i]);
                assert_int_equal(rig->map.n_used, 0);
        }
}

/* P5: fill far beyond the first table, then delete downwards: it grows and shrinks with what is in it. */
static void test_growth_and_shrinking(void **state) {
        struct pagemap_rig *rig = *state;
        uint32_t n = 20000;

        for (uint32_t i = 0; i < n; i++) {
                pagemap_rig_add(rig, i * UINT64_C(7), i + 1);
                assert_true(rig->map.n_used * 10 <= rig->map.capacity * 9);
        }
        assert_int_equal(rig->map.capacity, 32768);
        for (uint32_t i = 0; i < n; i++)
                pagemap_rig_assert(rig, i * UINT64_C(7), i + 1, PAGE_LOADED, 0);
        for (uint32_t i = n; i-- > 0;) {
                pagemap_remove(&rig->map, i * UINT64_C(7));
                assert_true(rig->map.n_used * 4 >= rig->map.capacity || rig->map.capacity == LEDGER_CAPACITY_MIN);
        }
        assert_int_equal(rig->map.capacity, LEDGER_CAPACITY_MIN);
        assert_int_equal(rig->n_tables, 1);
}

/* Around a mark nothing is resized to and fro. */
static void test_resizing_does_not_flutter(void **state) {
        struct pagemap_rig *rig = *state;
        unsigned n_gets;

        for (uint32_t i = 0; i < 461; i++)
                pagemap_rig_add(rig, i, i + 1);
        assert_int_equal(rig->map.capacity, 1024);
        n_gets = rig->n_gets;
        for (unsigned round = 0; round < 100; round++) {
                for (uint32_t i = 300; i < 461; i++)
                        pagemap_remove(&rig->map, i);
                for (uint32_t i = 300; i < 461; i++)
                        pagemap_rig_add(rig, i, i + 1);
        }
        assert_int_equal(rig->n_gets, n_gets);
}

static void test_without_memory_nothing_changes(void **state) {
        struct pagemap_rig *rig = *state;
        uint32_t n = 0;

        rig->refuse = true;
        while (pagemap_add(&rig->map, n, n + 1, PAGE_LOADED) == 0)
                n++;
        assert_int_equal(rig->map.n_used, n);
        assert_int_equal(rig->map.capacity, LEDGER_CAPACITY_MIN);
        for (uint32_t i = 0; i < n; i++)
                pagemap_rig_assert(rig, i, i + 1, PAGE_LOADED, 0);
        pagemap_rig_assert(rig, n, 0, PAGE_EMPTY, 0);
        rig->refuse = false;
        pagemap_rig_add(rig, n, n + 1);
        assert_int_equal(rig->map.capacity, 2 * LEDGER_CAPACITY_MIN);

        rig->refuse = true; /* and without memory for a smaller table the large one goes on */
        for (uint32_t i = 0; i <= n; i++)
                pagemap_remove(&rig->map, i);
        assert_int_equal(rig->map.n_used, 0);
        assert_int_equal(rig->map.capacity, 2 * LEDGER_CAPACITY_MIN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_hold_what_they_are_made_of),
                cmocka_unit_test(test_tables_do_not_overlap),
                PAGEMAP_TEST(test_absent),
                PAGEMAP_TEST(test_set_and_get),
                PAGEMAP_TEST(test_states_and_errors_are_published),
                PAGEMAP_TEST(test_delete),
                PAGEMAP_TEST(test_delete_among_collisions),
                PAGEMAP_TEST(test_growth_and_shrinking),
                PAGEMAP_TEST(test_resizing_does_not_flutter),
                PAGEMAP_TEST(test_without_memory_nothing_changes),
        };

        return cmocka_run_group_tests_name("pagemap", tests, NULL, NULL);
}
