/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Messages that are none, or come at the wrong time: the connection they came by is closed, nothing of them is done, nothing stays behind in the
 * daemon, and others notice nothing.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rawpeer.h"
#include "watchdog.h"

enum fault {
        FAULT_DIRECTION, /* the id of a reply */
        FAULT_SIZE,      /* the header says more than there is */
        FAULT_FLAGS,
        FAULT_N_FDS, /* the header says one more than there are */
        FAULT_SHORT,
        FAULT_FDS, /* descriptors that it does not have */
        FAULT_LONG,
        N_FAULTS,
};

static void send_faulty(int line, unsigned id, enum fault fault) {
        struct {
                union wire_msg msg;
                uint8_t more[WIRE_MSG_MAX];
        } packet = { .more = { 0 } };
        struct wire_header *header = &packet.msg.header;
        size_t size;

        wire_init(&packet.msg, id > 0 && id < N_WIRE_IDS ? id : WIRE_STAT, 5);
        size = fault == FAULT_SHORT ? sizeof(*header) - 6 : fault == FAULT_LONG ? sizeof(packet) : header->size;
        header->id = (uint16_t) (fault == FAULT_DIRECTION ? id | WIRE_REPLY : id);
        header->size += fault == FAULT_SIZE ? 8 : 0;
        header->flags = fault == FAULT_FLAGS ? 1u << 31 : 0;
        header->n_fds = fault == FAULT_N_FDS;
        (void) rawpeer_send(line, &packet, size, line, fault == FAULT_FDS ? 3 : 0);
}

static void test_every_kind_of_malformed_message(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        for (unsigned id = 0; id <= N_WIRE_IDS; id++)
                for (enum fault fault = FAULT_DIRECTION; fault < N_FAULTS; fault++) {
                        int line = rawpeer_greet(rig, NULL);

                        send_faulty(line, id, fault);
                        assert_closed(line);
                }
        bystander_assert_well(rig, &bystander);
}

static void test_empty_packets_and_many_descriptors(void **state) {
        static const unsigned n_fds[] = { 0, 1, 4, 5, 64, 253 };
        struct rig *rig = rig_here(state);
        struct bystander bystander;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        for (unsigned i = 0; i < sizeof(n_fds) / sizeof(*n_fds); i++) {
                int line = rawpeer_greet(rig, NULL);

                assert_int_equal(rawpeer_send(line, "", 0, line, n_fds[i]), 0);
                assert_closed(line);
        }
        bystander_assert_well(rig, &bystander);
}

static void test_nothing_before_hello(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        for (unsigned id = WIRE_HELLO + 1; id < N_WIRE_IDS; id++) {
                int line = rawpeer_connect(rig);
                union wire_msg msg;

                wire_init(&msg, id, 1);
                msg.header.n_fds = id == WIRE_OPEN ? 2 : id == WIRE_ADOPT ? 4 : 0;
                assert_int_equal(rawpeer_send(line, &msg, msg.header.size, line, msg.header.n_fds), 0);
                assert_closed(line);
        }
        bystander_assert_well(rig, &bystander);
}

static void test_no_second_hello(void **state) {
        struct rig *rig = rig_here(state);
        union wire_msg msg;
        int line;

        rig_daemon(rig, NULL);
        line = rawpeer_greet(rig, NULL);
        wire_init(&msg, WIRE_HELLO, 2);
        msg.hello.version = WIRE_VERSION;
        assert_int_equal(chan_send(line, &msg, NULL, 0), 0);
        assert_closed(line);
}

static void test_another_version_is_told_ours(void **state) {
        static const uint32_t versions[] = { 0, WIRE_VERSION + 1, UINT32_MAX };
        struct rig *rig = rig_here(state);

        rig_daemon(rig, NULL);
        for (unsigned i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
                int line = rawpeer_connect(rig);
                struct chan_packet reply;
                union wire_msg msg;

                wire_init(&msg, WIRE_HELLO, 1);
                msg.hello.version = versions[i];
                assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), -EPROTONOSUPPORT);
                assert_int_equal(reply.msg.hello_reply.version, WIRE_VERSION);
                assert_int_equal(reply.n_fds, 0);
                assert_closed(line);
        }
}

/* Feature bits that the daemon does not know are no error: both sides use what both have. */
static void test_unknown_features_are_left_out(void **state) {
        struct rig *rig = rig_here(state);
        struct chan_packet reply;
        union wire_msg msg;
        int line;

        rig_daemon(rig, NULL);
        line = rawpeer_connect(rig);
        wire_init(&msg, WIRE_HELLO, 1);
        msg.hello.version = WIRE_VERSION;
        msg.hello.features = UINT64_MAX;
        assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), 0);
        assert_int_equal(reply.msg.hello_reply.features, WIRE_FEATURES);
        chan_packet_close(&reply);
        close(line);
}

/* Who sends and sends and does not read is closed, at the latest when his replies fill up all that may wait. */
static void test_who_does_not_read_is_closed(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        int line, r = 0;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, NULL);
        for (unsigned i = 0; i < 1000000 && r == 0; i++) {
                union wire_msg msg;

                wire_init(&msg, WIRE_POOL_STAT, i);
                r = chan_send(line, &msg, NULL, 0);
        }
        assert_int_equal(r, -EPIPE);
        close(line);
        bystander_assert_well(rig, &bystander);
}

/* Each message whole, and gone before the answer. */
static void test_gone_before_the_answer(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        for (unsigned id = WIRE_HELLO; id < N_WIRE_IDS; id++) {
                struct rawpeer_file file;
                union wire_msg msg;
                int line, device;

                line = rawpeer_greet(rig, &device);
                rawpeer_open(rig, line, device, &file);
                wire_init(&msg, id, 5);
                if (id != WIRE_HELLO && id != WIRE_OPEN && id != WIRE_ADOPT)
                        msg.handle.handle = file.handle;
                if (id == WIRE_MAP) {
                        msg.map.address = file.address;
                        msg.map.length = RAWPEER_PAGES * RIG_PAGE;
                }
                if (id == WIRE_LOAD)
                        msg.range.length = RAWPEER_PAGES * RIG_PAGE;
                msg.header.n_fds = id == WIRE_OPEN ? 2 : id == WIRE_ADOPT ? 4 : 0;
                assert_int_equal(rawpeer_send(line, &msg, msg.header.size, file.uffd, msg.header.n_fds), 0);
                close(line);
                close(device);
                rawpeer_close_file(&file);
        }
        bystander_assert_well(rig, &bystander);
}

static void test_connecting_and_going(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        for (unsigned i = 0; i < 2000; i++)
                close(rawpeer_connect(rig));
        bystander_assert_well(rig, &bystander);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_every_kind_of_malformed_message),
                RIG_TEST(test_empty_packets_and_many_descriptors),
                RIG_TEST(test_nothing_before_hello),
                RIG_TEST(test_no_second_hello),
                RIG_TEST(test_another_version_is_told_ours),
                RIG_TEST(test_unknown_features_are_left_out),
                RIG_TEST(test_who_does_not_read_is_closed),
                RIG_TEST(test_gone_before_the_answer),
                RIG_TEST(test_connecting_and_going),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("bad messages", tests, NULL, NULL);
}
