/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bufs.h"

/* lies in the free buffer itself */
struct bufs_free {
        struct bufs_free *next; /* bufs->free[class] -> buffer */
};

static unsigned bufs_class(size_t size) {
        unsigned shift = BUFS_MIN_SHIFT;

        while ((size_t) 1 << shift < size)
                shift++;
        assert(shift <= BUFS_MAX_SHIFT);
        return shift - BUFS_MIN_SHIFT;
}

static size_t bufs_class_size(unsigned class) {
        return (size_t) 1 << (class + BUFS_MIN_SHIFT);
}

void bufs_init(struct bufs *bufs) {
        *bufs = (struct bufs) { .n_cached = 0 };
}

void bufs_fini(struct bufs *bufs) {
        for (unsigned class = 0; class <= BUFS_MAX_SHIFT - BUFS_MIN_SHIFT; class++)
                while (bufs->free[class])
                        free(bufs_get(bufs, bufs_class_size(class)));
}

/* Seldom needed, and too large to be kept. */
static bool bufs_is_large(size_t size) {
        return size > (size_t) 1 << BUFS_MAX_SHIFT;
}

void *bufs_get(struct bufs *bufs, size_t size) {
        unsigned class = bufs_is_large(size) ? 0 : bufs_class(size);
        struct bufs_free *buf = bufs->free[class];

        if (bufs_is_large(size))
                return aligned_alloc((size_t) 1 << BUFS_MIN_SHIFT, (size + ((size_t) 1 << BUFS_MIN_SHIFT) - 1) >> BUFS_MIN_SHIFT << BUFS_MIN_SHIFT);
        if (!buf)
                return aligned_alloc((size_t) 1 << BUFS_MIN_SHIFT, bufs_class_size(class));
        bufs->free[class] = buf->next;
        bufs->n_cached -= bufs_class_size(class);
        return buf;
}

void bufs_put(struct bufs *bufs, void *buf, size_t size) {
        unsigned class = bufs_is_large(size) ? 0 : bufs_class(size);
        struct bufs_free *f = buf;

        if (!buf)
                return;
        if (bufs_is_large(size) || bufs->n_cached + bufs_class_size(class) > BUFS_CACHED_MAX) {
                free(buf);
                return;
        }
        f->next = bufs->free[class];
        bufs->free[class] = f;
        bufs->n_cached += bufs_class_size(class);
}
