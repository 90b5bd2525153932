/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promises of the kernel: how a userfaultfd is made, lent and read, also by io_uring and with a client that misbehaves. */

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel_lab.h"

static int make_uffd(int flags) {
        return (int) syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
}

static void test_features_are_told_before_any_is_asked_for(void **state) {
        struct uffdio_api ask = { .api = UFFD_API }, take = { .api = UFFD_API }, unknown = { .api = UFFD_API, .features = UINT64_C(1) << 62 };
        int fd = make_uffd(UFFD_USER_MODE_ONLY), other = make_uffd(UFFD_USER_MODE_ONLY);

        (void) state;
        if (fd < 0) {
                print_message("skipped: no userfaultfd: %s\n", strerror(errno));
                skip();
        }
        assert_int_equal(ioctl(fd, UFFDIO_API, &ask), 0);
        assert_true(ask.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP);
        assert_int_equal(ioctl(other, UFFDIO_API, &unknown), -1);
        assert_int_equal(errno, EINVAL);
        take.features = ask.features & BF_UFFD_FEATURES;
        assert_int_equal(ioctl(other, UFFDIO_API, &take), 0);
        assert_int_equal(take.features, ask.features);
        close(fd);
        close(other);
}

static void test_a_userfaultfd_is_known_by_its_name(void **state) {
        char path[64], target[64] = "";
        int fd = make_uffd(UFFD_USER_MODE_ONLY);

        (void) state;
        if (fd < 0)
                skip();
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        assert_true(readlink(path, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, "anon_inode:[userfaultfd]");
        close(fd);
}

static bool unprivileged_may_have_uffd(void) {
        FILE *f = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
        int value = f ? fgetc(f) : '1';

        if (f)
                fclose(f);
        return value != '0';
}

static int try_system_call(void *arg) {
        (void) arg;
        return make_uffd(0) < 0 ? errno : 0;
}

static int try_user_mode(void *arg) {
        (void) arg;
        return make_uffd(UFFD_USER_MODE_ONLY) < 0 ? errno : 0;
}

static int try_device(void *arg) {
        (void) arg;
        return open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) < 0 ? errno : 0;
}

static void test_an_unprivileged_user_gets_none_by_itself(void **state) {
        (void) state;
        if (unprivileged_may_have_uffd()) {
                print_message("skipped: vm.unprivileged_userfaultfd is 1 here\n");
                skip();
        }
        assert_int_equal(lab_run_as(LAB_NOBODY, try_system_call, NULL), EPERM);
        assert_int_equal(lab_run_as(LAB_NOBODY, try_device, NULL), EACCES);
        assert_int_equal(lab_run_as(LAB_NOBODY, try_user_mode, NULL), 0);
}

/* Opening the device is what is privileged: lent, it gives an unprivileged client a full userfaultfd. */
static void test_the_lent_device_serves_an_unprivileged_client(void **state) {
        struct lab *lab = lab_begin(state, LAB_LENT);
        uint64_t at = lab_at(lab, 0, 1);

        lab_order(lab, 0, LAB_PIPE_OUT, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_copy(lab, at, 1, 42, UFFDIO_COPY_MODE_WP, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
        lab_order(lab, 0, LAB_WRITE, at, 43);
        lab_assert_fault(lab, at, UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE);
        assert_int_equal(lab_protect(lab, at, 1, false), 0);
        assert_int_equal(lab_answer(lab, 0).signal, 0);
}

/* What a private daemon without privileges can offer: threads wait, system calls get EFAULT. */
static void test_user_mode_only_means_efault_in_system_calls(void **state) {
        struct lab *lab = lab_begin(state, LAB_USER_MODE);
        uint64_t at = lab_at(lab, 0, 1);

        assert_int_equal(lab_do(lab, 0, LAB_PIPE_OUT, at, 0).error, -EFAULT);
        lab_assert_no_event(lab);
        lab_order(lab, 0, LAB_READ, at, 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
        assert_int_equal(lab_do(lab, 0, LAB_PIPE_OUT, at, 0).value, 42);
}

static void ring_begin(struct io_uring *ring) {
        int r = io_uring_queue_init(8, ring, 0);

        if (r < 0) {
                print_message("skipped: no io_uring: %s\n", strerror(-r));
                skip();
        }
}

static void ring_read(struct io_uring *ring, int fd, void *buf, unsigned size, uint64_t data) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

        io_uring_prep_read(sqe, fd, buf, size, (uint64_t) -1);
        io_uring_sqe_set_data64(sqe, data);
        assert_int_equal(io_uring_submit(ring), 1);
}

static void ring_poll(struct io_uring *ring, int fd, uint64_t data) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

        io_uring_prep_poll_add(sqe, fd, POLLIN);
        io_uring_sqe_set_data64(sqe, data);
        assert_int_equal(io_uring_submit(ring), 1);
}

static int ring_result(struct io_uring *ring, uint64_t data) {
        struct __kernel_timespec patience = { .tv_sec = 10 };
        struct io_uring_cqe *cqe;
        int r = io_uring_wait_cqe_timeout(ring, &cqe, &patience);

        assert_int_equal(r, 0);
        assert_int_equal(io_uring_cqe_get_data64(cqe), data);
        r = cqe->res;
        io_uring_cqe_seen(ring, cqe);
        return r;
}

static void await_readable(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&pollfd, 1, 10000), 1);
        assert_int_equal(pollfd.revents, POLLIN);
}

static void test_io_uring_reads_several_events_at_once(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct uffd_msg events[LAB_HANDS];
        struct io_uring ring;
        unsigned n = 0;

        ring_begin(&ring);
        for (unsigned i = 0; i < 3; i++)
                lab_order(lab, i, LAB_READ, lab_at(lab, 0, i), 0);
        for (uint64_t seen = 0; seen != 7;) {
                int r;

                ring_read(&ring, lab->uffd, events, sizeof(events), 1);
                r = ring_result(&ring, 1);
                assert_true(r > 0);
                assert_int_equal(r % (int) sizeof(*events), 0);
                for (unsigned i = 0; i < (unsigned) r / sizeof(*events); i++, n++)
                        seen |= UINT64_C(1) << (events[i].arg.pagefault.address - lab_at(lab, 0, 0)) / LAB_PAGE;
        }
        assert_int_equal(n, 3);
        io_uring_queue_exit(&ring);
}

static void test_an_event_is_32_bytes_and_a_read_takes_whole_ones(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct uffd_msg events[2];
        struct io_uring ring;

        ring_begin(&ring);
        assert_int_equal(sizeof(*events), 32);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 0), 0);
        lab_order(lab, 1, LAB_READ, lab_at(lab, 0, 1), 0);
        ring_read(&ring, lab->uffd, events, sizeof(*events) + 31, 1);
        assert_int_equal(ring_result(&ring, 1), sizeof(*events));
        ring_read(&ring, lab->uffd, events, sizeof(*events), 2);
        assert_int_equal(ring_result(&ring, 2), sizeof(*events));
        io_uring_queue_exit(&ring);
}

static void test_io_uring_read_waits_for_an_event(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct uffd_msg event;
        struct io_uring ring;

        ring_begin(&ring);
        ring_read(&ring, lab->uffd, &event, sizeof(event), 1);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0);
        assert_int_equal(ring_result(&ring, 1), sizeof(event));
        assert_int_equal(event.arg.pagefault.address & ~(LAB_PAGE - 1), lab_at(lab, 0, 5));
        io_uring_queue_exit(&ring);
}

static void test_a_waiting_io_uring_read_can_be_cancelled(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct io_uring_sqe *sqe;
        struct uffd_msg event;
        struct io_uring ring;

        ring_begin(&ring);
        ring_read(&ring, lab->uffd, &event, sizeof(event), 1);
        sqe = io_uring_get_sqe(&ring);
        io_uring_prep_cancel64(sqe, 1, IORING_ASYNC_CANCEL_ALL);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        assert_int_equal(io_uring_submit(&ring), 1);
        assert_int_equal(ring_result(&ring, 1), -ECANCELED);
        io_uring_queue_exit(&ring);
}

static void test_io_uring_poll_waits_for_an_event(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct io_uring ring;

        ring_begin(&ring);
        ring_poll(&ring, lab->uffd, 1);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0);
        assert_int_equal(ring_result(&ring, 1), POLLIN);
        lab_assert_fault(lab, lab_at(lab, 0, 5), LAB_MISSING);
        io_uring_queue_exit(&ring);
}

/* A client shares the file description and can make its userfaultfd block. Nobody may read(2) it then; all else tells. */
static void test_a_blocking_userfaultfd_gives_errors_not_a_hang(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct pollfd pollfd = { .fd = lab->uffd, .events = POLLIN };
        struct uffd_msg event;
        struct iovec iov = { &event, sizeof(event) };
        struct io_uring ring;

        ring_begin(&ring);
        assert_int_equal(lab_do(lab, 0, LAB_BLOCK, 0, 0).error, 0);
        assert_int_equal(poll(&pollfd, 1, 10000), 1);
        assert_true(pollfd.revents & POLLERR);
        assert_int_equal(preadv2(lab->uffd, &iov, 1, -1, RWF_NOWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        ring_read(&ring, lab->uffd, &event, sizeof(event), 1);
        assert_int_equal(ring_result(&ring, 1), -EINTR);
        ring_poll(&ring, lab->uffd, 2);
        assert_true(ring_result(&ring, 2) & POLLERR);
        io_uring_queue_exit(&ring);
}

/* The same while a poll is waiting: it ends with the next event, which can still be read, and the read after that tells. */
static void test_a_poll_under_way_ends_when_the_userfaultfd_blocks(void **state) {
        struct lab *lab = lab_begin(state, 0);
        struct uffd_msg event;
        struct io_uring ring;

        ring_begin(&ring);
        ring_poll(&ring, lab->uffd, 1);
        assert_int_equal(lab_do(lab, 0, LAB_BLOCK, 0, 0).error, 0);
        lab_order(lab, 0, LAB_READ, lab_at(lab, 0, 5), 0);
        assert_true(ring_result(&ring, 1) & (POLLIN | POLLERR));
        ring_read(&ring, lab->uffd, &event, sizeof(event), 2);
        assert_int_equal(ring_result(&ring, 2), sizeof(event));
        ring_read(&ring, lab->uffd, &event, sizeof(event), 3);
        assert_int_equal(ring_result(&ring, 3), -EINTR);
        io_uring_queue_exit(&ring);
}

/* In a process that dies having read an event without answering it. */
static int read_and_die(void *arg) {
        struct uffd_msg event;

        await_readable(*(int *) arg);
        return read(*(int *) arg, &event, sizeof(event)) == sizeof(event) ? 0 : 1;
}

static void test_wake_raises_a_taken_fault_again(void **state) {
        struct lab *lab = lab_begin(state, 0);
        uint64_t at = lab_at(lab, 0, 5);

        lab_order(lab, 0, LAB_READ, at, 0);
        assert_int_equal(lab_run_as(0, read_and_die, &lab->uffd), 0);
        lab_assert_no_event(lab);
        lab_assert_asleep(lab, 0);
        assert_int_equal(lab_wake(lab, lab_at(lab, 0, 0), LAB_PAGES), 0);
        lab_assert_fault(lab, at, LAB_MISSING);
        assert_int_equal(lab_copy(lab, at, 1, 42, 0, NULL), 0);
        assert_int_equal(lab_answer(lab, 0).value, 42);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_features_are_told_before_any_is_asked_for),
                cmocka_unit_test(test_a_userfaultfd_is_known_by_its_name),
                cmocka_unit_test(test_an_unprivileged_user_gets_none_by_itself),
                LAB_TEST(test_the_lent_device_serves_an_unprivileged_client),
                LAB_TEST(test_user_mode_only_means_efault_in_system_calls),
                LAB_TEST(test_io_uring_reads_several_events_at_once),
                LAB_TEST(test_an_event_is_32_bytes_and_a_read_takes_whole_ones),
                LAB_TEST(test_io_uring_read_waits_for_an_event),
                LAB_TEST(test_a_waiting_io_uring_read_can_be_cancelled),
                LAB_TEST(test_io_uring_poll_waits_for_an_event),
                LAB_TEST(test_a_blocking_userfaultfd_gives_errors_not_a_hang),
                LAB_TEST(test_a_poll_under_way_ends_when_the_userfaultfd_blocks),
                LAB_TEST(test_wake_raises_a_taken_fault_again),
        };

        return cmocka_run_group_tests_name("kernel: userfaultfd", tests, NULL, NULL);
}
