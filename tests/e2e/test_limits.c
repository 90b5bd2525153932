/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Too much of what is right: requests at once, handles, connections, where the protocol or the system has a limit. */

#include <errno.h>
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
        rig_daemon(rig, NULL);
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
        assert_int_equal(rig_pool_stat(client).filehs, n);
        assert_int_equal(*rig_word(rig_map(filehs[0], 0, 16), 7, 0), 7);
        while (n > 1)
                assert_int_equal(bf_close(filehs[--n]), 0);
        assert_int_equal(bf_open(client, path, O_RDWR, NULL, &filehs[n]), 0);
        assert_int_equal(*rig_word(rig_map(filehs[n], 0, 16), 8, 0), 8);
        (void) rig_client(rig);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_too_many_requests_at_once),
                RIG_TEST(test_out_of_descriptors),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
