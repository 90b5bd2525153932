/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILL_H
#define BF_FILL_H

/*
 * A pager's second hand: a thread that copies what was read ahead into a mapping, while the pager reads, answers faults and copies, too. Copying is most of what a load
 * of cached content costs, and two threads copy nearly twice as much. It knows no page states: the pages are LOADING until the pager is told of the end, and as long as
 * that has not come it keeps the mapping, the memory and the buffer as they are: who wants to change them has fill_wait() before.
 */

#include <stdbool.h>
#include <stdint.h>

#include "pager.h"
#include "stream.h"

struct mapping;
struct memory;

#define FILL_BYTES_MIN (UINT64_C(128) << 10) /* less is copied sooner than told */

/* n blocks from the buffer; traps go into the memory alone. */
struct fill_work {
        struct mapping *mapping;
        struct memory *memory;
        uint64_t block;
        uint64_t n;
        unsigned block_shift;
        const char *buf;
        struct stream_traps traps;
};

struct fill {
        struct pager_call call; /* that it has ended */
        struct fill_work work;
        void *owner;                      /* the caller's */
        void (*ended)(struct fill *fill); /* in the pager's thread, unless fill_wait() came before */
        bool is_taken;                    /* until the call has come, or it is certain that it will not */
        enum {                            /* both threads', with the mutex */
                FILL_QUEUED = 1,
                FILL_RUNS,
                FILL_ENDED,
        } stage;
        int result; /* 0, or a negative errno: some blocks were filled, or none */
};

/* Could one more be taken? Starts the thread, the first time, if there is a CPU for it. */
bool fill_is_free(struct pager *pager);

/* NULL: it could not. */
struct fill *fill_begin(struct pager *pager, const struct fill_work *work, void *owner, void (*ended)(struct fill *fill));

/* One that has not begun never will: its result is -ECANCELED, and ended() is not called. False: it has. */
bool fill_cancel(struct pager *pager, struct fill *fill);

/* Cancels it, or waits until it has ended; ended() is not called any more. */
void fill_wait(struct pager *pager, struct fill *fill);

/* None is under way, and no call. */
bool fill_is_idle(const struct pager *pager);
void fill_end(struct pager *pager);

#endif
