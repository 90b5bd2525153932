/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bufs.h"

#define BUFS_PAGE ((size_t) 1 << BUFS_MIN_SHIFT)
#define BUFS_SLAB ((size_t) 1 << BUFS_MAX_SHIFT)

/* Smaller ones are allocated one by one. */
#define BUFS_SLAB_CLASS_MIN (18u - BUFS_MIN_SHIFT)

/* lies in the free buffer itself */
struct bufs_free {
        struct bufs_free *next; /* bufs->free[class] -> buffer */
};

/* Buffers of one size, next to each other in what can be one huge page: a disk then reads into few large pieces of memory instead of many pages. */
struct bufs_slab {
        TAILQ_ENTRY(bufs_slab) entry; /* bufs->slabs -> slab->entry */
        char *memory;
        unsigned class;
        unsigned n_used; /* 0: idle */
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

/* Seldom needed, and too large to be kept. */
static bool bufs_is_large(size_t size) {
        return size > BUFS_SLAB;
}

void bufs_init(struct bufs *bufs) {
        *bufs = (struct bufs) { .n_small = 0 };
        TAILQ_INIT(&bufs->slabs);
}

/* --- the free ones ------------------------------------------------------------------------------------------------------------------------------- */

static void bufs_push(struct bufs *bufs, unsigned class, void *buf) {
        struct bufs_free *f = buf;

        f->next = bufs->free[class];
        bufs->free[class] = f;
}

static void *bufs_pop(struct bufs *bufs, unsigned class) {
        struct bufs_free *f = bufs->free[class];

        if (f)
                bufs->free[class] = f->next;
        return f;
}

/* --- slabs --------------------------------------------------------------------------------------------------------------------------------------- */

static bool bufs_slab_has(const struct bufs_slab *slab, const void *buf) {
        return (const char *) buf >= slab->memory && (const char *) buf < slab->memory + BUFS_SLAB;
}

/* There are few: what is under way at a time is bounded. */
static struct bufs_slab *bufs_slab_of(const struct bufs *bufs, const void *buf) {
        struct bufs_slab *slab;

        TAILQ_FOREACH(slab, &bufs->slabs, entry)
                if (bufs_slab_has(slab, buf))
                        return slab;
        assert(false);
        return NULL;
}

/* It is idle, as all its buffers are free. */
static bool bufs_add_slab(struct bufs *bufs, unsigned class) {
        struct bufs_slab *slab = malloc(sizeof(*slab));
        char *memory = aligned_alloc(BUFS_SLAB, BUFS_SLAB);

        if (!slab || !memory) {
                free(slab);
                free(memory);
                return false;
        }
        (void) madvise(memory, BUFS_SLAB, MADV_HUGEPAGE); /* slower without */
        *slab = (struct bufs_slab) { .memory = memory, .class = class };
        TAILQ_INSERT_HEAD(&bufs->slabs, slab, entry);
        bufs->n_idle++;
        for (size_t at = 0; at < BUFS_SLAB; at += bufs_class_size(class))
                bufs_push(bufs, class, memory + at);
        return true;
}

static void bufs_free_slab(struct bufs *bufs, struct bufs_slab *slab) {
        TAILQ_REMOVE(&bufs->slabs, slab, entry);
        free(slab->memory);
        free(slab);
}

static void bufs_remove_idle_slab(struct bufs *bufs, struct bufs_slab *slab) {
        struct bufs_free **f = &bufs->free[slab->class];

        while (*f)
                if (bufs_slab_has(slab, *f))
                        *f = (*f)->next;
                else
                        f = &(*f)->next;
        bufs->n_idle--;
        bufs_free_slab(bufs, slab);
}

static void bufs_remove_longest_idle_slab(struct bufs *bufs) {
        struct bufs_slab *slab;

        TAILQ_FOREACH_REVERSE(slab, &bufs->slabs, bufs_slabs, entry)
                if (slab->n_used == 0) {
                        bufs_remove_idle_slab(bufs, slab);
                        return;
                }
}

/* --- from outside -------------------------------------------------------------------------------------------------------------------------------- */

void bufs_fini(struct bufs *bufs) {
        struct bufs_slab *slab;

        for (unsigned class = 0; class < BUFS_SLAB_CLASS_MIN; class++)
                while (bufs->free[class])
                        free(bufs_pop(bufs, class));
        while ((slab = TAILQ_FIRST(&bufs->slabs)))
                bufs_free_slab(bufs, slab);
        bufs_init(bufs);
}

static void *bufs_get_from_slab(struct bufs *bufs, unsigned class) {
        void *buf;

        if (!bufs->free[class] && !bufs_add_slab(bufs, class))
                return NULL;
        buf = bufs_pop(bufs, class);
        if (bufs_slab_of(bufs, buf)->n_used++ == 0)
                bufs->n_idle--;
        return buf;
}

static void *bufs_get_small(struct bufs *bufs, unsigned class) {
        void *buf = bufs_pop(bufs, class);

        if (!buf)
                return aligned_alloc(BUFS_PAGE, bufs_class_size(class));
        bufs->n_small -= bufs_class_size(class);
        return buf;
}

void *bufs_get(struct bufs *bufs, size_t size) {
        unsigned class;

        if (bufs_is_large(size))
                return aligned_alloc(BUFS_PAGE, (size + BUFS_PAGE - 1) & ~(BUFS_PAGE - 1));
        class = bufs_class(size);
        return class >= BUFS_SLAB_CLASS_MIN ? bufs_get_from_slab(bufs, class) : bufs_get_small(bufs, class);
}

static void bufs_put_into_slab(struct bufs *bufs, void *buf, unsigned class) {
        struct bufs_slab *slab = bufs_slab_of(bufs, buf);

        bufs_push(bufs, class, buf);
        if (--slab->n_used > 0)
                return;
        TAILQ_REMOVE(&bufs->slabs, slab, entry);
        TAILQ_INSERT_HEAD(&bufs->slabs, slab, entry);
        if (++bufs->n_idle > BUFS_IDLE_MAX)
                bufs_remove_longest_idle_slab(bufs);
}

static void bufs_put_small(struct bufs *bufs, void *buf, unsigned class) {
        if (bufs->n_small + bufs_class_size(class) > BUFS_SMALL_MAX) {
                free(buf);
                return;
        }
        bufs_push(bufs, class, buf);
        bufs->n_small += bufs_class_size(class);
}

void bufs_put(struct bufs *bufs, void *buf, size_t size) {
        unsigned class;

        if (!buf)
                return;
        if (bufs_is_large(size)) {
                free(buf);
                return;
        }
        class = bufs_class(size);
        if (class >= BUFS_SLAB_CLASS_MIN)
                bufs_put_into_slab(bufs, buf, class);
        else
                bufs_put_small(bufs, buf, class);
}
