/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets at paths, and who may serve them: what a daemon that starts finds there, and what a client gets that comes. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chan.h"

struct place {
        char dir[32];
        char path[64]; /* of the socket */
};

static int setup(void **state) {
        static struct place place;

        strcpy(place.dir, "/tmp/bf-chan-XXXXXX");
        if (!mkdtemp(place.dir))
                return -1;
        snprintf(place.path, sizeof(place.path), "%s/socket", place.dir);
        *state = &place;
        return 0;
}

static int teardown(void **state) {
        struct place *place = *state;

        unlink(place->path);
        return rmdir(place->dir);
}

static int listen_at(const char *path) {
        int fd = -1;

        assert_int_equal(chan_listen(path, 0600, &fd), 0);
        return fd;
}

/* A message goes from a client through the socket to who accepts it there. */
static void assert_serves(const char *path, int listener) {
        struct chan_packet packet;
        union wire_msg msg;
        int client, peer;

        assert_int_equal(chan_connect(path, &client), 0);
        peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(peer >= 0);
        wire_init(&msg, WIRE_HELLO, 5);
        assert_int_equal(chan_send(client, &msg, NULL, 0), 0);
        assert_int_equal(chan_receive(peer, &packet), 1);
        assert_int_equal(packet.msg.header.serial, 5);
        close(client);
        close(peer);
}

static void test_listen_and_connect(void **state) {
        const struct place *place = *state;
        int listener = listen_at(place->path), client;

        assert_serves(place->path, listener);
        assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
        assert_int_equal(chan_connect(place->path, &client), 0);
        assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
        assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
        close(client);
        close(listener);
}

static void test_the_mode_is_as_asked_whatever_the_umask(void **state) {
        static const mode_t modes[] = { 0600, 0660, 0666 }, umasks[] = { 0, 022, 077 };
        const struct place *place = *state;
        mode_t umask_before = umask(0);
        struct stat st;

        for (unsigned i = 0; i < 3; i++)
                for (unsigned j = 0; j < 3; j++) {
                        int listener = -1;

                        umask(umasks[j]);
                        assert_int_equal(chan_listen(place->path, modes[i], &listener), 0);
                        assert_int_equal(umask(umasks[j]), umasks[j]);
                        assert_int_equal(stat(place->path, &st), 0);
                        assert_int_equal(st.st_mode & 0777, modes[i]);
                        close(listener);
                }
        umask(umask_before);
}

static void test_an_abandoned_socket_is_taken_over(void **state) {
        const struct place *place = *state;
        int listener = listen_at(place->path), client = -1;

        close(listener);
        assert_int_equal(chan_connect(place->path, &client), -ECONNREFUSED);
        assert_int_equal(client, -1);
        listener = listen_at(place->path);
        assert_serves(place->path, listener);
        close(listener);
}

static void test_a_served_socket_is_left_alone(void **state) {
        const struct place *place = *state;
        int listener = listen_at(place->path), second = -1;

        assert_int_equal(chan_listen(place->path, 0600, &second), -EADDRINUSE);
        assert_int_equal(second, -1);
        close(accept4(listener, NULL, NULL, SOCK_CLOEXEC)); /* the one that looked */
        assert_serves(place->path, listener);
        close(listener);
}

/* A daemon too busy to accept is a daemon: its full backlog neither holds up who looks, nor looks like abandonment. */
static void test_a_served_socket_with_a_full_backlog_is_left_alone(void **state) {
        const struct place *place = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int listener = listen_at(place->path), clients[4], n = 0, second = -1;

        strcpy(address.sun_path, place->path);
        assert_int_equal(listen(listener, 0), 0);
        for (int r = 0; n < 4 && r == 0; n++) {
                clients[n] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                r = connect(clients[n], (struct sockaddr *) &address, sizeof(address));
        }
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(chan_listen(place->path, 0600, &second), -EADDRINUSE);
        while (n > 0)
                close(clients[--n]);
        close(listener);
}

static void test_what_is_no_socket_is_left_alone(void **state) {
        const struct place *place = *state;
        int fd = open(place->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), listener = -1;
        char bytes[4];

        assert_int_equal(write(fd, "data", 4), 4);
        close(fd);
        assert_int_equal(chan_listen(place->path, 0600, &listener), -EADDRINUSE);
        fd = open(place->path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, bytes, 4), 4);
        assert_memory_equal(bytes, "data", 4);
        close(fd);
}

static void test_a_socket_of_another_type_is_left_alone(void **state) {
        const struct place *place = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;

        strcpy(address.sun_path, place->path);
        assert_int_equal(bind(stream, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(stream, 8), 0);
        assert_int_equal(chan_listen(place->path, 0600, &fd), -EADDRINUSE);
        assert_int_equal(chan_connect(place->path, &fd), -EPROTOTYPE);
        close(stream);
}

static void test_paths_too_long_or_empty(void **state) {
        const struct place *place = *state;
        char path[sizeof(((struct sockaddr_un *) NULL)->sun_path) + 1];
        int n = snprintf(path, sizeof(path), "%s/", place->dir), fd = -1;

        memset(path + n, 'x', sizeof(path) - (size_t) n);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(strlen(path), 108);
        assert_int_equal(chan_listen(path, 0600, &fd), -ENAMETOOLONG);
        assert_int_equal(chan_connect(path, &fd), -ENAMETOOLONG);
        assert_int_equal(chan_listen("", 0600, &fd), -EINVAL);
        assert_int_equal(chan_connect("", &fd), -EINVAL);
        assert_int_equal(fd, -1);
        path[107] = '\0'; /* the longest that fits */
        fd = listen_at(path);
        assert_serves(path, fd);
        close(fd);
        unlink(path);
}

static void test_a_lock_is_for_one(void **state) {
        const struct place *place = *state;
        char path[96];
        int lock = -1, second = -1;

        snprintf(path, sizeof(path), "%s.lock", place->path);
        assert_int_equal(chan_lock(place->path, &lock), 0);
        assert_int_equal(fcntl(lock, F_GETFD), FD_CLOEXEC);
        assert_int_equal(access(path, F_OK), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(chan_lock(place->path, &second), -EADDRINUSE);
        assert_int_equal(second, -1);
        chan_unlock(place->path, lock);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(chan_lock(place->path, &lock), 0);
        chan_unlock(place->path, lock);
}

/* A daemon that is killed leaves the file, but not the lock. */
static void test_a_lock_ends_with_who_has_it(void **state) {
        const struct place *place = *state;
        int lock = -1;

        assert_int_equal(chan_lock(place->path, &lock), 0);
        close(lock);
        assert_int_equal(chan_lock(place->path, &lock), 0);
        chan_unlock(place->path, lock);
}

/* Many take and release it at once: never two have it. What one writes while he has it, nobody else changes. */
#define N_TAKERS 4
#define N_TAKES 500

static int take_again_and_again(const struct place *place, volatile int *owner) {
        for (int i = 0, lock; i < N_TAKES;) {
                int r = chan_lock(place->path, &lock);

                if (r == -EADDRINUSE) {
                        sched_yield();
                        continue;
                }
                if (r < 0)
                        return 2;
                *owner = getpid();
                sched_yield();
                if (*owner != getpid())
                        return 3;
                chan_unlock(place->path, lock);
                i++;
        }
        return 0;
}

static void test_a_lock_that_many_take_and_release(void **state) {
        const struct place *place = *state;
        volatile int *owner = mmap(NULL, sizeof(*owner), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pids[N_TAKERS];
        int status;

        assert_ptr_not_equal(owner, MAP_FAILED);
        fflush(NULL);
        for (unsigned i = 0; i < N_TAKERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        _exit(take_again_and_again(place, owner));
        }
        for (unsigned i = 0; i < N_TAKERS; i++) {
                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        munmap((void *) owner, sizeof(*owner));
}

static void test_a_lock_where_none_can_be(void **state) {
        const struct place *place = *state;
        char path[200];
        int lock = -1;

        snprintf(path, sizeof(path), "%s/no/socket", place->dir);
        assert_int_equal(chan_lock(path, &lock), -ENOENT);
        memset(path, 'x', sizeof(path));
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(chan_lock(path, &lock), -ENAMETOOLONG);
        assert_int_equal(lock, -1);
}

static void test_nothing_there(void **state) {
        const struct place *place = *state;
        char path[96];
        int fd = -1;

        snprintf(path, sizeof(path), "%s/no/socket", place->dir);
        assert_int_equal(chan_connect(place->path, &fd), -ENOENT);
        assert_int_equal(chan_listen(path, 0600, &fd), -ENOENT);
        assert_int_equal(fd, -1);
}

int main(void) {
#define PLACE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                PLACE_TEST(test_listen_and_connect),
                PLACE_TEST(test_the_mode_is_as_asked_whatever_the_umask),
                PLACE_TEST(test_an_abandoned_socket_is_taken_over),
                PLACE_TEST(test_a_served_socket_is_left_alone),
                PLACE_TEST(test_a_served_socket_with_a_full_backlog_is_left_alone),
                PLACE_TEST(test_what_is_no_socket_is_left_alone),
                PLACE_TEST(test_a_socket_of_another_type_is_left_alone),
                PLACE_TEST(test_paths_too_long_or_empty),
                PLACE_TEST(test_nothing_there),
                PLACE_TEST(test_a_lock_is_for_one),
                PLACE_TEST(test_a_lock_ends_with_who_has_it),
                PLACE_TEST(test_a_lock_that_many_take_and_release),
                PLACE_TEST(test_a_lock_where_none_can_be),
        };

        return cmocka_run_group_tests_name("chan: paths", tests, NULL, NULL);
}
