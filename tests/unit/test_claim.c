/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Claims, and what the kernel promises for them: a lock of an open file description lives as long as any descriptor or mapping of that description. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/memfd.h>

#include <cmocka.h>

#include "claim.h"

#define SIZE 4096

static int make_memory(unsigned flags) {
        int fd = memfd_create("claims", MFD_CLOEXEC | flags);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, flags & MFD_HUGETLB ? 2 << 20 : SIZE), 0);
        return fd;
}

static int open_anew(int fd, int oflag) {
        char path[64];
        int copy;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, oflag | O_CLOEXEC);
        assert_true(copy >= 0);
        return copy;
}

static void check_absent(int fd, uint64_t generation, bool writer, bool any) {
        assert_int_equal(claim_is_anyone_absent(fd, generation, CLAIM_WRITER), writer);
        assert_int_equal(claim_is_anyone_absent(fd, generation, CLAIM_ANY), any);
}

static void check_life(unsigned flags) {
        int memory = make_memory(flags), writer = open_anew(memory, O_RDWR), reader = open_anew(memory, O_RDONLY);

        check_absent(memory, 1, false, false);
        assert_int_equal(claim_set_present(writer, true, 1, 0), 0);
        assert_int_equal(claim_set_present(reader, false, 1, 1), 0);
        check_absent(memory, 1, false, false);
        check_absent(memory, 2, true, true);
        assert_int_equal(claim_set_present(writer, true, 2, 0), 0);
        check_absent(memory, 2, false, true);
        assert_int_equal(claim_set_present(reader, false, 2, 1), 0);
        check_absent(memory, 2, false, false);
        claim_set_absent(reader, false, 2, 1);
        check_absent(memory, 2, false, true);
        claim_set_absent(writer, true, 2, 0);
        check_absent(memory, 2, true, true);
        claim_drop(writer);
        check_absent(memory, 2, false, true);
        close(reader);
        check_absent(memory, 2, false, false);
        close(writer);
        close(memory);
}

static void test_life(void **state) {
        (void) state;
        check_life(0);
}

static void test_life_on_huge_pages(void **state) {
        (void) state;
        check_life(MFD_HUGETLB | MFD_HUGE_2MB);
}

static void check_mapping(int prot, int flags, bool is_writer) {
        int memory = make_memory(0), fd = open_anew(memory, is_writer ? O_RDWR : O_RDONLY);
        void *map;

        assert_int_equal(claim_set_present(fd, is_writer, 1, 0), 0);
        map = mmap(NULL, SIZE, prot, flags, fd, 0);
        assert_ptr_not_equal(map, MAP_FAILED);
        close(fd);
        check_absent(memory, 2, is_writer, true);
        munmap(map, SIZE);
        check_absent(memory, 2, false, false);
        close(memory);
}

static void test_a_mapping_keeps_it(void **state) {
        (void) state;
        check_mapping(PROT_READ | PROT_WRITE, MAP_SHARED, true);
        check_mapping(PROT_READ, MAP_PRIVATE, false);
}

/* the descriptors that are sent to a client, and those it sends back, are of one description */
static void test_duplicates_are_one(void **state) {
        int memory = make_memory(0), fd = open_anew(memory, O_RDWR), copy = dup(fd);

        (void) state;
        assert_int_equal(claim_set_present(fd, true, 1, 0), 0);
        close(fd);
        check_absent(memory, 2, true, true);
        assert_int_equal(claim_set_present(copy, true, 2, 7), 0);
        check_absent(memory, 2, false, false);
        close(copy);
        close(memory);
}

/* one who may only read can be in the way of a writer's claim, but is never taken for a writer */
static void test_foreign_locks(void **state) {
        int memory = make_memory(0), writer = open_anew(memory, O_RDWR), reader = open_anew(memory, O_RDONLY);
        struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

        (void) state;
        assert_int_equal(fcntl(reader, F_OFD_SETLK, &lock), 0);
        check_absent(memory, 1, false, true);
        assert_int_equal(claim_set_present(writer, true, 1, 0), -EAGAIN);
        close(reader);
        assert_int_equal(claim_set_present(writer, true, 1, 0), 0);
        close(writer);
        close(memory);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_life_on_huge_pages),
                cmocka_unit_test(test_a_mapping_keeps_it),
                cmocka_unit_test(test_duplicates_are_one),
                cmocka_unit_test(test_foreign_locks),
        };

        return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
