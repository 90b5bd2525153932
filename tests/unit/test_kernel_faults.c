/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: how faults of another process come, and what COPY, CONTINUE, WRITEPROTECT and a punched hole do to them. */

#include <errno.h>
#include <unistd.h>

#include "kernel_lab.h"

#define WRITE UFFD_PAGEFAULT_FLAG_WRITE
#define WP UFFD_PAGEFAULT_FLAG_WP
#define MINOR UFFD_PAGEFAULT_FLAG_MINOR

static void assert_answer(struct lab *lab, unsigned hand, uint64_t value) {
        struct lab_answer answer = lab_answer(lab, hand);

        assert_int_equal(answer.signal, 0);
        assert_int_equal(answer.error, 0);
        assert_int_equal(answer.value, value);
}

/* The hand reads a page that needs no help. */
static void assert_reads(struct lab *lab, uint64_t address, uint64_t value) {
        lab_order(lab, 0, LAB_READ, address, 0);
        assert_answer(lab, 0, value);
        lab_assert_no_event(lab);
}

/* The hand writes a page that needs no help. */
static void assert_writes(struct lab *lab, uint64_t address, uint64_t value) {
        lab_order(lab, 0, LAB_WRITE, address, value);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
}

/* A read fault: MISSING, answered with COPY. */
static void load(struct lab *lab, uint64_t address, uint64_t value, uint64_t mode) {
        lab_order(lab, 0, LAB_READ, address, 0);
        lab_assert_fault(lab, address, LAB_MISSING);
        assert_int_equal(lab_copy(lab, address, 1, value, mode, NULL), 0);
        assert_answer(lab, 0, value);
}

static void test_another_process_answers_a_fault(void **state) {
        struct lab *lab = lab_begin(state, 0);

        load(lab, lab_at(lab, 0, 3), 42, UFFDIO_COPY_MODE_WP);
        assert_reads(lab, lab_at(lab, 0, 3), 42);
        assert_int_equal(lab_peek(lab, 3), 42);
}

static void test_copy_protected_then_write_is_a_wp_fault(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 0);

        load(lab, at, 42, UFFDIO_COPY_MODE_WP);
        lab_order(lab, 1, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, WP | WRITE);
        assert_int_equal(lab_peek(lab, 0), 42);
        assert_int_equal(lab_protect(lab, at, 1, false), 0);
        assert_answer(lab, 1, 0);
        assert_int_equal(lab_peek(lab, 0), 43);
        assert_writes(lab, at, 44);
}

static void test_copy_unprotected_answers_a_write_in_one_fault(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 0);

        lab_order(lab, 0, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, WRITE);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
        assert_int_equal(lab_peek(lab, 0), 43);
}

static void test_one_copy_answers_all_who_wait(void **state) {
        struct lab *lab = lab_begin(state, 0);

        for (unsigned i = 0; i < LAB_HANDS; i++) {
                lab_order(lab, i, LAB_READ, lab_at(lab, 0, i / 2), 0);
                lab_assert_fault(lab, lab_at(lab, 0, i / 2), LAB_MISSING);
        }
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 0), LAB_PAGES, 100, UFFDIO_COPY_MODE_WP, NULL), 0);
        for (unsigned i = 0; i < LAB_HANDS; i++)
                assert_answer(lab, i, 100 + i / 2);
}

static void test_resident_page_in_another_mapping_is_minor(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 1, 5);

        load(lab, lab_at(lab, 0, 5), 42, 0);
        lab_order(lab, 1, LAB_READ, at, 0);
        lab_assert_fault(lab, at, MINOR);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), 0);
        assert_answer(lab, 1, 42);
        assert_writes(lab, at, 43);
        assert_reads(lab, lab_at(lab, 0, 5), 43);
}

static void test_continue_protected_then_write_is_a_wp_fault(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 1, 5);

        load(lab, lab_at(lab, 0, 5), 42, 0);
        lab_order(lab, 1, LAB_READ, at, 0);
        lab_assert_fault(lab, at, MINOR);
        assert_int_equal(lab_continue(lab, at, 1, UFFDIO_CONTINUE_MODE_WP, NULL), 0);
        assert_answer(lab, 1, 42);
        lab_order(lab, 1, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, WP | WRITE);
        assert_int_equal(lab_protect(lab, at, 1, false), 0);
        assert_answer(lab, 1, 0);
        assert_int_equal(lab_peek(lab, 5), 43);
}

/* A write to a page that is in the memory only: MINOR|WRITE, and one CONTINUE answers it. */
static void test_write_to_a_resident_page_is_minor_write(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        lab_fill(lab, 5, 42);
        lab_order(lab, 0, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, MINOR | WRITE);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
        assert_int_equal(lab_peek(lab, 5), 43);
}

static void test_punched_page_is_missing_again(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        load(lab, at, 42, 0);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        load(lab, at, 44, 0);
}

static void test_punched_protected_page_is_missing_again(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        load(lab, at, 42, UFFDIO_COPY_MODE_WP);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        load(lab, at, 44, UFFDIO_COPY_MODE_WP);
}

/* Punching drops the protection with the page: the first write is no WP fault, and COPY without protection lets it through. */
static void test_write_to_a_punched_protected_page_is_missing_write(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        load(lab, at, 42, UFFDIO_COPY_MODE_WP);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        lab_order(lab, 0, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, WRITE);
        assert_int_equal(lab_copy(lab, at, 1, 44, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
        assert_int_equal(lab_peek(lab, 5), 43);
}

static void test_punching_takes_a_page_from_every_mapping(void **state) {
        struct lab *lab = lab_begin(state, 0);

        load(lab, lab_at(lab, 0, 5), 42, 0);
        assert_int_equal(lab_continue(lab, lab_at(lab, 1, 5), 1, 0, NULL), 0);
        assert_reads(lab, lab_at(lab, 1, 5), 42);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        for (unsigned i = 0; i < LAB_MAPPINGS; i++) {
                lab_order(lab, i, LAB_READ, lab_at(lab, i, 5), 0);
                lab_assert_fault(lab, lab_at(lab, i, 5), LAB_MISSING);
        }
}

/* The kernel does not wake who waits when COPY finds a page there: the daemon must. */
static void test_copy_over_a_page_says_eexist_and_wakes_nobody(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        lab_fill(lab, 5, 42);
        assert_int_equal(lab_copy(lab, at, 1, 43, 0, NULL), -EEXIST);
        lab_assert_asleep(lab, 0);
        assert_int_equal(lab_wake(lab, at, 1), 0);
        lab_assert_fault(lab, at, MINOR);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), 0);
        assert_answer(lab, 0, 42);
}

static void test_copy_stops_at_a_page_and_says_how_far_it_came(void **state) {
        struct lab *lab = lab_begin(state, 0);
        int64_t done;

        lab_fill(lab, 2, 42);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 0), 4, 100, 0, &done), -EAGAIN);
        assert_int_equal(done, 2 * LAB_PAGE);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 2), 2, 102, 0, &done), -EEXIST);
        assert_int_equal(done, -EEXIST);
        assert_reads(lab, lab_at(lab, 0, 1), 101);
}

static void test_continue_over_a_hole_says_efault(void **state) {
        struct lab *lab = lab_begin(state, 0);
        int64_t done;

        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 0), 1, 0, &done), -EFAULT);
        lab_fill(lab, 0, 42);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 0), 2, 0, &done), -EAGAIN);
        assert_int_equal(done, LAB_PAGE);
}

static void test_continue_over_a_mapped_page_says_eexist(void **state) {
        struct lab *lab = lab_begin(state, 0);
        int64_t done;

        lab_fill(lab, 0, 42);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 0), 1, UFFDIO_CONTINUE_MODE_WP, NULL), 0);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 0), 1, UFFDIO_CONTINUE_MODE_WP, &done), -EEXIST);
        assert_int_equal(done, -EEXIST);
}

static void test_copy_beyond_the_memory_says_efault(void **state) {
        struct lab *lab = lab_begin(state, 0);

        assert_int_equal(ftruncate(lab->memfd, LAB_LENGTH / 2), 0);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, LAB_PAGES / 2), 1, 42, 0, NULL), -EFAULT);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, LAB_PAGES / 2 - 1), 1, 42, 0, NULL), 0);
}

/* Protecting a page that is not there changes nothing of its next fault. */
static void test_protecting_an_empty_page_does_not_outlive_its_load(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        assert_int_equal(lab_protect(lab, at, 1, true), 0);
        lab_order(lab, 0, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, WRITE);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
}

static void test_system_calls_wait_like_threads(void **state) {
        struct lab *lab = lab_begin(state, 0);

        lab_order(lab, 0, LAB_PIPE_OUT, lab_at(lab, 0, 1), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 1), LAB_MISSING);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 1), 1, 42, UFFDIO_COPY_MODE_WP, NULL), 0);
        assert_answer(lab, 0, 42);

        lab_order(lab, 0, LAB_PIPE_IN, lab_at(lab, 0, 1), 43);
        lab_assert_fault(lab, lab_at(lab, 0, 1), WP | WRITE);
        assert_int_equal(lab_protect(lab, lab_at(lab, 0, 1), 1, false), 0);
        assert_answer(lab, 0, 43);
        assert_int_equal(lab_peek(lab, 1), 43);

        lab_order(lab, 0, LAB_PIPE_IN, lab_at(lab, 0, 2), 44);
        lab_assert_fault(lab, lab_at(lab, 0, 2), WRITE);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 2), 1, 0, 0, NULL), 0);
        assert_answer(lab, 0, 44);
        assert_int_equal(lab_peek(lab, 2), 44);
}

/* Once WRITEPROTECT has returned, no thread changes the page until it is un-protected: what is stored then is one moment's content. */
static void test_protected_page_holds_still(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 0), before, last = 0;
        struct lab_answer answer;

        assert_int_equal(lab_copy(lab, at, 1, 0, 0, NULL), 0);
        lab_order(lab, 0, LAB_SPIN, at, 0);
        for (unsigned i = 0; i < 200; i++) {
                assert_int_equal(lab_protect(lab, at, 1, true), 0);
                before = lab_peek(lab, 0);
                lab_assert_fault(lab, at, WP | WRITE);
                assert_int_equal(lab_peek(lab, 0), before);
                assert_true(before >= last);
                last = before;
                assert_int_equal(lab_protect(lab, at, 1, false), 0);
        }
        lab->shared->stop = true;
        answer = lab_answer(lab, 0);
        assert_int_equal(answer.signal, 0);
        assert_int_equal(lab_peek(lab, 0), answer.value);
}

static void test_a_mapping_stays_one_vma(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 0);

        assert_int_equal(lab_do(lab, 0, LAB_COUNT_VMAS, at, 0).value, 1);
        assert_int_equal(lab_copy(lab, at, LAB_PAGES, 100, 0, NULL), 0);
        for (uint64_t i = 0; i < LAB_PAGES; i += 2)
                assert_int_equal(lab_protect(lab, lab_at(lab, 0, i), 1, true), 0);
        for (uint64_t i = 0; i < LAB_PAGES; i += 4)
                assert_int_equal(lab_punch(lab, i, 1), 0);
        assert_int_equal(lab_do(lab, 0, LAB_COUNT_VMAS, at, 0).value, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                LAB_TEST(test_another_process_answers_a_fault),
                LAB_TEST(test_copy_protected_then_write_is_a_wp_fault),
                LAB_TEST(test_copy_unprotected_answers_a_write_in_one_fault),
                LAB_TEST(test_one_copy_answers_all_who_wait),
                LAB_TEST(test_resident_page_in_another_mapping_is_minor),
                LAB_TEST(test_continue_protected_then_write_is_a_wp_fault),
                LAB_TEST(test_write_to_a_resident_page_is_minor_write),
                LAB_TEST(test_punched_page_is_missing_again),
                LAB_TEST(test_punched_protected_page_is_missing_again),
                LAB_TEST(test_write_to_a_punched_protected_page_is_missing_write),
                LAB_TEST(test_punching_takes_a_page_from_every_mapping),
                LAB_TEST(test_copy_over_a_page_says_eexist_and_wakes_nobody),
                LAB_TEST(test_copy_stops_at_a_page_and_says_how_far_it_came),
                LAB_TEST(test_continue_over_a_hole_says_efault),
                LAB_TEST(test_continue_over_a_mapped_page_says_eexist),
                LAB_TEST(test_copy_beyond_the_memory_says_efault),
                LAB_TEST(test_protecting_an_empty_page_does_not_outlive_its_load),
                LAB_TEST(test_system_calls_wait_like_threads),
                LAB_TEST(test_protected_page_holds_still),
                LAB_TEST(test_a_mapping_stays_one_vma),
        };

        return cmocka_run_group_tests_name("kernel: faults", tests, NULL, NULL);
}
