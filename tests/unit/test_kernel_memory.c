/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: who may do what to a memfd, and how a read-only client is served. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel_lab.h"

static int reopen(int fd, int flags) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, flags | O_CLOEXEC);
}

static int make_memfd(mode_t mode) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, LAB_LENGTH), 0);
        if (mode)
                assert_int_equal(fchmod(fd, mode), 0);
        return fd;
}

/* As another uid: 0, or the errno of reopening a read-only descriptor for writing. */
static int reopen_for_writing(void *arg) {
        int fd = reopen(*(int *) arg, O_RDWR);

        return fd < 0 ? errno : 0;
}

static void test_mode_0600_keeps_another_uid_from_reopening(void **state) {
        int fd = make_memfd(0600), readonly = reopen(fd, O_RDONLY);

        (void) state;
        assert_true(readonly >= 0);
        assert_int_equal(lab_run_as(LAB_NOBODY, reopen_for_writing, &readonly), EACCES);
        close(readonly);
        close(fd);
}

/* A trap: without the mode, a read-only descriptor is none. */
static void test_default_mode_lets_another_uid_reopen(void **state) {
        int fd = make_memfd(0), readonly = reopen(fd, O_RDONLY);

        (void) state;
        assert_true(readonly >= 0);
        assert_int_equal(lab_run_as(LAB_NOBODY, reopen_for_writing, &readonly), 0);
        close(readonly);
        close(fd);
}

/* Another daemon of the same user takes up what clients kept of the first. */
static void test_the_owner_can_reopen_what_is_readonly(void **state) {
        int fd = make_memfd(0600), readonly = reopen(fd, O_RDONLY), again = reopen(readonly, O_RDWR);
        uint64_t word = 42;

        (void) state;
        assert_true(again >= 0);
        assert_int_equal(pwrite(again, &word, sizeof(word), 0), sizeof(word));
        word = 0;
        assert_int_equal(pread(readonly, &word, sizeof(word), 0), sizeof(word));
        assert_int_equal(word, 42);
        close(again);
        close(readonly);
        close(fd);
}

/* As another uid: 0, if a memfd made here is his, and cannot be given away. */
static int make_and_give_away(void *arg) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct stat st;

        (void) arg;
        if (fd < 0 || fchown(fd, 0, 0) == 0 || fstat(fd, &st) < 0)
                return 1;
        return st.st_uid == LAB_NOBODY ? 0 : 2;
}

/* By these a daemon knows what a daemon of its own user made. */
static void test_a_memfd_tells_its_maker_its_name_and_its_seals(void **state) {
        char path[64], target[64] = "";
        int fd = make_memfd(0600);
        struct stat st;

        (void) state;
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_uid, geteuid());
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        assert_true(readlink(path, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, "/memfd:test (deleted)");
        assert_int_equal(fcntl(fd, F_GET_SEALS), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK);
        close(fd);
        assert_int_equal(lab_run_as(LAB_NOBODY, make_and_give_away, NULL), 0);
}

/* Which pages are in the memory can be asked, also of one that is much larger than they are. */
static void test_seeking_finds_the_pages_that_are_there(void **state) {
        static const off_t pages[] = { 3, 4, 1 << 20, (off_t) 1 << 30 };
        int fd = make_memfd(0600);
        off_t at = 0;

        (void) state;
        assert_int_equal(ftruncate(fd, (off_t) 10 << 40), 0);
        assert_int_equal(lseek(fd, 0, SEEK_DATA), -1);
        assert_int_equal(errno, ENXIO);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(pwrite(fd, "x", 1, pages[i] * (off_t) LAB_PAGE + 7), 1);
        for (unsigned i = 1; i < 4; i++) {
                at = lseek(fd, at, SEEK_DATA);
                assert_int_equal(at, pages[i == 1 ? 0 : i] * (off_t) LAB_PAGE);
                at = lseek(fd, at, SEEK_HOLE);
                assert_int_equal(at, (pages[i] + 1) * (off_t) LAB_PAGE);
        }
        assert_int_equal(lseek(fd, at, SEEK_DATA), -1);
        assert_int_equal(errno, ENXIO);
        close(fd);
}

/* As another uid with a read-only descriptor: the number of ways to change what others see. */
static int try_to_change(void *arg) {
        int fd = *(int *) arg, n = 0;
        uint64_t word = 666;

        n += pwrite(fd, &word, sizeof(word), 0) >= 0;
        n += ftruncate(fd, 0) == 0;
        n += ftruncate(fd, 2 * (off_t) LAB_LENGTH) == 0;
        n += fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LAB_PAGE) == 0;
        n += fchmod(fd, 0666) == 0;
        n += fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
        n += mmap(NULL, LAB_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
        return n;
}

static void test_readonly_descriptor_changes_nothing(void **state) {
        int fd = make_memfd(0600), readonly = reopen(fd, O_RDONLY);
        uint64_t word = 42;

        (void) state;
        assert_int_equal(pwrite(fd, &word, sizeof(word), 0), sizeof(word));
        assert_true(readonly >= 0);
        assert_int_equal(lab_run_as(LAB_NOBODY, try_to_change, &readonly), 0);
        assert_int_equal(pread(fd, &word, sizeof(word), 0), sizeof(word));
        assert_int_equal(word, 42);
        close(readonly);
        close(fd);
}

static void test_seal_forbids_shrinking_alone(void **state) {
        int fd = make_memfd(0600);
        struct stat st;

        (void) state;
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(ftruncate(fd, LAB_PAGE), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 2 * (off_t) LAB_LENGTH), 0);
        assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LAB_PAGE), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 2 * LAB_LENGTH);
        close(fd);
}

/* A page is in RAM exactly when its range holds one: holes cost nothing, however large. */
static void test_memory_costs_what_it_holds(void **state) {
        int fd = make_memfd(0600);
        struct stat st;

        (void) state;
        assert_int_equal(ftruncate(fd, (off_t) 10 << 40), 0);
        assert_int_equal(pwrite(fd, "x", 1, (off_t) 5 << 40), 1);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_blocks * 512, LAB_PAGE);
        assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) 5 << 40, LAB_PAGE), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_blocks, 0);
        close(fd);
}

static void test_shared_mapping_of_a_readonly_descriptor_is_not_registered(void **state) {
        int fd = make_memfd(0600), readonly = reopen(fd, O_RDONLY), uffd = (int) syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
        struct uffdio_api api = { .api = UFFD_API, .features = BF_UFFD_FEATURES };
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR };
        void *p = mmap(NULL, LAB_LENGTH, PROT_READ, MAP_SHARED, readonly, 0);

        (void) state;
        if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0) {
                print_message("skipped: no userfaultfd with the features %#llx\n", (unsigned long long) BF_UFFD_FEATURES);
                skip();
        }
        assert_ptr_not_equal(p, MAP_FAILED);
        reg.range = (struct uffdio_range) { .start = (uintptr_t) p, .len = LAB_LENGTH };
        assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), -1);
        assert_int_equal(errno, EPERM);
        munmap(p, LAB_LENGTH);
        close(uffd);
        close(readonly);
        close(fd);
}

static uint64_t resident_bytes(struct lab *lab) {
        struct stat st;

        assert_int_equal(fstat(lab->memfd, &st), 0);
        return (uint64_t) st.st_blocks * 512;
}

static void readonly_fault(struct lab *lab, uint64_t page, uint64_t value) {
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, page), 0);
        lab_assert_fault(lab, lab_at(lab, 0, page), LAB_MISSING);
        lab_fill(lab, page, value);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, page), 1, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, value);
}

/* How a read-only client is served: the memory is filled past it, and CONTINUE shows what is there. */
static void test_readonly_client_sees_the_shared_page(void **state) {
        struct lab *lab = lab_begin(state, LAB_READONLY);

        readonly_fault(lab, 5, 42);
        assert_int_equal(resident_bytes(lab), LAB_PAGE);
        lab_fill(lab, 5, 43);
        assert_int_equal(lab_do(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0).value, 43);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        assert_int_equal(resident_bytes(lab), 0);
        readonly_fault(lab, 5, 44);
}

/* A page that came into the memory by another way is MINOR to it. */
static void test_readonly_client_faults_minor_on_a_resident_page(void **state) {
        struct lab *lab = lab_begin(state, LAB_READONLY);

        lab_fill(lab, 5, 42);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0);
        lab_assert_fault(lab, lab_at(lab, 0, 5), UFFD_PAGEFAULT_FLAG_MINOR);
        assert_int_equal(lab_continue(lab, lab_at(lab, 0, 5), 1, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
}

static void test_readonly_client_cannot_write(void **state) {
        struct lab *lab = lab_begin(state, LAB_READONLY);

        readonly_fault(lab, 5, 42);
        assert_int_equal(lab_do(lab, 0, LAB_WRITE, lab_at(lab, 0, 5), 666).signal, SIGSEGV);
        assert_int_equal(lab_peek(lab, 5), 42);
}

/* A trap: COPY into a private mapping makes a page of the client's own, which punching the memory does not take back. */
static void test_copy_into_a_private_mapping_is_out_of_reach(void **state) {
        struct lab *lab = lab_begin(state, LAB_READONLY);
        uint64_t at = lab_at(lab, 0, 5);

        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
        assert_int_equal(resident_bytes(lab), 0);
        assert_int_equal(lab_punch(lab, 5, 1), 0);
        assert_int_equal(lab_do(lab, 0, LAB_READ, at, 0).value, 42);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_mode_0600_keeps_another_uid_from_reopening),
                cmocka_unit_test(test_default_mode_lets_another_uid_reopen),
                cmocka_unit_test(test_the_owner_can_reopen_what_is_readonly),
                cmocka_unit_test(test_a_memfd_tells_its_maker_its_name_and_its_seals),
                cmocka_unit_test(test_seeking_finds_the_pages_that_are_there),
                cmocka_unit_test(test_readonly_descriptor_changes_nothing),
                cmocka_unit_test(test_seal_forbids_shrinking_alone),
                cmocka_unit_test(test_memory_costs_what_it_holds),
                cmocka_unit_test(test_shared_mapping_of_a_readonly_descriptor_is_not_registered),
                LAB_TEST(test_readonly_client_sees_the_shared_page),
                LAB_TEST(test_readonly_client_faults_minor_on_a_resident_page),
                LAB_TEST(test_readonly_client_cannot_write),
                LAB_TEST(test_copy_into_a_private_mapping_is_out_of_reach),
        };

        return cmocka_run_group_tests_name("kernel: memory", tests, NULL, NULL);
}
