/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Packets and their descriptors: what was sent arrives, and whatever else comes, no descriptor is left open. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "chan.h"

#define FDS_KERNEL_MAX 253 /* with one packet */

struct pair {
        int ours, theirs;
        unsigned n_open; /* descriptors of this process with the pair open */
};

static unsigned n_open_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static int setup(void **state) {
        static struct pair pair;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -1;
        pair = (struct pair) { .ours = fds[0], .theirs = fds[1] };
        pair.n_open = n_open_fds();
        *state = &pair;
        return 0;
}

static int teardown(void **state) {
        struct pair *pair = *state;

        if (pair->ours >= 0)
                close(pair->ours);
        if (pair->theirs >= 0)
                close(pair->theirs);
        return 0;
}

static void assert_nothing_leaked(const struct pair *pair) {
        assert_int_equal(n_open_fds(), pair->n_open);
}

static void close_theirs(struct pair *pair) {
        close(pair->theirs);
        pair->theirs = -1;
        pair->n_open--;
}

/* A packet as no honest peer sends it: any size, any number of descriptors, all of them standard input. */
static void send_raw(int fd, size_t size, unsigned n_fds) {
        static const uint8_t bytes[2 * WIRE_MSG_MAX] = { 1 };
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(FDS_KERNEL_MAX * sizeof(int))];
        } control = { .bytes = { 0 } };
        struct iovec iov = { .iov_base = (void *) bytes, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *c;

                m.msg_control = control.bytes;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                memset(CMSG_DATA(c), 0, n_fds * sizeof(int));
        }
        assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), size);
}

static union wire_msg some_message(void) {
        union wire_msg msg;

        wire_init(&msg, WIRE_INVALIDATE, 77);
        msg.range.handle = 5;
        msg.range.offset = 4096;
        msg.range.length = 8192;
        return msg;
}

static void test_a_message_arrives_with_its_descriptors(void **state) {
        const struct pair *pair = *state;

        for (unsigned n = 0; n <= WIRE_FDS_MAX; n++) {
                union wire_msg msg = some_message();
                struct chan_packet packet;
                int fds[WIRE_FDS_MAX];
                struct stat a, b;

                for (unsigned i = 0; i < n; i++)
                        fds[i] = open(i % 2 ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC);
                assert_int_equal(chan_send(pair->theirs, &msg, fds, n), 0);
                assert_int_equal(msg.header.n_fds, n);
                assert_int_equal(chan_receive(pair->ours, &packet), 1);
                assert_int_equal(packet.size, sizeof(struct wire_range));
                assert_memory_equal(&packet.msg, &msg, sizeof(struct wire_range));
                assert_int_equal(packet.n_fds, n);
                for (unsigned i = 0; i < n; i++) {
                        assert_int_equal(fcntl(packet.fds[i], F_GETFD), FD_CLOEXEC);
                        assert_int_equal(fstat(fds[i], &a), 0);
                        assert_int_equal(fstat(packet.fds[i], &b), 0);
                        assert_int_equal(a.st_rdev, b.st_rdev);
                        close(fds[i]);
                }
                chan_packet_close(&packet);
                assert_nothing_leaked(pair);
        }
}

static void test_a_descriptor_taken_is_the_callers(void **state) {
        const struct pair *pair = *state;
        union wire_msg msg = some_message();
        struct chan_packet packet;
        int fds[3] = { 0, 0, 0 }, taken;

        assert_int_equal(chan_send(pair->theirs, &msg, fds, 3), 0);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        taken = chan_packet_take(&packet, 1);
        chan_packet_close(&packet);
        assert_true(fcntl(taken, F_GETFD) >= 0);
        close(taken);
        assert_nothing_leaked(pair);
        chan_packet_close(&packet); /* empty by now */
}

static void test_more_descriptors_than_allowed_are_not_sent(void **state) {
        const struct pair *pair = *state;
        union wire_msg msg = some_message();
        int fds[WIRE_FDS_MAX + 1] = { 0 };
        char byte;

        assert_int_equal(chan_send(pair->theirs, &msg, fds, WIRE_FDS_MAX + 1), -EINVAL);
        assert_int_equal(recv(pair->ours, &byte, 1, MSG_DONTWAIT), -1);
}

static void test_more_descriptors_than_allowed_are_closed(void **state) {
        const struct pair *pair = *state;
        struct chan_packet packet;

        for (unsigned n = WIRE_FDS_MAX + 1; n <= FDS_KERNEL_MAX; n += n < 10 ? 1 : 27) {
                send_raw(pair->theirs, 32, n);
                assert_int_equal(chan_receive(pair->ours, &packet), -EMSGSIZE);
                assert_nothing_leaked(pair);
        }
        send_raw(pair->theirs, 32, FDS_KERNEL_MAX);
        assert_int_equal(chan_receive(pair->ours, &packet), -EMSGSIZE);
        assert_nothing_leaked(pair);
}

/* None is left to the kernel, which would close it in this thread. */
static void test_all_descriptors_that_can_come_do(void **state) {
        const struct pair *pair = *state;
        struct chan_packet packet;

        send_raw(pair->theirs, 32, FDS_KERNEL_MAX);
        assert_int_equal(chan_receive_all(pair->ours, &packet), -EMSGSIZE);
        assert_int_equal(packet.n_fds, FDS_KERNEL_MAX);
        chan_packet_close(&packet);
        assert_nothing_leaked(pair);
}

static void test_a_packet_too_long_is_refused_with_its_descriptors(void **state) {
        const struct pair *pair = *state;
        struct chan_packet packet;

        send_raw(pair->theirs, WIRE_MSG_MAX, 0);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        assert_int_equal(packet.size, WIRE_MSG_MAX);
        send_raw(pair->theirs, WIRE_MSG_MAX + 1, 2);
        assert_int_equal(chan_receive(pair->ours, &packet), -EMSGSIZE);
        assert_nothing_leaked(pair);
}

/* At the receiver's limit the kernel hands over some of the descriptors and says so by a flag alone. */
static void test_descriptors_lost_at_the_limit_are_noticed(void **state) {
        const struct pair *pair = *state;
        struct rlimit before, low;
        struct chan_packet packet;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (unsigned room = 0; room <= WIRE_FDS_MAX; room++) {
                int highest = fcntl(0, F_DUPFD_CLOEXEC, 0); /* the lowest free number: nothing above it is in use, as nothing was inherited */

                assert_true(highest >= 0);
                close(highest);
                send_raw(pair->theirs, 32, WIRE_FDS_MAX);
                low = (struct rlimit) { .rlim_cur = (rlim_t) highest + room, .rlim_max = before.rlim_max };
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
                assert_int_equal(chan_receive(pair->ours, &packet), room < WIRE_FDS_MAX ? -EMFILE : 1);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                if (room == WIRE_FDS_MAX)
                        chan_packet_close(&packet);
                assert_nothing_leaked(pair);
        }
}

static void test_credentials_beside_descriptors_do_no_harm(void **state) {
        const struct pair *pair = *state;
        union wire_msg msg = some_message();
        struct chan_packet packet;
        int on = 1, fd = 0;

        assert_int_equal(setsockopt(pair->ours, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
        assert_int_equal(chan_send(pair->theirs, &msg, &fd, 1), 0);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        assert_int_equal(packet.n_fds, 1);
        chan_packet_close(&packet);
        assert_nothing_leaked(pair);
}

static void test_short_and_empty_packets(void **state) {
        const struct pair *pair = *state;
        struct chan_packet packet;

        send_raw(pair->theirs, 1, 1);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        assert_int_equal(packet.size, 1);
        chan_packet_close(&packet);
        send_raw(pair->theirs, 0, 1);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        assert_int_equal(packet.size, 0);
        assert_int_equal(packet.n_fds, 1);
        chan_packet_close(&packet);
        assert_nothing_leaked(pair);
}

static void test_the_end_of_the_peer(void **state) {
        struct pair *pair = *state;
        union wire_msg msg = some_message();
        struct chan_packet packet;

        assert_int_equal(chan_send(pair->theirs, &msg, NULL, 0), 0);
        close_theirs(pair);
        assert_int_equal(chan_receive(pair->ours, &packet), 1);
        assert_int_equal(chan_receive(pair->ours, &packet), 0);
        assert_int_equal(chan_send(pair->ours, &msg, NULL, 0), -EPIPE);
}

/* A peer that ends without having read what it was sent resets the connection: that is its end too. */
static void test_the_end_of_a_peer_that_had_not_read(void **state) {
        struct pair *pair = *state;
        union wire_msg msg = some_message();
        struct chan_packet packet;

        assert_int_equal(chan_send(pair->ours, &msg, NULL, 0), 0);
        close_theirs(pair);
        assert_int_equal(chan_receive(pair->ours, &packet), 0);
        assert_int_equal(chan_send(pair->ours, &msg, NULL, 0), -EPIPE);
}

static void test_a_socket_that_does_not_block(void **state) {
        const struct pair *pair = *state;
        union wire_msg msg = some_message();
        struct chan_packet packet;
        unsigned n_sent = 0, n_received = 0;
        int r;

        assert_int_equal(fcntl(pair->ours, F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(fcntl(pair->theirs, F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(chan_receive(pair->ours, &packet), -EAGAIN);
        while ((r = chan_send(pair->theirs, &msg, NULL, 0)) == 0)
                n_sent++;
        assert_int_equal(r, -EAGAIN);
        while ((r = chan_receive(pair->ours, &packet)) == 1)
                n_received++;
        assert_int_equal(r, -EAGAIN);
        assert_int_equal(n_received, n_sent);
}

int main(void) {
#define PAIR_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                PAIR_TEST(test_a_message_arrives_with_its_descriptors),
                PAIR_TEST(test_a_descriptor_taken_is_the_callers),
                PAIR_TEST(test_more_descriptors_than_allowed_are_not_sent),
                PAIR_TEST(test_more_descriptors_than_allowed_are_closed),
                PAIR_TEST(test_all_descriptors_that_can_come_do),
                PAIR_TEST(test_a_packet_too_long_is_refused_with_its_descriptors),
                PAIR_TEST(test_descriptors_lost_at_the_limit_are_noticed),
                PAIR_TEST(test_credentials_beside_descriptors_do_no_harm),
                PAIR_TEST(test_short_and_empty_packets),
                PAIR_TEST(test_the_end_of_the_peer),
                PAIR_TEST(test_the_end_of_a_peer_that_had_not_read),
                PAIR_TEST(test_a_socket_that_does_not_block),
        };

        return cmocka_run_group_tests_name("chan", tests, NULL, NULL);
}
