/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pages by number, and the order that lists of them keep. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "page.h"

#define N_MANY 5000u /* more than a few chunks */

static int setup(void **state) {
        struct pages *pages = malloc(sizeof(*pages));

        if (!pages)
                return -1;
        pages_init(pages);
        *state = pages;
        return 0;
}

static int teardown(void **state) {
        pages_fini(*state);
        free(*state);
        return 0;
}

static void test_a_page_costs_32_bytes(void **state) {
        (void) state;
        assert_int_equal(sizeof(struct page), 32);
}

static void test_numbers_are_unique_and_never_zero(void **state) {
        struct pages *pages = *state;
        uint8_t *seen = calloc(1, 2 * N_MANY);

        for (unsigned i = 0; i < N_MANY; i++) {
                uint32_t id = pages_new(pages);

                assert_in_range(id, 1, 2 * N_MANY - 1);
                assert_false(seen[id]);
                seen[id] = 1;
                pages_get(pages, id)->block = id * UINT64_C(1000);
        }
        for (uint32_t id = 1; id < 2 * N_MANY; id++)
                if (seen[id])
                        assert_int_equal(pages_get(pages, id)->block, id * UINT64_C(1000));
        free(seen);
}

/* A pointer to a page stays good while others come. */
static void test_pages_do_not_move(void **state) {
        struct pages *pages = *state;
        uint32_t first = pages_new(pages);
        struct page *page = pages_get(pages, first);

        for (unsigned i = 0; i < N_MANY; i++)
                pages_new(pages);
        assert_ptr_equal(pages_get(pages, first), page);
}

static void test_a_freed_page_comes_back_zeroed(void **state) {
        static const struct page zero;
        struct pages *pages = *state;
        uint32_t ids[3000], n_chunks;

        for (unsigned i = 0; i < 3000; i++) {
                ids[i] = pages_new(pages);
                memset(pages_get(pages, ids[i]), 0xff, sizeof(struct page));
        }
        n_chunks = pages->n_chunks;
        for (unsigned i = 0; i < 3000; i++)
                pages_free(pages, ids[i]);
        for (unsigned i = 0; i < 3000; i++)
                assert_memory_equal(pages_get(pages, pages_new(pages)), &zero, sizeof(zero));
        assert_int_equal(pages->n_chunks, n_chunks);
}

/* The list read forwards and backwards, as letters: page 1 is 'a'. */
static void assert_list(const struct pagelist *list, struct pages *pages, const char *expected) {
        size_t n = strlen(expected), i = 0;
        uint32_t before = 0;

        for (uint32_t id = list->first; id; i++) {
                const struct page *page = pages_get(pages, id);
                struct page_links links = list->link == PAGELIST_ORDER ? page->order : page->dirty;

                assert_true(i < n);
                assert_int_equal('a' + (int) page->block, expected[i]);
                assert_int_equal(links.prev, before);
                before = id;
                id = links.next;
        }
        assert_int_equal(i, n);
        assert_int_equal(list->n, n);
        assert_int_equal(list->last, before);
}

/* Pages of the blocks 0, 1, … */
static void make(struct pages *pages, uint32_t *ids, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                ids[i] = pages_new(pages);
                pages_get(pages, ids[i])->block = i;
        }
}

static void test_lists_keep_their_order(void **state) {
        struct pages *pages = *state;
        struct pagelist list;
        uint32_t ids[5];

        make(pages, ids, 5);
        pagelist_init(&list, PAGELIST_ORDER);
        assert_list(&list, pages, "");
        pagelist_push_first(&list, pages, ids[2]);
        assert_list(&list, pages, "c");
        pagelist_push_first(&list, pages, ids[1]);
        pagelist_push_last(&list, pages, ids[3]);
        pagelist_push_first(&list, pages, ids[0]);
        pagelist_push_last(&list, pages, ids[4]);
        assert_list(&list, pages, "abcde");
        pagelist_remove(&list, pages, ids[2]);
        assert_list(&list, pages, "abde");
        pagelist_remove(&list, pages, ids[0]);
        assert_list(&list, pages, "bde");
        pagelist_remove(&list, pages, ids[4]);
        assert_list(&list, pages, "bd");
        pagelist_remove(&list, pages, ids[3]);
        pagelist_remove(&list, pages, ids[1]);
        assert_list(&list, pages, "");
        pagelist_push_last(&list, pages, ids[2]);
        assert_list(&list, pages, "c");
}

static void test_a_page_is_in_two_lists_at_once(void **state) {
        struct pages *pages = *state;
        struct pagelist lru, dirty;
        uint32_t ids[3];

        make(pages, ids, 3);
        pagelist_init(&lru, PAGELIST_ORDER);
        pagelist_init(&dirty, PAGELIST_DIRTY);
        for (unsigned i = 0; i < 3; i++) {
                pagelist_push_first(&lru, pages, ids[i]);
                pagelist_push_last(&dirty, pages, ids[i]);
        }
        assert_list(&lru, pages, "cba");
        assert_list(&dirty, pages, "abc");
        pagelist_remove(&lru, pages, ids[1]);
        assert_list(&lru, pages, "ca");
        assert_list(&dirty, pages, "abc");
}

/* What a fault does to the order: V2 of the original, a page touched is moved to the front. */
static void test_touching_moves_a_page_to_the_front(void **state) {
        static const struct {
                unsigned touched;
                const char *order;
        } steps[] = { { 0, "a" }, { 2, "ca" }, { 3, "dca" }, { 0, "adc" }, { 1, "badc" }, { 1, "badc" }, { 2, "cbad" } };
        struct pages *pages = *state;
        bool listed[4] = { false };
        struct pagelist lru;
        uint32_t ids[4];

        make(pages, ids, 4);
        pagelist_init(&lru, PAGELIST_ORDER);
        for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
                if (listed[steps[i].touched])
                        pagelist_remove(&lru, pages, ids[steps[i].touched]);
                pagelist_push_first(&lru, pages, ids[steps[i].touched]);
                listed[steps[i].touched] = true;
                assert_list(&lru, pages, steps[i].order);
        }
}

static void test_appending(void **state) {
        struct pages *pages = *state;
        struct pagelist a, b;
        uint32_t ids[4];

        make(pages, ids, 4);
        pagelist_init(&a, PAGELIST_DIRTY);
        pagelist_init(&b, PAGELIST_DIRTY);
        pagelist_append(&a, pages, &b);
        assert_list(&a, pages, "");
        pagelist_push_last(&b, pages, ids[0]);
        pagelist_push_last(&b, pages, ids[1]);
        pagelist_append(&a, pages, &b);
        assert_list(&a, pages, "ab");
        assert_list(&b, pages, "");
        pagelist_append(&a, pages, &b);
        assert_list(&a, pages, "ab");
        pagelist_push_last(&b, pages, ids[2]);
        pagelist_push_last(&b, pages, ids[3]);
        pagelist_append(&a, pages, &b);
        assert_list(&a, pages, "abcd");
        assert_list(&b, pages, "");
        pagelist_remove(&a, pages, ids[1]);
        assert_list(&a, pages, "acd");
}

int main(void) {
#define PAGE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_page_costs_32_bytes),
                PAGE_TEST(test_numbers_are_unique_and_never_zero),
                PAGE_TEST(test_pages_do_not_move),
                PAGE_TEST(test_a_freed_page_comes_back_zeroed),
                PAGE_TEST(test_lists_keep_their_order),
                PAGE_TEST(test_a_page_is_in_two_lists_at_once),
                PAGE_TEST(test_touching_moves_a_page_to_the_front),
                PAGE_TEST(test_appending),
        };

        return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
