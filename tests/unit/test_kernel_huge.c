/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: huge pages of the host's reserve are served as small ones are, a whole one at a time. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "kernel_lab.h"

#define RESERVE_PATH "/proc/sys/vm/nr_hugepages"
#define FREE_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

#define WRITE UFFD_PAGEFAULT_FLAG_WRITE
#define WP UFFD_PAGEFAULT_FLAG_WP

static long read_number(const char *path) {
        FILE *f = fopen(path, "re");
        long n = -1;

        if (f && fscanf(f, "%ld", &n) != 1)
                n = -1;
        if (f)
                fclose(f);
        return n;
}

static void write_number(const char *path, long n) {
        FILE *f = fopen(path, "we");

        if (!f)
                return;
        fprintf(f, "%ld\n", n);
        fclose(f);
}

static struct lab *begin(void **state, unsigned flags) {
        if (read_number(FREE_PATH) < LAB_HUGE_PAGES) {
                print_message("skipped: this host has no huge pages to spare\n");
                skip();
        }
        return lab_begin(state, flags | LAB_HUGE);
}

static void assert_answer(struct lab *lab, unsigned hand, uint64_t value) {
        struct lab_answer answer = lab_answer(lab, hand);

        assert_int_equal(answer.signal, 0);
        assert_int_equal(answer.error, 0);
        assert_int_equal(answer.value, value);
}

static void load(struct lab *lab, uint64_t page, uint64_t value, uint64_t mode) {
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, page) + LAB_HUGE_PAGE / 2, 0); /* any byte of it */
        lab_assert_fault(lab, lab_at(lab, 0, page), LAB_MISSING);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, page), 1, value, mode, NULL), 0);
        assert_answer(lab, 0, value);
}

static void test_read_then_write(void **state) {
        struct lab *lab = begin(state, 0);

        load(lab, 1, 42, UFFDIO_COPY_MODE_WP);
        lab_order(lab, 0, LAB_WRITE, lab_at(lab, 0, 1), 43);
        lab_assert_fault(lab, lab_at(lab, 0, 1), WP | WRITE);
        assert_int_equal(lab_protect(lab, lab_at(lab, 0, 1), 1, false), 0);
        assert_answer(lab, 0, 0);
        assert_int_equal(lab_peek(lab, 1), 43);
}

static void test_write_in_one_fault(void **state) {
        struct lab *lab = begin(state, 0);

        lab_order(lab, 0, LAB_WRITE, lab_at(lab, 0, 1), 43);
        lab_assert_fault(lab, lab_at(lab, 0, 1), WRITE);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 1), 1, 42, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        lab_assert_no_event(lab);
        assert_int_equal(lab_peek(lab, 1), 43);
}

static void test_another_mapping_is_minor(void **state) {
        struct lab *lab = begin(state, 0);

        load(lab, 1, 42, 0);
        lab_order(lab, 1, LAB_READ, lab_at(lab, 1, 1), 0);
        lab_assert_fault(lab, lab_at(lab, 1, 1), UFFD_PAGEFAULT_FLAG_MINOR);
        assert_int_equal(lab_continue(lab, lab_at(lab, 1, 1), 1, UFFDIO_CONTINUE_MODE_WP, NULL), 0);
        assert_answer(lab, 1, 42);
        lab_order(lab, 1, LAB_WRITE, lab_at(lab, 1, 1), 43);
        lab_assert_fault(lab, lab_at(lab, 1, 1), WP | WRITE);
}

static void test_punched_pages_are_missing_again(void **state) {
        struct lab *lab = begin(state, 0);

        load(lab, 1, 42, 0);
        assert_int_equal(lab_punch(lab, 1, 1), 0);
        load(lab, 1, 43, UFFDIO_COPY_MODE_WP);
        assert_int_equal(lab_punch(lab, 1, 1), 0);
        lab_order(lab, 0, LAB_WRITE, lab_at(lab, 0, 1), 45);
        lab_assert_fault(lab, lab_at(lab, 0, 1), WRITE);
        assert_int_equal(lab_copy(lab, lab_at(lab, 0, 1), 1, 44, 0, NULL), 0);
        assert_answer(lab, 0, 0);
        assert_int_equal(lab_peek(lab, 1), 45);
}

static void test_poison(void **state) {
        struct lab *lab = begin(state, 0);
        uint64_t at = lab_at(lab, 0, 1);

        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_poison(lab, at, 1, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).signal, SIGBUS);
        assert_int_equal(lab_do(lab, 0, LAB_READ, at, 0).signal, SIGBUS);
        assert_int_equal(lab_do(lab, 0, LAB_DONTNEED, at, 0).error, 0);
        load(lab, 1, 42, 0);
}

static void test_readonly_client(void **state) {
        struct lab *lab = begin(state, LAB_READONLY);

        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 1), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 1), LAB_MISSING);
        lab_fill(lab, 1, 42);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 1), 1, 0, NULL), 0);
        assert_answer(lab, 0, 42);
        lab_fill(lab, 1, 43);
        assert_int_equal(lab_do(lab, 0, LAB_READ, lab_at(lab, 0, 1), 0).value, 43);
        assert_int_equal(lab_punch(lab, 1, 1), 0);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 1), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 1), LAB_MISSING);
}

static int run_all(void) {
        const struct CMUnitTest tests[] = {
                LAB_TEST(test_read_then_write),
                LAB_TEST(test_write_in_one_fault),
                LAB_TEST(test_another_mapping_is_minor),
                LAB_TEST(test_punched_pages_are_missing_again),
                LAB_TEST(test_poison),
                LAB_TEST(test_readonly_client),
        };

        return cmocka_run_group_tests_name("kernel: huge pages", tests, NULL, NULL);
}

/* The tests run in a child, so that what was reserved for them is given back whatever becomes of them. */
int main(void) {
        long before = read_number(RESERVE_PATH);
        bool reserve = read_number(FREE_PATH) < LAB_HUGE_PAGES;
        int status = 1;
        pid_t pid;

        if (reserve)
                write_number(RESERVE_PATH, before + LAB_HUGE_PAGES);
        pid = fork();
        if (pid == 0)
                exit(run_all());
        if (pid > 0)
                waitpid(pid, &status, 0);
        if (reserve)
                write_number(RESERVE_PATH, before);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
