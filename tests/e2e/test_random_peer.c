/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Peers that say anything at all: messages of every kind in any order, their fields, lengths and descriptors mostly plausible and often wrong. The
 * daemon lives, others are served, and in the end nothing of it is left. BF_RANDOM_SEED and BF_RANDOM_STEPS in the environment change what they say.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rawpeer.h"
#include "watchdog.h"

#define N_PEERS 4
#define SECONDS 300

struct talker {
        int line;
        int device;
        struct rawpeer_file file;
        int backing; /* another descriptor of a file to open */
};

static uint64_t seed;
static uint64_t n_done; /* requests that succeeded */

static uint64_t any(uint64_t n) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (seed >> 11) % n;
}

static bool sometimes(unsigned percent) {
        return any(100) < percent;
}

static uint64_t some_number(void) {
        static const uint64_t numbers[] = {
                0, 1, 4095, 4096, 8192, 65536, 1 << 21, INT32_MAX, UINT32_MAX, UINT64_C(1) << 47, WIRE_FILE_MAX, INT64_MAX, UINT64_MAX,
        };

        return sometimes(70) ? any(RAWPEER_PAGES + 2) * RIG_PAGE : numbers[any(sizeof(numbers) / sizeof(*numbers))];
}

static void talker_begin(const struct rig *rig, struct talker *talker) {
        talker->line = rawpeer_greet(rig, &talker->device);
        rawpeer_open(rig, talker->line, talker->device, &talker->file);
        talker->backing = rawpeer_open_backing(rig);
        assert_int_equal(fcntl(talker->line, F_SETFL, O_NONBLOCK), 0);
}

static void talker_end(struct talker *talker) {
        close(talker->line);
        close(talker->device);
        close(talker->backing);
        rawpeer_close_file(&talker->file);
}

/* Fills the fields of a message with what fits, more or less. */
static void fill(const struct talker *talker, union wire_msg *msg) {
        uint32_t handle = sometimes(90) ? talker->file.handle : (uint32_t) any(8);

        bool has_flags = msg->header.id == WIRE_OPEN || msg->header.id == WIRE_ADOPT || msg->header.id == WIRE_WRITEOUT;

        msg->header.flags = has_flags || sometimes(1) ? (uint32_t) any(8) : 0;
        switch (msg->header.id) {
        case WIRE_HELLO:
                msg->hello.version = WIRE_VERSION;
                break;
        case WIRE_OPEN:
        case WIRE_ADOPT:
                msg->open.size = some_number();
                msg->open.block_size = sometimes(80) ? UINT64_C(4096) << any(10) : some_number();
                break;
        case WIRE_RECLAIM:
                msg->reclaim.bytes = some_number();
                break;
        case WIRE_POOL_STAT:
                break;
        case WIRE_MAP:
                msg->map.handle = handle;
                msg->map.address = sometimes(80) ? talker->file.address + any(RAWPEER_PAGES) * RIG_PAGE : some_number();
                msg->map.offset = some_number();
                msg->map.length = some_number();
                break;
        case WIRE_UNMAP:
                msg->unmap.handle = handle;
                msg->unmap.address = talker->file.address + any(RAWPEER_PAGES) * RIG_PAGE;
                break;
        default: /* the others are a handle, and perhaps a range or a size */
                msg->range.handle = handle;
                msg->range.advice = msg->header.id == WIRE_ADVISE ? (uint32_t) any(N_WIRE_ADVICES + 1) : 0;
                if (msg->header.size > sizeof(struct wire_handle))
                        msg->range.offset = some_number();
                if (msg->header.size > sizeof(struct wire_resize))
                        msg->range.length = some_number();
        }
}

/* -EPIPE: the daemon has closed. */
static int say_something(const struct talker *talker, uint32_t serial) {
        int fds[5] = { talker->backing, talker->file.uffd, talker->file.memory, talker->file.ledger, talker->file.spill };
        unsigned id = sometimes(98) ? 2 + (unsigned) any(N_WIRE_IDS - 2) : (unsigned) any(N_WIRE_IDS + 2);
        union wire_msg msg;
        size_t size;

        wire_init(&msg, id > 0 && id < N_WIRE_IDS ? id : WIRE_STAT, serial);
        msg.header.id = (uint16_t) id;
        fill(talker, &msg);
        size = msg.header.size;
        if (sometimes(2))
                msg.bytes[any(size)] ^= (uint8_t) (1u << any(8));
        if (sometimes(1))
                size = any(WIRE_MSG_MAX + 1);
        if ((id == WIRE_OPEN || id == WIRE_ADOPT) && msg.header.size == sizeof(msg.open) && sometimes(90))
                return chan_send(talker->line, &msg, fds, sometimes(5) ? (unsigned) any(5) : id == WIRE_OPEN ? 2 : 4);
        return rawpeer_send(talker->line, &msg, size, fds[any(5)], sometimes(1) ? (unsigned) any(7) : 0);
}

/* Takes the replies that are there, with their descriptors; now and then waits for one, or too many requests would be under way. */
static int hear(const struct talker *talker) {
        struct pollfd pollfd = { .fd = talker->line, .events = POLLIN };
        struct chan_packet packet;
        int r;

        if (sometimes(20))
                poll(&pollfd, 1, 10);

        while ((r = chan_receive(talker->line, &packet)) == 1) {
                assert_int_equal(wire_validate(WIRE_TO_CLIENT, packet.msg.bytes, packet.size, packet.n_fds), WIRE_OK);
                n_done += packet.msg.reply.error == 0;
                chan_packet_close(&packet);
        }
        return r == -EAGAIN ? 0 : -EPIPE;
}

static uint64_t environment(const char *name, uint64_t otherwise) {
        const char *text = getenv(name);

        return text ? strtoull(text, NULL, 0) : otherwise;
}

static void test_anything_at_all(void **state) {
        struct rig *rig = rig_here(state);
        struct talker talkers[N_PEERS];
        struct bystander bystander;
        uint64_t n_steps = environment("BF_RANDOM_STEPS", 30000), n_closed = 0;

        seed = environment("BF_RANDOM_SEED", 0x5eed);
        print_message("BF_RANDOM_SEED=%#llx BF_RANDOM_STEPS=%llu\n", (unsigned long long) seed, (unsigned long long) n_steps);
        watchdog_arm("anything at all", SECONDS);
        rig_daemon(rig, "--pool", "1M", NULL);
        bystander_begin(rig, &bystander);
        for (unsigned i = 0; i < N_PEERS; i++)
                talker_begin(rig, &talkers[i]);
        for (uint64_t step = 0; step < n_steps; step++) {
                struct talker *talker = &talkers[any(N_PEERS)];
                int r = say_something(talker, (uint32_t) step);

                if (r == 0 || r == -EAGAIN)
                        r = hear(talker);
                if (r == -EPIPE || any(1000) == 0) {
                        talker_end(talker);
                        talker_begin(rig, talker);
                        n_closed++;
                }
        }
        for (unsigned i = 0; i < N_PEERS; i++)
                talker_end(&talkers[i]);
        print_message("%llu requests succeeded, %llu connections\n", (unsigned long long) n_done, (unsigned long long) n_closed + N_PEERS);
        assert_true(n_done > n_steps / 10); /* else it says nothing about the daemon */
        bystander_assert_well(rig, &bystander);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_anything_at_all),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("random peer", tests, NULL, NULL);
}
