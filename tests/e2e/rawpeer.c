/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rawpeer.h"
#include "tempfile.h"
#include "uffd_abi.h"

#define BYSTANDER_PAGES 32

int rawpeer_connect(const struct rig *rig) {
        int line;

        assert_int_equal(chan_connect(rig->daemon.socket, &line), 0);
        return line;
}

int rawpeer_greet(const struct rig *rig, int *ret_device) {
        int line = rawpeer_connect(rig), device;
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_HELLO, 1);
        msg.hello.version = WIRE_VERSION;
        assert_int_equal(rawpeer_call(line, &msg, NULL, 0, &reply), 0);
        assert_int_equal(reply.msg.hello_reply.version, WIRE_VERSION);
        assert_int_equal(reply.n_fds, 1);
        device = chan_packet_take(&reply, 0);
        if (ret_device)
                *ret_device = device;
        else
                close(device);
        return line;
}

int rawpeer_send_fds(int line, const void *bytes, size_t size, const int *fds, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(CHAN_FDS_MAX * sizeof(int))];
        } control = { .bytes = { 0 } };
        struct iovec iov = { .iov_base = (void *) bytes, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *c;

                m.msg_control = control.bytes;
                m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        return sendmsg(line, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int rawpeer_send(int line, const void *bytes, size_t size, int fd, unsigned n_fds) {
        int fds[CHAN_FDS_MAX];

        for (unsigned i = 0; i < n_fds; i++)
                fds[i] = fd;
        return rawpeer_send_fds(line, bytes, size, fds, n_fds);
}

int rawpeer_call(int line, union wire_msg *msg, const int *fds, unsigned n_fds, struct chan_packet *ret_reply) {
        static uint32_t serial = 1000;

        msg->header.serial = ++serial;
        assert_int_equal(chan_send(line, msg, fds, n_fds), 0);
        assert_int_equal(chan_receive(line, ret_reply), 1);
        assert_int_equal(wire_validate(WIRE_TO_CLIENT, ret_reply->msg.bytes, ret_reply->size, ret_reply->n_fds), WIRE_OK);
        assert_int_equal(ret_reply->msg.header.id, msg->header.id | WIRE_REPLY);
        assert_int_equal(ret_reply->msg.header.serial, serial);
        return ret_reply->msg.reply.error; /* at the same place in every reply */
}

void rawpeer_assert_closed(int line, const char *file, int fileline) {
        struct chan_packet packet;
        int r = chan_receive(line, &packet);

        if (r == 1)
                chan_packet_close(&packet);
        if (r != 0) {
                print_error("%s:%d: the daemon did not close the connection: %d\n", file, fileline, r);
                _fail(file, fileline);
        }
        close(line);
}

/* -1: not with these features */
static int rawpeer_uffd_with(int device, uint64_t features) {
        struct uffdio_api api = { .api = UFFD_API, .features = features };
        int uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

        assert_true(uffd >= 0);
        if (ioctl(uffd, UFFDIO_API, &api) == 0)
                return uffd;
        close(uffd);
        return -1;
}

int rawpeer_uffd(int device) {
        int uffd = rawpeer_uffd_with(device, BF_UFFD_FEATURES);

        assert_true(uffd >= 0);
        return uffd;
}

int rawpeer_open_backing(const struct rig *rig) {
        char path[sizeof(rig->dir) + 8];
        int fd;

        snprintf(path, sizeof(path), "%s/raw", rig->dir);
        if (access(path, F_OK) < 0)
                assert_int_equal(tempfile_make_identity(path, RAWPEER_PAGES, RIG_PAGE), 0);
        fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

void rawpeer_open(const struct rig *rig, int line, int device, struct rawpeer_file *ret_file) {
        assert_true(rawpeer_open_with(rig, line, device, BF_UFFD_FEATURES, ret_file));
}

bool rawpeer_open_with(const struct rig *rig, int line, int device, uint64_t features, struct rawpeer_file *ret_file) {
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP };
        int fds[2] = { rawpeer_open_backing(rig), rawpeer_uffd_with(device, features) };
        struct chan_packet reply;
        union wire_msg msg;
        void *memory;

        if (fds[1] < 0) {
                close(fds[0]);
                return false;
        }
        wire_init(&msg, WIRE_OPEN, 0);
        msg.open.size = RAWPEER_PAGES * RIG_PAGE;
        msg.open.block_size = RIG_PAGE;
        assert_int_equal(rawpeer_call(line, &msg, fds, 2, &reply), 0);
        assert_int_equal(reply.n_fds, 3);
        close(fds[0]);
        *ret_file = (struct rawpeer_file) {
                .handle = reply.msg.open_reply.handle,
                .uffd = fds[1],
                .memory = chan_packet_take(&reply, 0),
                .ledger = chan_packet_take(&reply, 1),
                .spill = chan_packet_take(&reply, 2),
        };
        memory = mmap(NULL, RAWPEER_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ret_file->memory, 0);
        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(madvise(memory, RAWPEER_PAGES * RIG_PAGE, MADV_DONTFORK), 0);
        reg.range = (struct uffdio_range) { .start = (uintptr_t) memory, .len = RAWPEER_PAGES * RIG_PAGE };
        assert_int_equal(ioctl(ret_file->uffd, UFFDIO_REGISTER, &reg), 0);
        ret_file->address = (uintptr_t) memory;
        return true;
}

void rawpeer_close_file(struct rawpeer_file *file) {
        munmap((void *) (uintptr_t) file->address, RAWPEER_PAGES * RIG_PAGE);
        if (file->uffd >= 0)
                close(file->uffd);
        close(file->memory);
        close(file->ledger);
        close(file->spill);
}

void bystander_begin(struct rig *rig, struct bystander *bystander) {
        bystander->client = rig_client(rig);
        bystander->fileh = rig_open(bystander->client, rig_identity(rig, "bystander", BYSTANDER_PAGES), O_RDWR, 0);
        bystander->map = rig_map(bystander->fileh, 0, BYSTANDER_PAGES);
        *rig_word(bystander->map, 1, 0) = 4711;
        bystander->pool = rig_pool_stat(bystander->client);
        assert_int_equal(daemonproc_usage(&rig->daemon, &bystander->usage), 0);
}

void bystander_assert_served(const struct bystander *bystander) {
        assert_int_equal(bf_invalidate(bystander->fileh, 2 * RIG_PAGE, 10 * RIG_PAGE), 0);
        for (uint64_t page = 2; page < 12; page++)
                assert_int_equal(*rig_word(bystander->map, page, 0), page);
        (void) rig_pool_stat(bystander->client);
}

static bool daemon_is_as_before(struct rig *rig, const struct bystander *bystander) {
        struct bf_pool_stat pool = rig_pool_stat(bystander->client);
        struct daemonproc_usage usage;

        assert_int_equal(daemonproc_usage(&rig->daemon, &usage), 0);
        return usage.n_fds == bystander->usage.n_fds && pool.peers == bystander->pool.peers && pool.filehs == bystander->pool.filehs &&
               pool.mappings == bystander->pool.mappings && pool.dirty_bytes == bystander->pool.dirty_bytes;
}

void bystander_assert_well(struct rig *rig, struct bystander *bystander) {
        const struct timespec moment = { .tv_nsec = 1000000 };

        assert_int_equal(bf_invalidate(bystander->fileh, 2 * RIG_PAGE, BYSTANDER_PAGES * RIG_PAGE), 0);
        for (uint64_t page = 2; page < BYSTANDER_PAGES; page++)
                assert_int_equal(*rig_word(bystander->map, page, 5), page);
        assert_int_equal(*rig_word(bystander->map, 1, 0), 4711);
        while (!daemon_is_as_before(rig, bystander)) /* the watchdog sets the end */
                nanosleep(&moment, NULL);
}
