/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "closer.h"
#include "inject.h"
#include "ring.h"

#define RING_SQ_ENTRIES 256
#define RING_CQ_ENTRIES 4096
#define RING_CQ_BATCH 64

/* Operations that the file system cannot do without blocking go to kernel threads. So many that a hung file does not take them all. */
#define RING_WORKERS 256

struct ring {
        struct io_uring uring;
        unsigned n_pending;
        STAILQ_HEAD(ring_ops, ring_op) ended; /* without the kernel's queues: their done() is due */
        LIST_HEAD(, ring_op) cancelled; /* that have not ended -> op->cancelled_entry */
        struct __kernel_timespec timer; /* of the timer being set */
};

int ring_new(struct ring **ret) {
        struct io_uring_params params = {
                .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                .cq_entries = RING_CQ_ENTRIES,
        };
        unsigned workers[2] = { RING_WORKERS, RING_WORKERS };
        struct ring *ring;
        int r;

        ring = calloc(1, sizeof(*ring));
        if (!ring)
                return -ENOMEM;
        r = io_uring_queue_init_params(RING_SQ_ENTRIES, &ring->uring, &params);
        if (r < 0) {
                free(ring);
                return r;
        }
        STAILQ_INIT(&ring->ended);
        LIST_INIT(&ring->cancelled);
        (void) io_uring_register_iowq_max_workers(&ring->uring, workers); /* else the kernel's own number: slower with hung files */
        (void) io_uring_register_ring_fd(&ring->uring);                   /* else each call looks the ring's descriptor up */
        *ret = ring;
        return 0;
}

void ring_free(struct ring *ring) {
        if (!ring)
                return;
        io_uring_queue_exit(&ring->uring);
        free(ring);
}

/* A free place in the submission queue; a full one is handed over first, and takes all or the kernel is out of memory, which passes. */
static struct io_uring_sqe *ring_sqe(struct ring *ring) {
        struct io_uring_sqe *sqe;

        while (INJECT_ERROR(RING_FULL) < 0 || !(sqe = io_uring_get_sqe(&ring->uring)))
                (void) io_uring_submit(&ring->uring);
        return sqe;
}

/* After io_uring_prep_*(), which may clear what was set before. */
static void ring_begin(struct ring *ring, struct io_uring_sqe *sqe, struct ring_op *op) {
        io_uring_sqe_set_data(sqe, op);
        op->is_cancelled = false;
        ring->n_pending++;
}

/* The kernel says EOPNOTSUPP to RWF_NOWAIT before it asks the file system anything; io_uring itself would call such a file system at once, and
 * wait. */
bool ring_may_block(int fd) {
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

        return preadv2(fd, &iov, 1, 0, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP;
}

static void ring_set_may_block(struct io_uring_sqe *sqe, bool may_block) {
        if (may_block)
                io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
}

static void ring_read_queued(struct ring *ring, struct ring_op *op, int fd, bool may_block, void *buf, size_t length, uint64_t offset) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_read(sqe, fd, buf, (unsigned) length, offset);
        ring_set_may_block(sqe, may_block);
        ring_begin(ring, sqe, op);
}

int ring_read_now(int fd, void *buf, size_t length, uint64_t offset) {
        struct iovec iov = { .iov_base = buf, .iov_len = length };
        ssize_t n = preadv2(fd, &iov, 1, (off_t) offset, RWF_NOWAIT);

        return n < 0 ? -errno : (int) n;
}

void ring_read(struct ring *ring, struct ring_op *op, int fd, bool is_now, bool may_block, void *buf, size_t length, uint64_t offset) {
        int n = is_now ? ring_read_now(fd, buf, length, offset) : -EAGAIN;

        if (n <= 0) { /* it would have to wait, or there is an error to be told by the queue */
                ring_read_queued(ring, op, fd, may_block, buf, length, offset);
                return;
        }
        op->result = n;
        op->is_cancelled = false;
        STAILQ_INSERT_TAIL(&ring->ended, op, entry);
        ring->n_pending++;
}

void ring_read_direct(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t length, uint64_t offset) {
        ring_read_queued(ring, op, fd, false, buf, length, offset);
}

void ring_read_events(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t length) {
        ring_read_queued(ring, op, fd, false, buf, length, 0);
}

void ring_receive(struct ring *ring, struct ring_op *op, int fd, struct msghdr *m) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_recvmsg(sqe, fd, m, MSG_CMSG_CLOEXEC);
        ring_begin(ring, sqe, op);
}

void ring_write(struct ring *ring, struct ring_op *op, int fd, bool may_block, const void *buf, size_t length, uint64_t offset) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_write(sqe, fd, buf, (unsigned) length, offset);
        ring_set_may_block(sqe, may_block);
        ring_begin(ring, sqe, op);
}

void ring_sync(struct ring *ring, struct ring_op *op, int fd) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        ring_begin(ring, sqe, op);
}

void ring_open(struct ring *ring, struct ring_op *op, int dir_fd, const char *path, int flags, unsigned mode) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_openat(sqe, dir_fd, path, flags, mode);
        ring_set_may_block(sqe, true);
        ring_begin(ring, sqe, op);
}

void ring_punch(struct ring *ring, struct ring_op *op, int fd, uint64_t offset, uint64_t length) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) offset, (off_t) length);
        ring_set_may_block(sqe, true);
        ring_begin(ring, sqe, op);
}

void ring_allocate(struct ring *ring, struct ring_op *op, int fd, uint64_t offset, uint64_t length) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_fallocate(sqe, fd, FALLOC_FL_KEEP_SIZE, offset, length);
        ring_set_may_block(sqe, true);
        ring_begin(ring, sqe, op);
}

void ring_poll(struct ring *ring, struct ring_op *op, int fd) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_poll_add(sqe, fd, POLLIN);
        ring_begin(ring, sqe, op);
}

/* The kernel reads the time when the entry is handed over, which is at once: the place for it can be used again. */
void ring_timer(struct ring *ring, struct ring_op *op, uint64_t usec) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        ring->timer = (struct __kernel_timespec) { .tv_sec = (long long) (usec / 1000000), .tv_nsec = (long long) (usec % 1000000) * 1000 };
        io_uring_prep_timeout(sqe, &ring->timer, 0, IORING_TIMEOUT_ABS);
        ring_begin(ring, sqe, op);
        (void) io_uring_submit(&ring->uring);
}

/* --- cancelling ---------------------------------------------------------------------------------------------------------------------------------- */

/* Sets apart the end of a cancel request from that of the operation it is about. */
#define RING_CANCEL_TAG UINT64_C(1)

static void ring_ask_cancel(struct ring *ring, struct ring_op *op) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_cancel(sqe, op, 0);
        io_uring_sqe_set_data64(sqe, (uint64_t) (uintptr_t) op | RING_CANCEL_TAG);
}

void ring_cancel(struct ring *ring, struct ring_op *op) {
        if (!op->is_cancelled)
                LIST_INSERT_HEAD(&ring->cancelled, op, cancelled_entry);
        op->is_cancelled = true;
        ring_ask_cancel(ring, op);
}

/* The operation may have ended, and its place be used for something else. */
static bool ring_is_cancelling(const struct ring *ring, const struct ring_op *op) {
        const struct ring_op *o;

        LIST_FOREACH(o, &ring->cancelled, cancelled_entry)
                if (o == op)
                        return true;
        return false;
}

/* On its way from one of the kernel's queues to another, such as to a kernel thread, an operation is not found, and goes on; it is asked again. */
static void ring_on_cancel(struct ring *ring, struct ring_op *op, int result) {
        if (result == -ENOENT && ring_is_cancelling(ring, op))
                ring_ask_cancel(ring, op);
}

/* A socket io_uring would close at once, and wait. The end of closing concerns nobody, like that of a cancel request that is about nothing. */
void ring_close(struct ring *ring, int fd) {
        struct io_uring_sqe *sqe;

        if (closer_close_socket(fd))
                return;
        sqe = ring_sqe(ring);
        io_uring_prep_close(sqe, fd);
        io_uring_sqe_set_data64(sqe, RING_CANCEL_TAG);
}

/* --- running ------------------------------------------------------------------------------------------------------------------------------------- */

void ring_submit(struct ring *ring) {
        (void) io_uring_submit(&ring->uring); /* if it cannot take them now, the next run hands them over */
}

unsigned ring_n_pending(const struct ring *ring) {
        return ring->n_pending;
}

static void ring_end(struct ring *ring, struct ring_op *op, int result) {
        ring->n_pending--;
        if (op->is_cancelled)
                LIST_REMOVE(op, cancelled_entry);
        op->is_cancelled = false;
        op->done(op, result);
}

static void ring_on_cqe(struct ring *ring, uint64_t data, int result) {
        struct ring_op *op = (struct ring_op *) (uintptr_t) (data & ~RING_CANCEL_TAG);

        if (data & RING_CANCEL_TAG)
                ring_on_cancel(ring, op, result);
        else
                ring_end(ring, op, result);
}

static void ring_take_cqes(struct ring *ring) {
        struct io_uring_cqe *cqes[RING_CQ_BATCH];
        unsigned n;

        while ((n = io_uring_peek_batch_cqe(&ring->uring, cqes, RING_CQ_BATCH)) > 0) {
                struct {
                        uint64_t data;
                        int result;
                } ends[RING_CQ_BATCH];

                for (unsigned i = 0; i < n; i++) {
                        ends[i].data = io_uring_cqe_get_data64(cqes[i]);
                        ends[i].result = cqes[i]->res;
                }
                io_uring_cq_advance(&ring->uring, n);
                for (unsigned i = 0; i < n; i++)
                        ring_on_cqe(ring, ends[i].data, ends[i].result);
        }
}

/* Those that are there now; what they begin may end in the next run. */
static void ring_take_ended(struct ring *ring) {
        struct ring_ops ended = STAILQ_HEAD_INITIALIZER(ended);
        struct ring_op *op;

        STAILQ_CONCAT(&ended, &ring->ended);
        while ((op = STAILQ_FIRST(&ended))) {
                STAILQ_REMOVE_HEAD(&ended, entry);
                ring_end(ring, op, op->result);
        }
}

int ring_run(struct ring *ring, bool wait) {
        bool waits = wait && STAILQ_EMPTY(&ring->ended);
        int r = waits ? io_uring_submit_and_wait(&ring->uring, 1) : io_uring_submit_and_get_events(&ring->uring);

        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) /* these pass: endings are taken below, which makes room */
                return r;
        ring_take_cqes(ring);
        ring_take_ended(ring);
        return 0;
}

uint64_t ring_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}
