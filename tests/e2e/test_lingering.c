/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients that send sockets which whoever drops their last descriptor has to wait for: with data that nobody takes, and told to linger. Wherever the daemon comes to
 * drop them, somebody else is served all the while.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "provide.h"
#include "rawpeer.h"
#include "watchdog.h"

#define LINGER_SECONDS 3600
#define BUFFER_BYTES 65536

struct scene {
        struct rig *rig;
        struct bystander bystander;
        int listener; /* who does not take the data; his end is theirs */
        int line;
};

static struct scene start_with(void **state, const char *http_address) {
        const struct sockaddr_in anywhere = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct scene scene = { .rig = rig_here(state), .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
        int bytes = BUFFER_BYTES;

        assert_true(scene.listener >= 0);
        assert_int_equal(setsockopt(scene.listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
        assert_int_equal(bind(scene.listener, (const struct sockaddr *) &anywhere, sizeof(anywhere)), 0);
        assert_int_equal(listen(scene.listener, 128), 0);
        rig_daemon(scene.rig, "--http-address", http_address, NULL);
        bystander_begin(scene.rig, &scene.bystander);
        scene.line = rawpeer_greet(scene.rig, NULL);
        return scene;
}

static struct scene start(void **state) {
        return start_with(state, "none");
}

/* He is served while they linger, and when they do no more. */
static void end(struct scene *scene) {
        bystander_assert_served(&scene->bystander);
        close(rawpeer_greet(scene->rig, NULL));
        bystander_assert_well(scene->rig, &scene->bystander);
        close(scene->listener);
        bystander_assert_well(scene->rig, &scene->bystander);
}

static int lingering_socket(const struct scene *scene) {
        const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_SECONDS };
        static const char bytes[BUFFER_BYTES];
        struct sockaddr_in address;
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = BUFFER_BYTES;

        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
        assert_int_equal(getsockname(scene->listener, (struct sockaddr *) &address, &length), 0);
        assert_int_equal(connect(fd, (const struct sockaddr *) &address, length), 0);
        while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                continue;
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
        return fd;
}

/* One that lies unread in another's queue. */
static int lingering_within_another(const struct scene *scene) {
        int inner = lingering_socket(scene), pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(rawpeer_send(pair[0], "x", 1, inner, 1), 0);
        close(inner);
        close(pair[0]);
        return pair[1];
}

/* Between these the daemon sees nothing of what comes: when it does, the descriptors that it gets are the last ones. */
static void stop_daemon(const struct scene *scene) {
        siginfo_t info;

        assert_int_equal(kill(scene->rig->daemon.pid, SIGSTOP), 0);
        assert_int_equal(waitid(P_PID, (id_t) scene->rig->daemon.pid, &info, WSTOPPED), 0);
}

static void continue_daemon(const struct scene *scene) {
        assert_int_equal(kill(scene->rig->daemon.pid, SIGCONT), 0);
}

static void send_last(const struct scene *scene, int line, const void *bytes, size_t size, int fd) {
        stop_daemon(scene);
        assert_int_equal(rawpeer_send(line, bytes, size, fd, 1), 0);
        close(fd);
        continue_daemon(scene);
}

static void test_where_none_belongs(void **state) {
        struct scene scene = start(state);

        send_last(&scene, scene.line, "", 0, lingering_socket(&scene));
        assert_closed(scene.line);
        end(&scene);
}

/* A message has room for a few, and for the last of these never. */
static void test_more_than_a_message_has(void **state) {
        struct scene scene = start(state);
        int fds[CHAN_FDS_MAX], fd = lingering_socket(&scene);

        for (unsigned i = 0; i < CHAN_FDS_MAX - 1; i++)
                fds[i] = STDIN_FILENO;
        fds[CHAN_FDS_MAX - 1] = fd;
        stop_daemon(&scene);
        assert_int_equal(rawpeer_send_fds(scene.line, "", 0, fds, CHAN_FDS_MAX), 0);
        close(fd);
        continue_daemon(&scene);
        assert_closed(scene.line);
        end(&scene);
}

/* The connection is closed for the first message, and the second is not read. */
static void test_in_the_queue_of_a_closed_connection(void **state) {
        struct scene scene = start(state);
        int fd = lingering_socket(&scene);

        stop_daemon(&scene);
        assert_int_equal(rawpeer_send(scene.line, "bad", 3, -1, 0), 0);
        assert_int_equal(rawpeer_send(scene.line, "", 0, fd, 1), 0);
        close(fd);
        continue_daemon(&scene);
        assert_closed(scene.line);
        end(&scene);
}

static void test_in_place_of_a_file(void **state) {
        struct scene scene = start(state);
        struct chan_packet reply;
        union wire_msg msg;
        int fds[2] = { lingering_socket(&scene), scene.line };

        wire_init(&msg, WIRE_OPEN, 1);
        msg.open.size = RAWPEER_PAGES * (uint64_t) RIG_PAGE;
        msg.open.block_size = RIG_PAGE;
        stop_daemon(&scene);
        assert_int_equal(chan_send(scene.line, &msg, fds, 2), 0);
        close(fds[0]);
        continue_daemon(&scene);
        assert_int_equal(chan_receive(scene.line, &reply), 1);
        assert_int_equal(reply.msg.reply.error, -ENODEV);
        close(scene.line);
        end(&scene);
}

/* The right answer, but for what comes with it, to what was not asked. */
static void test_from_who_serves_a_file(void **state) {
        const struct provide_answer answer = { .kind = PROVIDE_THREAD, .number = 1 };
        struct scene scene = start(state);
        struct chan_packet reply;
        union wire_msg msg;
        char byte;

        wire_init(&msg, WIRE_SERVE, 0);
        msg.serve.size = RAWPEER_PAGES * (uint64_t) RIG_PAGE;
        msg.serve.block_size = RIG_PAGE;
        strcpy(msg.serve.name, "lingering");
        assert_int_equal(rawpeer_call(scene.line, &msg, NULL, 0, &reply), 0);
        send_last(&scene, reply.fds[1], &answer, sizeof(answer), lingering_socket(&scene));
        assert_int_equal(chan_receive_bytes(reply.fds[1], &byte, 1), 0);
        chan_packet_close(&reply);
        close(scene.line);
        end(&scene);
}

/* There they are not taken at all. */
static void test_where_metrics_are_told(void **state) {
        const char *path = rig_path(rig_here(state), "http");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char http_address[sizeof("unix:") + sizeof(address.sun_path)];
        struct scene scene;
        int line, fd, r;

        strcpy(address.sun_path, path);
        snprintf(http_address, sizeof(http_address), "unix:%s", path);
        scene = start_with(state, http_address);
        line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(line, (const struct sockaddr *) &address, sizeof(address)), 0);
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        r = rawpeer_send(line, "GET ", 4, fd, 1);
        close(fd);
        close(line);
        close(scene.line);
        end(&scene);
        if (r == 0) {
                print_message("skipped: this kernel has no SO_PASSRIGHTS\n");
                skip();
        }
        assert_int_equal(r, -EPERM);
}

/* Nothing that the daemon could do about the outer one spares the wait for the inner one. */
static void test_within_other_sockets(void **state) {
        struct scene scene = start(state);

        for (unsigned i = 0; i < 20; i++) {
                send_last(&scene, scene.line, "", 0, lingering_within_another(&scene));
                assert_closed(scene.line);
                bystander_assert_served(&scene.bystander);
                scene.line = rawpeer_greet(scene.rig, NULL);
        }
        close(scene.line);
        end(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_where_none_belongs),
                RIG_TEST(test_more_than_a_message_has),
                RIG_TEST(test_in_the_queue_of_a_closed_connection),
                RIG_TEST(test_in_place_of_a_file),
                RIG_TEST(test_from_who_serves_a_file),
                RIG_TEST(test_where_metrics_are_told),
                RIG_TEST(test_within_other_sockets),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("lingering", tests, NULL, NULL);
}
