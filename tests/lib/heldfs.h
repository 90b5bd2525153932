/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_HELDFS_H
#define BF_TEST_HELDFS_H

/*
 * One file served by a process of its own through FUSE, without any cache in between: each read, write and fsync of the daemon comes here, is counted
 * and logged, and can be held until the test lets it go, be made to fail, or be cut short. So a test sees which loads and stores ran, and
 * chooses when each of them ends.
 *
 * A read takes its bytes when it arrives, a write puts its bytes when it is let go: what is held is what was there before.
 * Rules are looked at in the order in which they were made. Blocks are of the size given at the start; HELDFS_ANY stands for each.
 * A request that fails on a block in its middle is cut short before that block, as a disk would do.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum heldfs_op {
        HELDFS_READ,
        HELDFS_WRITE,
        HELDFS_FSYNC, /* has no block: HELDFS_ANY */
        HELDFS_FLUSH, /* the same; of each close(2), if opts.is_flushed */
        HELDFS_STAT,  /* the same; of each fstat(2), if opts.is_stat */
        N_HELDFS_OPS,
};

#define HELDFS_ANY UINT64_MAX
#define HELDFS_ALWAYS (~0u)

struct heldfs;

struct heldfs_opts {
        uint64_t size;       /* of the file, at first; its content is identity (tempfile.h) */
        uint64_t block_size;
        /* Each request is carried out by the thread that asks for it (no FUSE_ASYNC_DIO). Writes can be cut short only so, as otherwise the
         * kernel makes errors of them; reads only without it, as the kernel (6.18) goes on at the wrong place when io_uring has asked. */
        bool is_synchronous;
        bool is_flushed; /* each close(2) waits for an answer */
        bool is_stat;    /* each fstat(2) is counted and can be held */
        /* May fill what a read returns, in the serving process and one thread of it, after the read was let go. NULL: none. */
        int (*on_read)(void *arg, uint64_t offset, void *bytes, size_t n);
        void *arg;
};

/*
 * Starts it; to be called before the calling process has threads. 0; -ENODEV no /dev/fuse here; -EPERM this process may not mount; another
 * negative errno.
 */
int heldfs_start(struct heldfs **ret, const struct heldfs_opts *opts);

/* Ends it; requests still held fail. NULL is fine. */
void heldfs_stop(struct heldfs *heldfs);

/* Where the file is, for open(2). */
const char *heldfs_path(const struct heldfs *heldfs);

/* What is in the file at this offset, to be read and written freely; as large as the file may grow (twice its first size). */
void *heldfs_content(const struct heldfs *heldfs, uint64_t offset);

/* The next times requests on this block are held. */
void heldfs_hold(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned times);

/* Waits until n requests that touch this block are held. */
void heldfs_wait(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned n);

/* Waits until every request that has come is answered. */
void heldfs_wait_idle(struct heldfs *heldfs);

/* How many are held now. */
unsigned heldfs_n_held(struct heldfs *heldfs, enum heldfs_op op, uint64_t block);

/* Lets those go that are held on this block; rules remain. */
void heldfs_release(struct heldfs *heldfs, enum heldfs_op op, uint64_t block);

/* After skip requests on this block went well, the next times ones fail with this (positive) errno. */
void heldfs_fail(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned skip, unsigned times, int error);

/* The next times reads or writes of this block do at the most so many bytes. */
void heldfs_shorten(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned times, size_t bytes);

/* Forgets all rules; lets all that is held go. */
void heldfs_clear(struct heldfs *heldfs);

/* Requests so far that succeeded (also in part); and those that failed. */
unsigned heldfs_count(struct heldfs *heldfs, enum heldfs_op op);
unsigned heldfs_count_failed(struct heldfs *heldfs, enum heldfs_op op);

/* The blocks whose beginnings were read or written with success, in the order of arrival: at most max of them to ret_blocks. Returns how many
 * there were. */
size_t heldfs_blocks(struct heldfs *heldfs, enum heldfs_op op, uint64_t *ret_blocks, size_t max);

/* Forgets what was counted and logged. */
void heldfs_forget(struct heldfs *heldfs);

#endif
