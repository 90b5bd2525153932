/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "closer.h"

#define N_MANY 400

/* What is written to goes to the closer: the end that can be read, which sees it closed. */
static int hand_over_pipe(void) {
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        closer_close(fds[1]);
        return fds[0];
}

static void wait_closed(int end) {
        char byte;

        assert_int_equal(read(end, &byte, 1), 0);
        close(end);
}

static void test_what_is_handed_over_is_closed(void **state) {
        (void) state;
        for (unsigned i = 0; i < N_MANY; i++) /* one after the other */
                wait_closed(hand_over_pipe());
}

static void test_many_at_once(void **state) {
        int ends[N_MANY];

        (void) state;
        for (unsigned i = 0; i < N_MANY; i++)
                ends[i] = hand_over_pipe();
        for (unsigned i = 0; i < N_MANY; i++)
                wait_closed(ends[i]);
}

static void test_sockets_alone(void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), pair[2];

        (void) state;
        assert_true(fd >= 0);
        assert_false(closer_close_socket(fd));
        assert_int_equal(close(fd), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_true(closer_close_socket(pair[1]));
        wait_closed(pair[0]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_handed_over_is_closed),
                cmocka_unit_test(test_many_at_once),
                cmocka_unit_test(test_sockets_alone),
        };

        return cmocka_run_group_tests_name("closer", tests, NULL, NULL);
}
