/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_BUFS_H
#define BF_BUFS_H

/* Buffers between file and memory: page-aligned, sized by powers of two, kept for the next use up to a limit. One user thread. */

#include <stddef.h>
#include <sys/queue.h>

#define BUFS_MIN_SHIFT 12
#define BUFS_MAX_SHIFT 21
#define BUFS_CACHED_MAX ((size_t) 4 << 20) /* bytes kept while nobody uses them; more as long as others next to them are used */

struct bufs {
        struct bufs_free *free[BUFS_MAX_SHIFT - BUFS_MIN_SHIFT + 1];
        size_t n_cached; /* bytes */
        LIST_HEAD(, bufs_slab) slabs;
};

void bufs_init(struct bufs *bufs);
void bufs_fini(struct bufs *bufs);

/* At least size bytes, or NULL; those above 2 MiB are not kept. bufs_put() takes it back with the same size. */
void *bufs_get(struct bufs *bufs, size_t size);
void bufs_put(struct bufs *bufs, void *buf, size_t size);

#endif
