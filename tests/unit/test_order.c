/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who leaves first: the lists, and how often what is touched is still there, by both policies, over traces whose hits the order does not see. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "order.h"

#define N_BLOCKS 20000
#define N_POOL 4000
#define PAGE 4096u
#define NAME_BASE 64000

struct lab {
        struct pages pages;
        struct order order;
        uint32_t ids[N_BLOCKS];
        uint32_t n_resident;
        uint64_t n_touches;
        uint64_t n_hits;
        uint64_t random;
};

static struct lab *lab_new(enum order_policy policy) {
        struct lab *lab = calloc(1, sizeof(*lab));

        assert_non_null(lab);
        pages_init(&lab->pages);
        order_init(&lab->order, &lab->pages, policy, N_POOL * PAGE);
        lab->random = 1;
        return lab;
}

static void lab_drop(struct lab *lab, uint32_t id) {
        uint64_t block = pages_get(&lab->pages, id)->block;

        order_evict(&lab->order, id, NAME_BASE + block, PAGE);
        lab->ids[block] = 0;
        pages_free(&lab->pages, id);
        lab->n_resident--;
}

static void lab_free(struct lab *lab) {
        for (uint64_t block = 0; block < N_BLOCKS; block++)
                if (lab->ids[block])
                        lab_drop(lab, lab->ids[block]);
        for (enum order_list list = 0; list < N_ORDER_LISTS; list++) {
                assert_int_equal(lab->order.n[list], 0);
                assert_int_equal(lab->order.lists[list].n, 0);
        }
        order_fini(&lab->order);
        pages_fini(&lab->pages);
        free(lab);
}

/* True: it was there. */
static bool lab_touch(struct lab *lab, uint64_t block) {
        struct order_room room;
        uint32_t id;

        lab->n_touches++;
        if (lab->ids[block]) {
                lab->n_hits++;
                return true;
        }
        while (lab->n_resident >= N_POOL)
                lab_drop(lab, order_victim(&lab->order));
        room = (struct order_room) { .bytes = N_POOL * PAGE, .free = (N_POOL - lab->n_resident) * (uint64_t) PAGE };
        id = pages_new(&lab->pages);
        assert_true(id != 0);
        pages_get(&lab->pages, id)->block = (uint32_t) block;
        order_load(&lab->order, id, NAME_BASE + block, PAGE, 0, &room);
        lab->ids[block] = id;
        lab->n_resident++;
        return false;
}

static uint64_t lab_random(struct lab *lab) {
        lab->random = lab->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return lab->random >> 33;
}

/* A few blocks much, most of them rarely: four of five touches go to a fifth of those that are left, and so on. */
static uint64_t lab_skewed(struct lab *lab, uint64_t n) {
        while (n > 10 && lab_random(lab) % 5 != 0)
                n /= 5;
        return lab_random(lab) % n * 7919 % N_BLOCKS;
}

/* Percent of touches that found their block, in the second half. */
static unsigned lab_percent(struct lab *lab, void (*touch)(struct lab *lab, uint64_t i), uint64_t n) {
        for (uint64_t i = 0; i < n; i++) {
                if (i == n / 2)
                        lab->n_touches = lab->n_hits = 0;
                touch(lab, i);
        }
        return (unsigned) (lab->n_hits * 100 / lab->n_touches);
}

static void touch_skewed(struct lab *lab, uint64_t i) {
        (void) i;
        (void) lab_touch(lab, lab_skewed(lab, N_BLOCKS));
}

static void touch_loop(struct lab *lab, uint64_t i) {
        (void) lab_touch(lab, i % (N_POOL + N_POOL / 10));
}

static void touch_large_loop(struct lab *lab, uint64_t i) {
        (void) lab_touch(lab, i % N_BLOCKS);
}

/* One who reads all of it once and again beside one who reads some of it much. */
static void touch_skewed_and_scan(struct lab *lab, uint64_t i) {
        (void) lab_touch(lab, i % 2 == 0 ? lab_skewed(lab, N_BLOCKS) : i / 2 % N_BLOCKS);
}

static void touch_what_fits(struct lab *lab, uint64_t i) {
        (void) lab_touch(lab, i * 7919 % (N_POOL - 100));
}

static unsigned percent(enum order_policy policy, void (*touch)(struct lab *lab, uint64_t i), uint64_t n) {
        struct lab *lab = lab_new(policy);
        unsigned result = lab_percent(lab, touch, n);

        lab_free(lab);
        return result;
}

static void test_what_fits_stays(void **state) {
        (void) state;
        assert_int_equal(percent(ORDER_PROVEN, touch_what_fits, 100000), 100);
        assert_int_equal(percent(ORDER_LRU, touch_what_fits, 100000), 100);
}

static void test_loops(void **state) {
        (void) state;
        assert_int_equal(percent(ORDER_LRU, touch_loop, 200000), 0);
        assert_in_range(percent(ORDER_PROVEN, touch_loop, 200000), 60, 91);
        assert_int_equal(percent(ORDER_LRU, touch_large_loop, 400000), 0);
        assert_in_range(percent(ORDER_PROVEN, touch_large_loop, 400000), 8, 20);
}

static void test_skewed(void **state) {
        unsigned lru = percent(ORDER_LRU, touch_skewed, 400000), proven = percent(ORDER_PROVEN, touch_skewed, 400000);

        (void) state;
        assert_in_range(proven, lru, 100);
}

static void test_skewed_and_scan(void **state) {
        unsigned lru = percent(ORDER_LRU, touch_skewed_and_scan, 400000), proven = percent(ORDER_PROVEN, touch_skewed_and_scan, 400000);

        (void) state;
        assert_in_range(proven, lru + 3, 100);
}

/* --- the lists ---------------------------------------------------------------------------------------------------------------------------------- */

static uint32_t make(struct lab *lab, uint64_t block) {
        (void) lab_touch(lab, block);
        return lab->ids[block];
}

static void test_order_of_use(void **state) {
        struct lab *lab = lab_new(ORDER_LRU);
        uint32_t a = make(lab, 1), b = make(lab, 2), c = make(lab, 3);

        (void) state;
        assert_int_equal(order_victim(&lab->order), a);
        order_touch(&lab->order, a, PAGE, 9);
        assert_int_equal(pages_get(&lab->pages, a)->age, 9);
        assert_int_equal(order_victim(&lab->order), b);
        order_pass_over(&lab->order, b);
        assert_int_equal(order_victim(&lab->order), c);
        lab_free(lab);
}

/* A dirty page steps out, is parked, and comes back. */
static void test_parking(void **state) {
        struct lab *lab = lab_new(ORDER_LRU);
        uint32_t a = make(lab, 1), b = make(lab, 2);

        (void) state;
        order_remove(&lab->order, a, PAGE);
        order_park(&lab->order, a, PAGE, false);
        order_remove(&lab->order, b, PAGE);
        order_park(&lab->order, b, PAGE, true);
        assert_int_equal(order_victim(&lab->order), 0);
        assert_int_equal(lab->order.lists[ORDER_PARKED].first, b);
        assert_int_equal(lab->order.n[ORDER_PARKED], 2 * PAGE);
        order_remove(&lab->order, b, PAGE);
        order_return(&lab->order, b, PAGE);
        assert_int_equal(order_victim(&lab->order), b);
        order_touch(&lab->order, a, PAGE, 0);
        assert_int_equal(order_victim(&lab->order), b);
        assert_int_equal(lab->order.n[ORDER_PARKED], 0);
        lab_free(lab);
}

/* When all that there are are being loaded, none can leave. */
static void test_loading(void **state) {
        struct lab *lab = lab_new(ORDER_PROVEN);
        uint32_t a = make(lab, 1), b = make(lab, 2);

        (void) state;
        order_begin_loading(&lab->order, a);
        order_begin_loading(&lab->order, b);
        assert_int_equal(order_victim(&lab->order), 0);
        order_end_loading(&lab->order, b);
        assert_true(order_victim(&lab->order) != 0);
        order_end_loading(&lab->order, a);
        lab_free(lab);
}

/* Pages of 2 MiB beside small ones: what counts is bytes. */
static void test_large_pages(void **state) {
        struct lab *lab = lab_new(ORDER_PROVEN);
        struct order_room room = { .bytes = N_POOL * PAGE, .free = 0 };
        uint32_t large = pages_new(&lab->pages);

        (void) state;
        order_load(&lab->order, large, 5, 2 << 20, 0, &room);
        assert_int_equal(lab->order.n[ORDER_NEW] + lab->order.n[ORDER_KEPT], 2 << 20);
        order_remove(&lab->order, large, 2 << 20);
        pages_free(&lab->pages, large);
        lab_free(lab);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_fits_stays),
                cmocka_unit_test(test_loops),
                cmocka_unit_test(test_skewed),
                cmocka_unit_test(test_skewed_and_scan),
                cmocka_unit_test(test_order_of_use),
                cmocka_unit_test(test_parking),
                cmocka_unit_test(test_loading),
                cmocka_unit_test(test_large_pages),
        };

        return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
