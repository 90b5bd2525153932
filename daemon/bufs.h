/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BUFS_H
#define BF_BUFS_H

/*
 * Buffers between file and memory: page-aligned, sized by powers of two, kept for the next use up to a limit: what is kept longest makes place, as much of it may have
 * been of a size that nobody asks for any more. One user thread.
 */

#include <stddef.h>
#include <sys/queue.h>

#define BUFS_MIN_SHIFT 12
#define BUFS_MAX_SHIFT 21
#define BUFS_SMALL_MAX ((size_t) 1 << 20) /* bytes kept in small ones */
#define BUFS_IDLE_MAX 2u                  /* slabs kept of which nobody uses any: 4 MiB */

struct bufs {
        struct bufs_free *free[BUFS_MAX_SHIFT - BUFS_MIN_SHIFT + 1];
        size_t n_small;                /* bytes of small ones that are free */
        TAILQ_HEAD(bufs_slabs, bufs_slab) slabs; /* which became idle last first, as far as they are */
        unsigned n_idle;
};

void bufs_init(struct bufs *bufs);
void bufs_fini(struct bufs *bufs);

/* At least size bytes, or NULL; those above 2 MiB are not kept. bufs_put() takes it back with the same size. */
void *bufs_get(struct bufs *bufs, size_t size);
void bufs_put(struct bufs *bufs, void *buf, size_t size);

#endif
