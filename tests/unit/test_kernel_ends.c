/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: poison, fork, unmapping, the death of a client, and what becomes of memory when nobody holds its userfaultfd. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "kernel_lab.h"

static void assert_sigbus(struct lab *lab, uint64_t address) {
        assert_int_equal(lab_do(lab, 0, LAB_READ, address, 0).signal, SIGBUS);
        lab_assert_no_event(lab);
}

static void poison_faulted(struct lab *lab, uint64_t address) {
        lab_order(lab, 0, LAB_READ, address, 0);
        lab_assert_fault(lab, address, LAB_MISSING);
        assert_int_equal(lab_poison(lab, address, 1, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).signal, SIGBUS);
}

static void test_poison_is_sigbus_for_who_waits_and_who_comes(void **state) {
        struct lab *lab = lab_begin(state, 0);

        poison_faulted(lab, lab_at(lab, 0, 5));
        assert_sigbus(lab, lab_at(lab, 0, 5));
        assert_int_equal(lab_do(lab, 0, LAB_PIPE_OUT, lab_at(lab, 0, 5), 0).error, -EFAULT);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 1, 5), 0);
        lab_assert_fault(lab, lab_at(lab, 1, 5), LAB_MISSING); /* another mapping is not poisoned */
}

static void test_poison_works_on_a_readonly_client(void **state) {
        struct lab *lab = lab_begin(state, LAB_READONLY);

        poison_faulted(lab, lab_at(lab, 0, 5));
        assert_sigbus(lab, lab_at(lab, 0, 5));
}

static void test_punching_does_not_clear_poison_but_dontneed_does(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        poison_faulted(lab, at);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        assert_sigbus(lab, at);
        assert_int_equal(lab_do(lab, 0, LAB_DONTNEED, at, 0).error, 0);
        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
}

static void test_copy_over_poison_clears_it(void **state) {
        struct lab *lab = lab_begin(state, 0);

        poison_faulted(lab, lab_at(lab, 0, 5));
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 5), 1, 42, 0, NULL), 0);
        assert_int_equal(lab_do(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0).value, 42);
}

/* Where POISON finds a page or poison it stops: EAGAIN with what it did, or EEXIST if it did nothing. */
static void test_poison_stops_at_what_is_there(void **state) {
        struct lab *lab = lab_begin(state, 0);
        int64_t done;

        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 2), 1, 42, 0, NULL), 0);
        assert_int_equal(lab_poison(lab, lab_at(lab, 0, 1), 2, &done), -EAGAIN);
        assert_int_equal(done, LAB_PAGE);
        assert_int_equal(lab_poison(lab, lab_at(lab, 0, 1), 1, &done), -EEXIST);
        assert_int_equal(lab_poison(lab, lab_at(lab, 0, 2), 1, &done), -EEXIST);
        assert_int_equal(lab_do(lab, 0, LAB_READ, lab_at(lab, 0, 2), 0).value, 42);
}

/* A page that was protected leaves its protection behind when it is punched, and POISON takes that for something there: un-protecting first helps. */
static void test_poison_where_a_protected_page_was(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        assert_int_equal(lab_copy(lab, at, 1, 42, UFFDIO_COPY_MODE_WP, NULL), 0);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_poison(lab, at, 1, NULL), -EEXIST);
        lab_assert_asleep(lab, 0);
        assert_int_equal(lab_protect(lab, at, 1, false), 0); /* which also wakes */
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_poison(lab, at, 1, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).signal, SIGBUS);
}

/* The client's own MADV_DONTNEED of a shared page unmaps it there; the page stays in the memory. */
static void test_dontneed_keeps_the_shared_page(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_int_equal(lab_do(lab, 0, LAB_DONTNEED, at, 0).error, 0);
        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, UFFD_PAGEFAULT_FLAG_MINOR);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
}

static void test_a_forked_child_has_no_access(void **state) {
        struct lab *lab = lab_begin(state, 0);

        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 5), 1, 42, 0, NULL), 0);
        assert_int_equal(lab_do(lab, 0, LAB_FORK_READ, lab_at(lab, 0, 5), 0).signal, SIGSEGV);
        assert_int_equal(lab_do(lab, 0, LAB_FORK_READ, lab_at(lab, 0, 6), 0).signal, SIGSEGV);
}

/* A trap: without MADV_DONTFORK a child reads zeros, and its zero page lands in the shared memory. */
static void test_without_dontfork_a_child_reads_zeros(void **state) {
        struct lab *lab = lab_begin(state, LAB_FORKABLE);
        struct lab_answer answer;

        lab->shared->value = 1;
        answer = lab_do(lab, 0, LAB_FORK_READ, lab_at(lab, 0, 5), 0);
        assert_int_equal(answer.signal, 0);
        assert_int_equal(answer.value, 0);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 5), 1, 0, NULL), 0);
}

/* A trap: nobody holds the userfaultfd, so the memory is ordinary. The client's own copy is what prevents that. */
static void test_without_any_userfaultfd_memory_reads_as_zeros(void **state) {
        struct lab *lab = lab_begin(state, 0);

        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 4), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 4), LAB_MISSING);
        assert_int_equal(lab_do(lab, 1, LAB_CLOSE, 0, 0).error, 0);
        lab_assert_asleep(lab, 0);
        close(lab->uffd);
        lab->uffd = -1;
        assert_int_equal(lab_answer(lab, 0).value, 0);
        assert_int_equal(lab_do(lab, 1, LAB_READ, lab_at(lab, 0, 5), 0).value, 0);
}

static void test_the_clients_copy_keeps_threads_waiting(void **state) {
        struct lab *lab = lab_begin(state, 0);

        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 4), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 4), LAB_MISSING);
        close(lab->uffd);
        lab->uffd = -1;
        lab_order(lab, 1, LAB_READ, lab_at(lab, 0, 5), 0);
        lab_assert_asleep(lab, 0);
        lab_assert_asleep(lab, 1);
}

/* The order of UNMAP: after munmap and WAKE a thread that waited there finds nothing. */
static void test_wake_after_unmapping_is_sigsegv(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_do(lab, 1, LAB_UNMAP, lab_at(lab, 0, 0), 0).error, 0);
        lab_assert_asleep(lab, 0);
        assert_int_equal(lab_wake(lab, lab_at(lab, 0, 0), LAB_PAGES), 0);
        assert_int_equal(lab_answer(lab, 0).signal, SIGSEGV);
}

static void test_an_unmapped_range_says_enoent(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        assert_int_equal(lab_do(lab, 0, LAB_UNMAP, lab_at(lab, 0, 0), 0).error, 0);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), -ENOENT);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), -ENOENT);
        assert_int_equal(lab_poison(lab, at, 1, NULL), -ENOENT);
        assert_int_equal(lab_protect(lab, at, 1, true), -ENOENT);
}

static void test_a_dead_client_says_esrch_and_nothing_else(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct pollfd pollfd = { .fd = lab->uffd, .events = POLLIN };
        uint64_t at = lab_at(lab, 0, 5);

        lab_kill(lab);
        assert_int_equal(poll(&pollfd, 1, 0), 0);
        lab_assert_no_event(lab);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), -ESRCH);
        assert_int_equal(lab_continue(lab, at, 1, 0, NULL), -ESRCH);
        assert_int_equal(lab_poison(lab, at, 1, NULL), -ESRCH);
        assert_int_equal(lab_protect(lab, at, 1, true), -ESRCH);
        assert_int_equal(lab_wake(lab, at, 1), 0);
}

/* mremap() is told, and goes on when that is read; until then nothing can be done to the process's memory. */
static void test_a_move_waits_until_it_is_read(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5), to;

        lab_order(lab, 0, LAB_MOVE, at, 0);
        lab_assert_asleep(lab, 0);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 6), 1, 42, 0, NULL), -EAGAIN);
        to = lab_take_move(lab, at);
        assert_int_equal(lab_answer(lab, 0).value, to);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 6), 1, 42, 0, NULL), 0);
}

/* What was moved is registered as before, protection included, and where it was there is nothing. */
static void test_what_was_moved_still_faults(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t empty = lab_at(lab, 0, 5), full = lab_at(lab, 0, 9), to;

        assert_int_equal(lab_copy(lab, full, 1, 42, UFFDIO_COPY_MODE_WP, NULL), 0);
        lab_order(lab, 0, LAB_MOVE, empty, 0);
        to = lab_take_move(lab, empty);
        assert_int_equal(lab_answer(lab, 0).signal, 0);
        lab_order(lab, 0, LAB_READ, to, 0);
        lab_assert_fault(lab, to, LAB_MISSING);
        assert_int_equal(lab_copy(lab, to, 1, 43, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 43);
        assert_int_equal(lab_do(lab, 0, LAB_READ, empty, 0).signal, SIGSEGV);
        lab_order(lab, 0, LAB_MOVE, full, 0);
        to = lab_take_move(lab, full);
        assert_int_equal(lab_answer(lab, 0).signal, 0);
        assert_int_equal(lab_do(lab, 0, LAB_READ, to, 0).value, 42);
        lab_order(lab, 0, LAB_WRITE, to, 44);
        lab_assert_fault(lab, to, UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP);
        assert_int_equal(lab_protect(lab, to, 1, false), 0);
        assert_int_equal(lab_answer(lab, 0).signal, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                LAB_TEST(test_poison_is_sigbus_for_who_waits_and_who_comes),
                LAB_TEST(test_poison_works_on_a_readonly_client),
                LAB_TEST(test_punching_does_not_clear_poison_but_dontneed_does),
                LAB_TEST(test_copy_over_poison_clears_it),
                LAB_TEST(test_poison_stops_at_what_is_there),
                LAB_TEST(test_poison_where_a_protected_page_was),
                LAB_TEST(test_dontneed_keeps_the_shared_page),
                LAB_TEST(test_a_forked_child_has_no_access),
                LAB_TEST(test_without_dontfork_a_child_reads_zeros),
                LAB_TEST(test_without_any_userfaultfd_memory_reads_as_zeros),
                LAB_TEST(test_the_clients_copy_keeps_threads_waiting),
                LAB_TEST(test_wake_after_unmapping_is_sigsegv),
                LAB_TEST(test_an_unmapped_range_says_enoent),
                LAB_TEST(test_a_move_waits_until_it_is_read),
                LAB_TEST(test_what_was_moved_still_faults),
                LAB_TEST(test_a_dead_client_says_esrch_and_nothing_else),
        };

        return cmocka_run_group_tests_name("kernel: ends", tests, NULL, NULL);
}
