/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STREAM_H
#define BF_STREAM_H

/*
 * Streams: threads that touch blocks one after the other, at a constant distance, forwards or backwards, several of them mixed. From the blocks that were
 * missing when they were touched it is told what will be touched next. Blocks that were read ahead are not seen when they are touched, so some of them, at the
 * same distance, are not shown: traps, whose touch says how far a stream has come, early enough to read on before it is at the end. Pure: it knows numbers of blocks.
 */

#include <stdbool.h>
#include <stdint.h>

#define STREAMS_MAX 8

/* The block first, and those each step before and after it; step 0: none. */
struct stream_traps {
        uint64_t first;
        uint64_t step;
};

static inline bool stream_has_trap(const struct stream_traps *traps, uint64_t block, uint64_t n) {
        uint64_t skip;

        if (traps->step == 0)
                return false;
        skip = block <= traps->first ? (traps->first - block) % traps->step : traps->step - 1 - (block - traps->first - 1) % traps->step;
        return skip < n;
}

/* All positions in the direction of the stream. */
struct stream {
        uint64_t last;   /* block that was missing last */
        int64_t stride;  /* from one block to the next; 0: only one block is known */
        uint64_t n_seen; /* blocks in a row, as far as they were missing */
        uint64_t window; /* blocks that are read ahead; 0: none yet */
        uint64_t next;   /* the first that was not read ahead, while window > 0 */
        struct stream_traps traps; /* between last and next */
        uint64_t stamp;  /* when it last went on; 0: it is free */
};

struct streams {
        struct stream list[STREAMS_MAX];
        uint64_t clock;
        uint64_t limit;    /* of windows, blocks: less when much is read in vain */
        uint64_t n_wasted; /* blocks that were read ahead of streams that did not come there */
};

/* What to read after a block that was missing: n blocks, from first on, at the distance stride. */
struct stream_plan {
        struct stream *stream; /* NULL: it belongs to none, or to one that is not sure yet */
        uint64_t first;
        int64_t stride;
        uint64_t n;
        struct stream_traps traps; /* that are not to be shown, those of them that are to be read */
};

struct stream_bounds {
        uint64_t begin; /* blocks that may be read */
        uint64_t end;
        uint64_t window; /* the largest */
        unsigned n_traps; /* in each, so: how often it is read on */
        bool is_eager;   /* one block is enough to begin a stream */
};

void streams_init(struct streams *streams);

/* Is it a trap of one of them? */
bool streams_have_trap(const struct streams *streams, uint64_t block);

/* A block was missing when it was touched, or is a trap. */
void streams_miss(struct streams *streams, uint64_t block, const struct stream_bounds *bounds, struct stream_plan *ret_plan);

#endif
