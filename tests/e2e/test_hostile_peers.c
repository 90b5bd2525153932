/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients that do with what they sent, or send, what only a hostile or broken one does: files whose server does not answer, userfaultfds that are another
 * process's, unfinished, closed or made for more. Each hurts itself alone: somebody honest is served all the while, and nothing stays behind.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawpeer.h"
#include "uffd_abi.h"
#include "watchdog.h"

#define SIZE (RAWPEER_PAGES * (uint64_t) RIG_PAGE)

static volatile uint64_t *word_of(const struct rawpeer_file *file, uint64_t page) {
        return (volatile uint64_t *) (uintptr_t) (file->address + page * RIG_PAGE);
}

static int request_open(int line, int file, int uffd, struct chan_packet *ret_reply) {
        int fds[2] = { file, uffd };
        union wire_msg msg;

        wire_init(&msg, WIRE_OPEN, 0);
        msg.open.size = SIZE;
        msg.open.block_size = RIG_PAGE;
        return rawpeer_call(line, &msg, fds, 2, ret_reply);
}

static void request_map(int line, const struct rawpeer_file *file) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_MAP, 0);
        msg.map.handle = file->handle;
        msg.map.address = file->address;
        msg.map.length = SIZE;
        assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), 0);
}

/* --- a file whose server does not let it be closed ---------------------------------------------------------------------------------------------- */

static void send_stuck_file(const struct rig *rig, int stuck, unsigned n) {
        int line = rawpeer_greet(rig, NULL);
        union wire_msg msg;

        wire_init(&msg, WIRE_POOL_STAT, 1);
        msg.header.n_fds = (uint16_t) n;
        assert_int_equal(rawpeer_send(line, &msg, msg.header.size, stuck, n), 0);
        assert_closed(line);
}

/* Sent in OPEN and closed by CLOSE; in an OPEN that is refused; in messages that have no descriptors, or not so many. */
static void test_a_file_that_cannot_be_closed(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct chan_packet reply;
        struct heldfs *heldfs;
        union wire_msg msg;
        int line, device, stuck, uffd;

        rig_daemon(rig, NULL);
        heldfs = rig_heldfs_with(rig, &(struct heldfs_opts) { .size = SIZE, .block_size = RIG_PAGE, .is_flushed = true });
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        uffd = rawpeer_uffd(device);
        stuck = open(heldfs_path(heldfs), O_RDWR | O_CLOEXEC);
        assert_true(stuck >= 0);
        heldfs_hold(heldfs, HELDFS_FLUSH, HELDFS_ANY, HELDFS_ALWAYS);

        assert_int_equal(request_open(line, stuck, uffd, &reply), 0);
        wire_init(&msg, WIRE_CLOSE, 0);
        msg.handle.handle = reply.msg.open_reply.handle;
        chan_packet_close(&reply);
        assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), 0);
        heldfs_wait(heldfs, HELDFS_FLUSH, HELDFS_ANY, 1);
        bystander_assert_served(&bystander);

        assert_int_equal(request_open(line, stuck, line, &reply), -EINVAL);
        heldfs_wait(heldfs, HELDFS_FLUSH, HELDFS_ANY, 2);
        bystander_assert_served(&bystander);

        send_stuck_file(rig, stuck, 1);
        heldfs_wait(heldfs, HELDFS_FLUSH, HELDFS_ANY, 3);
        bystander_assert_served(&bystander);

        send_stuck_file(rig, stuck, 100);
        heldfs_wait(heldfs, HELDFS_FLUSH, HELDFS_ANY, 3 + 100);
        bystander_assert_served(&bystander);

        heldfs_clear(heldfs);
        close(stuck);
        close(uffd);
        close(device);
        close(line);
        bystander_assert_well(rig, &bystander);
}

/* As the token of a file to be served: what it is not can be seen without asking its server. */
static void test_a_token_that_does_not_answer(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct chan_packet reply;
        struct heldfs *heldfs;
        union wire_msg msg;
        int line, stuck;

        rig_daemon(rig, NULL);
        heldfs = rig_heldfs_with(rig, &(struct heldfs_opts) { .size = SIZE, .block_size = RIG_PAGE, .is_stat = true });
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, NULL);
        stuck = open(heldfs_path(heldfs), O_RDWR | O_CLOEXEC);
        assert_true(stuck >= 0);
        heldfs_hold(heldfs, HELDFS_STAT, HELDFS_ANY, HELDFS_ALWAYS);
        wire_init(&msg, WIRE_SERVE, 0);
        msg.serve.size = SIZE;
        msg.serve.block_size = RIG_PAGE;
        assert_int_equal(rawpeer_call(line, &msg, &stuck, 1, &reply), -EINVAL);
        assert_int_equal(heldfs_n_held(heldfs, HELDFS_STAT, HELDFS_ANY), 0);
        heldfs_clear(heldfs);
        close(stuck);
        close(line);
        bystander_assert_well(rig, &bystander);
}

/* --- userfaultfds ------------------------------------------------------------------------------------------------------------------------------- */

/* One without a handshake cannot be read: its sender is dropped. */
static void test_an_unfinished_userfaultfd(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct chan_packet reply;
        int line, device, file, uffd;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        assert_true(uffd >= 0);
        file = rawpeer_open_backing(rig);
        assert_int_equal(request_open(line, file, uffd, &reply), 0);
        chan_packet_close(&reply);
        assert_closed(line);
        close(uffd);
        close(device);
        close(file);
        bystander_assert_well(rig, &bystander);
}

/* The client closes its own copy, or takes its memory back from it: the daemon's serves as long as it can, and nobody else is concerned. */
static void test_a_userfaultfd_closed_and_ranges_taken_back(void **state) {
        struct rig *rig = rig_here(state);
        struct uffdio_range half = { .len = SIZE / 2 };
        struct bystander bystander;
        struct rawpeer_file file;
        struct chan_packet reply;
        union wire_msg msg;
        int line, device;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        rawpeer_open(rig, line, device, &file);
        request_map(line, &file);
        *word_of(&file, 1) = 1001;
        *word_of(&file, 9) = 1009;
        half.start = file.address;
        assert_int_equal(ioctl(file.uffd, UFFDIO_UNREGISTER, &half), 0);
        assert_int_equal(*word_of(&file, 1), 1001);
        assert_int_equal(*word_of(&file, 2), 0); /* his own doing */
        close(file.uffd);
        file.uffd = -1;
        assert_int_equal(*word_of(&file, 10), 10);
        wire_init(&msg, WIRE_WRITEOUT, 0);
        msg.header.flags = WIRE_WRITEOUT_STORE | WIRE_WRITEOUT_MARKSTORED;
        msg.handle.handle = file.handle;
        assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), 0);
        bystander_assert_served(&bystander);
        close(line);
        close(device);
        rawpeer_close_file(&file);
        bystander_assert_well(rig, &bystander);
}

/* Of forks too are told (which takes a privilege to ask for): each telling puts a descriptor into the daemon, which does not keep it. */
static void test_a_userfaultfd_that_tells_of_forks(void **state) {
        struct rig *rig = rig_here(state);
        struct bystander bystander;
        struct rawpeer_file file;
        int line, device, status;

        rig_daemon(rig, NULL);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        if (!rawpeer_open_with(rig, line, device, BF_UFFD_FEATURES | UFFD_FEATURE_EVENT_FORK, &file)) {
                print_message("skipped: no right to be told of forks\n");
                skip();
        }
        request_map(line, &file);
        assert_int_equal(madvise((void *) (uintptr_t) file.address, SIZE, MADV_DOFORK), 0);
        *word_of(&file, 1) = 1001;
        for (unsigned i = 0; i < 30; i++) {
                pid_t pid = fork(); /* goes on when that is read */

                if (pid == 0)
                        _exit(0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
        }
        assert_int_equal(*word_of(&file, 2), 2);
        rig_wait_fds(rig, bystander.client, bystander.usage.n_fds + 7); /* socket, process; file, userfaultfd, memory, ledger, spill file */
        bystander_assert_served(&bystander);
        close(line);
        close(device);
        rawpeer_close_file(&file);
        bystander_assert_well(rig, &bystander);
}

/* --- another process's -------------------------------------------------------------------------------------------------------------------------- */

/* Lends its userfaultfd and reads what it gets in its memory: the pages of a file that it has never opened. */
static int lend_userfaultfd(int line, void *arg) {
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP };
        struct uffdio_api api = { .api = UFFD_API, .features = BF_UFFD_FEATURES };
        struct chan_packet packet;
        union wire_msg msg;
        uint64_t *memory;
        int uffd;

        (void) arg;
        CHILD_CHECK(chan_receive(line, &packet) == 1 && packet.n_fds == 1); /* the device */
        uffd = ioctl(packet.fds[0], USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        CHILD_CHECK(uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0);
        wire_init(&msg, WIRE_POOL_STAT, 0);
        CHILD_CHECK(chan_send(line, &msg, &uffd, 1) == 0);
        CHILD_CHECK(chan_receive(line, &packet) == 1 && packet.n_fds == 1); /* the memory */
        memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, packet.fds[0], 0);
        CHILD_CHECK(memory != MAP_FAILED);
        reg.range = (struct uffdio_range) { .start = (uintptr_t) memory, .len = SIZE };
        CHILD_CHECK(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0);
        child_say(line, (uintptr_t) memory);
        child_hear(line);
        CHILD_CHECK(*rig_word(memory, 3, 0) == 3);
        *rig_word(memory, 4, 0) = 1004;
        child_say(line, 1);
        child_hear(line);
        return 0;
}

static void send_fd(int line, int fd) {
        union wire_msg msg;

        wire_init(&msg, WIRE_POOL_STAT, 0);
        assert_int_equal(chan_send(line, &msg, &fd, 1), 0);
}

/* A userfaultfd is a right over the memory of the process that made it, given by that process: the daemon uses it as its holder could, and when the holder
 * goes, it is over. */
static void test_another_process_s_userfaultfd(void **state) {
        struct rig *rig = rig_here(state);
        struct rawpeer_file file = { .ledger = -1 };
        struct bystander bystander;
        struct chan_packet packet;
        struct child *child;
        int line, device, backing;

        rig_daemon(rig, NULL);
        child = rig_child(rig, lend_userfaultfd, NULL);
        bystander_begin(rig, &bystander);
        line = rawpeer_greet(rig, &device);
        backing = rawpeer_open_backing(rig);
        send_fd(child->line, device);
        assert_int_equal(chan_receive(child->line, &packet), 1);
        file.uffd = chan_packet_take(&packet, 0);
        assert_int_equal(request_open(line, backing, file.uffd, &packet), 0);
        file.handle = packet.msg.open_reply.handle;
        send_fd(child->line, packet.fds[0]);
        chan_packet_close(&packet);
        file.address = child_hear(child->line);
        request_map(line, &file);
        child_say(child->line, 1);
        assert_int_equal(child_hear(child->line), 1);
        close(line); /* who brought it goes; the other keeps its memory, which nobody serves any more */
        bystander_assert_served(&bystander);
        child_say(child->line, 1);
        assert_int_equal(child_wait(child), 0);
        close(backing);
        close(device);
        close(file.uffd);
        bystander_assert_well(rig, &bystander);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_file_that_cannot_be_closed),
                RIG_TEST(test_a_token_that_does_not_answer),
                RIG_TEST(test_an_unfinished_userfaultfd),
                RIG_TEST(test_a_userfaultfd_closed_and_ranges_taken_back),
                RIG_TEST(test_a_userfaultfd_that_tells_of_forks),
                RIG_TEST(test_another_process_s_userfaultfd),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("hostile peers", tests, NULL, NULL);
}
