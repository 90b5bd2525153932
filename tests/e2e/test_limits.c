/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Too much of what is right: requests at once, handles, connections, where the protocol or the system has a limit. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawpeer.h"
#include "watchdog.h"

/* More requests at a time than the protocol has: the last one closes the connection, also while all of them wait for a disk that does not answer. */
static void test_too_many_requests_at_once(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct heldfs *heldfs;
        int fds[2], line, device;
        struct chan_packet reply;
        union wire_msg msg;
        uint32_t handle;

        rig_daemon(rig, NULL);
        heldfs = rig_heldfs(rig, 1);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        fds[0] = open(heldfs_path(heldfs), O_RDWR | O_CLOEXEC);
        fds[1] = rawpeer_uffd(device);
        wire_init(&msg, WIRE_OPEN, 0);
        msg.open.size = RIG_PAGE;
        msg.open.block_size = RIG_PAGE;
        assert_int_equal(rawpeer_call(line, &msg, fds, 2, &reply), 0);
        handle = reply.msg.open_reply.handle;
        chan_packet_close(&reply);
        heldfs_hold(heldfs, HELDFS_READ, 0, HELDFS_ALWAYS);
        for (uint32_t i = 0; i <= WIRE_REQUESTS_MAX; i++) {
                wire_init(&msg, WIRE_LOAD, i);
                msg.range.handle = handle;
                msg.range.length = RIG_PAGE;
                (void) chan_send(line, &msg, NULL, 0); /* the last ones may find it closed */
        }
        assert_closed(line);
        heldfs_clear(heldfs);
        close(device);
        close(fds[0]);
        close(fds[1]);
        bystander_assert_well(rig, &bystander);
}

/* A daemon that may have 64 descriptors. */
static void start_limited_daemon(struct rig *rig) {
        const char *program = getenv("BIGFILED_PROGRAM"), *path = rig_path(rig, "limited");
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fprintf(f, "#!/bin/sh\nulimit -n 64\nexec '%s' \"$@\"\n", program);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(path, 0700), 0);
        program = strdup(program);
        setenv("BIGFILED_PROGRAM", path, 1);
        rig_daemon(rig, "--uid-peers", "none", "--uid-handles", "none", NULL);
        setenv("BIGFILED_PROGRAM", program, 1);
        free((void *) program);
}

/* With no descriptor left the daemon says so, to who opens and to who connects, and goes on when there are some again. */
static void test_out_of_descriptors(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "data", 16);
        struct bf_fileh *filehs[64];
        struct bf_client *client, *second;
        unsigned n = 0;
        int r;

        start_limited_daemon(rig);
        client = rig_client(rig);
        while (n < 64 && (r = bf_open(client, path, O_RDWR, NULL, &filehs[n])) == 0)
                n++;
        assert_in_range(n, 4, 63);
        print_message("%u handles in 64 descriptors, then: %s\n", n, bf_errmsg());
        assert_int_equal(r, -EMFILE);
        for (unsigned i = 0; i < 100; i++) /* connections use up the rest, and then are turned away */
                if (rig->n_clients < RIG_LIST_MAX && bf_connect(&second, rig_address(rig)) == 0)
                        rig->clients[rig->n_clients++] = second;
        assert_in_range(rig->n_clients, 1, 16);
        while (rig_pool_stat(client).filehs > n) /* the one that was refused is answered, then it ends */
                sched_yield();
        assert_int_equal(rig_pool_stat(client).filehs, n);
        assert_int_equal(*rig_word(rig_map(filehs[0], 0, 16), 7, 0), 7);
        while (n > 1)
                assert_int_equal(bf_close(filehs[--n]), 0);
        assert_int_equal(bf_open(client, path, O_RDWR, NULL, &filehs[n]), 0);
        assert_int_equal(*rig_word(rig_map(filehs[n], 0, 16), 8, 0), 8);
        (void) rig_client(rig);
}

/* What a lent descriptor is worth is not kept back in silence: without one to send, the daemon says why. */
static void test_no_descriptor_to_lend(void **state) {
        struct rig *rig = rig_here(state);
        int lines[64], r = 0, error = 0;
        struct chan_packet reply;
        union wire_msg msg;
        unsigned n = 0;

        start_limited_daemon(rig);
        while (n < 64 && error == 0) { /* in the end one is let in whose greeting finds no descriptor left, or is turned away */
                lines[n] = rawpeer_connect(rig);
                wire_init(&msg, WIRE_HELLO, 1);
                msg.hello.version = WIRE_VERSION;
                r = chan_send(lines[n], &msg, NULL, 0);
                if (r == 0)
                        r = chan_receive(lines[n], &reply);
                error = r == 1 ? reply.msg.hello_reply.error : -EPIPE;
                if (error == 0)
                        assert_int_equal(reply.n_fds, 1);
                if (r == 1)
                        chan_packet_close(&reply);
                n++;
        }
        print_message("%u greeted, then: %s\n", n - 1, strerror(-error));
        assert_true(error == -EMFILE || error == -EPIPE);
        while (n > 0)
                close(lines[--n]);
}

/* Their descriptors stay in the daemon: who lets more than a few of them wait is dropped. */
static void test_replies_that_nobody_reads(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct chan_packet reply;
        int server, line, r = 0;
        union wire_msg msg;
        unsigned n_fds;

        start_limited_daemon(rig);
        bystander_begin(rig, &bystander);
        server = rawpeer_greet(rig, NULL);
        wire_init(&msg, WIRE_SERVE, 0);
        msg.serve.size = msg.serve.block_size = RIG_PAGE;
        strcpy(msg.serve.name, "there");
        assert_int_equal(rawpeer_call(server, &msg, NULL, 0, &reply), 0);
        line = rawpeer_greet(rig, NULL);
        n_fds = rig_count_fds(rig, bystander.client);
        while (r == 0) {
                wire_init(&msg, WIRE_LOOKUP, 0);
                strcpy(msg.lookup.name, "there");
                r = chan_send(line, &msg, NULL, 0);
                assert_true(rig_count_fds(rig, bystander.client) <= n_fds + 5);
        }
        assert_int_equal(r, -EPIPE);
        close(line);
        chan_packet_close(&reply);
        close(server);
        bystander_assert_well(rig, &bystander);
}

/* One user's connections: a few too many are told so, and those behind them not even taken, however silent all of them are. */
static void test_too_many_silent_clients(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct chan_packet reply;
        union wire_msg msg;
        int lines[60];

        rig_daemon(rig, "--uid-peers", "4", NULL);
        bystander_begin(rig, &bystander);
        for (unsigned i = 0; i < 60; i++)
                lines[i] = rawpeer_connect(rig);
        for (unsigned i = 59; i >= 19; i--)
                assert_closed(lines[i]);
        assert_int_equal(rig_pool_stat(bystander.client).peers, 20);
        wire_init(&msg, WIRE_HELLO, 1);
        msg.hello.version = WIRE_VERSION;
        assert_int_equal(rawpeer_call(lines[18], &msg, NULL, 0, &reply), -EUSERS);
        assert_int_equal(reply.n_fds, 0);
        assert_closed(lines[18]);
        wire_init(&msg, WIRE_HELLO, 1);
        msg.hello.version = WIRE_VERSION;
        assert_int_equal(rawpeer_call(lines[0], &msg, NULL, 0, &reply), 0);
        chan_packet_close(&reply);
        for (unsigned i = 0; i < 18; i++)
                close(lines[i]);
        bystander_assert_well(rig, &bystander);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_too_many_requests_at_once),
                RIG_TEST(test_out_of_descriptors),
                RIG_TEST(test_no_descriptor_to_lend),
                RIG_TEST(test_replies_that_nobody_reads),
                RIG_TEST(test_too_many_silent_clients),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
