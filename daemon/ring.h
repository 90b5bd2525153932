/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_RING_H
#define BF_RING_H

/* io_uring: operations that end with a call. It knows no pages. One thread uses a ring, the one that made it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct msghdr;
struct ring;

/* Embedded by its owner; it must live until done() was called, once for each operation begun. result: as of the system call, or a negative errno. */
struct ring_op {
        void (*done)(struct ring_op *op, int result);

        /* the ring's own: */
        STAILQ_ENTRY(ring_op) entry; /* ring->ended -> op->entry */
        LIST_ENTRY(ring_op) cancelled_entry;
        bool is_cancelled;
        int result;
};

int ring_new(struct ring **ret);
void ring_free(struct ring *ring);

/*
 * may_block: the file's system does not know how not to (ring_may_block()): the operation gets a kernel thread. The others are begun at once, and
 * wait, where they have to, without one. is_now: a read is tried at once, without the kernel's queues, as far as it need not wait: the shortest way to what
 * is cached.
 */
void ring_read(struct ring *ring, struct ring_op *op, int fd, bool is_now, bool may_block, void *buf, size_t length, uint64_t offset);
/* The same of a file that is open for direct I/O, where all is a multiple of its file system's blocks. Written by ring_write(). */
void ring_read_direct(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t length, uint64_t offset);
void ring_write(struct ring *ring, struct ring_op *op, int fd, bool may_block, const void *buf, size_t length, uint64_t offset);
bool ring_may_block(int fd);

/* What can be read without waiting, of a file whose system knows how not to. Bytes, or a negative errno. */
int ring_read_now(int fd, void *buf, size_t length, uint64_t offset);

/* A read of something that sends events: a userfaultfd, an eventfd. */
void ring_read_events(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t length);

/* A packet of a socket; m, and what it points to, live till the end. */
void ring_receive(struct ring *ring, struct ring_op *op, int fd, struct msghdr *m);

void ring_sync(struct ring *ring, struct ring_op *op, int fd); /* fdatasync */
void ring_poll(struct ring *ring, struct ring_op *op, int fd); /* until it can be read; result: poll(2)'s events */

/* On files of our own, by a kernel thread, as it may wait for the disk: opening, and giving a range back to the file system. */
void ring_open(struct ring *ring, struct ring_op *op, int dir_fd, const char *path, int flags, unsigned mode); /* path lives till the end */
void ring_allocate(struct ring *ring, struct ring_op *op, int fd, uint64_t offset, uint64_t length);
void ring_punch(struct ring *ring, struct ring_op *op, int fd, uint64_t offset, uint64_t length);

/* Closes a descriptor, which it takes: of a file served by another process, close(2) waits for that one, perhaps for ever; of a socket, for who reads at its
 * other end. */
void ring_close(struct ring *ring, int fd);

/* Ends with -ETIME once the monotonic clock shows that time. */
void ring_timer(struct ring *ring, struct ring_op *op, uint64_t usec);

/* Makes an operation end soon, with -ECANCELED if nothing came before. Its done() is called all the same. */
void ring_cancel(struct ring *ring, struct ring_op *op);

/* How many operations have begun and not ended. */
unsigned ring_n_pending(const struct ring *ring);

/* Hands over what has begun, for who goes on to do something long before the next run. */
void ring_submit(struct ring *ring);

/* Hands over what has begun; waits for an end if wait; calls done() for all that have ended. Negative errno: the ring itself failed. */
int ring_run(struct ring *ring, bool wait);

uint64_t ring_now(void); /* monotonic, microseconds */

#endif
