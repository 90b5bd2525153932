/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "stream.h"

/* Of blocks that are further apart nobody knows whether they belong together. */
#define STREAM_STRIDE_MAX 64

/* So many in a row make a stream: two may be chance. */
#define STREAM_SEEN_MIN 3

#define STREAM_WINDOW_MIN 8
#define STREAM_LIMIT_MIN 16

/* A window shorter than this has no traps: its end is as good. */
#define STREAM_TRAP_MIN 16

void streams_init(struct streams *streams) {
        *streams = (struct streams) { .limit = UINT64_MAX };
}

/* How many strides it is from the stream's last block to another one; 0: it is not in its way. */
static uint64_t stream_distance(const struct stream *stream, uint64_t block) {
        int64_t blocks = (int64_t) (block - stream->last);

        if (stream->stride == 0 || blocks % stream->stride != 0 || blocks / stream->stride < 0)
                return 0;
        return (uint64_t) (blocks / stream->stride);
}

/* In what was read ahead? */
static bool stream_is_inside(const struct stream *stream, uint64_t block) {
        uint64_t distance = stream->window > 0 ? stream_distance(stream, block) : 0;

        return distance > 0 && distance < stream_distance(stream, stream->next);
}

static bool stream_is_trap(const struct stream *stream, uint64_t block) {
        return stream_is_inside(stream, block) && stream_has_trap(&stream->traps, block, 1);
}

/* It should have been read ahead: it was dropped since then, or the thread is faster than what reads for it. */
static bool stream_has_lost(const struct stream *stream, uint64_t block) {
        return stream_is_inside(stream, block) && !stream_has_trap(&stream->traps, block, 1);
}

/* How well a block fits into a stream. */
enum stream_fit {
        STREAM_STRANGE,
        STREAM_NEAR,     /* of a stream of one block: it may be the second one */
        STREAM_INSIDE,   /* in what was read ahead */
        STREAM_EXPECTED, /* right after the last one, or where what was read ahead has a hole or an end */
};

static enum stream_fit stream_fit(const struct stream *stream, uint64_t block) {
        uint64_t distance = stream_distance(stream, block);
        int64_t blocks = (int64_t) (block - stream->last);

        if (stream->stamp == 0)
                return STREAM_STRANGE;
        if (stream->stride == 0)
                return blocks != 0 && blocks >= -STREAM_STRIDE_MAX && blocks <= STREAM_STRIDE_MAX ? STREAM_NEAR : STREAM_STRANGE;
        if (distance == 1 || (distance > 0 && stream->window > 0 && block == stream->next) || stream_is_trap(stream, block))
                return STREAM_EXPECTED;
        return stream_is_inside(stream, block) ? STREAM_INSIDE : STREAM_STRANGE;
}

/* The oldest makes way. What was read for it and not touched, as far as is known, was read in vain. */
static struct stream *streams_replace(struct streams *streams, uint64_t block) {
        struct stream *oldest = &streams->list[0];

        for (unsigned i = 1; i < STREAMS_MAX; i++)
                if (streams->list[i].stamp < oldest->stamp)
                        oldest = &streams->list[i];
        if (oldest->window > 0) {
                streams->n_wasted += stream_distance(oldest, oldest->next);
                if (streams->limit > oldest->window)
                        streams->limit = oldest->window;
                streams->limit = streams->limit / 2 > STREAM_LIMIT_MIN ? streams->limit / 2 : STREAM_LIMIT_MIN;
        }
        *oldest = (struct stream) { .last = block, .n_seen = 1 };
        return oldest;
}

/* The stream that a block belongs to: where it fits best, of several that which went on last. */
static struct stream *streams_find(struct streams *streams, uint64_t block) {
        enum stream_fit best = STREAM_STRANGE;
        struct stream *found = NULL;

        for (unsigned i = 0; i < STREAMS_MAX; i++) {
                struct stream *stream = &streams->list[i];
                enum stream_fit fit = stream_fit(stream, block);

                if (fit > best || (fit == best && found && stream->stamp > found->stamp)) {
                        best = fit;
                        found = stream;
                }
        }
        if (best == STREAM_NEAR)
                found->stride = (int64_t) (block - found->last);
        return found ? found : streams_replace(streams, block);
}

static uint64_t stream_min(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

/* Strides from a block to the last one inside the bounds. */
static uint64_t stream_room(uint64_t block, int64_t stride, const struct stream_bounds *bounds) {
        if (stride > 0)
                return block < bounds->end ? (bounds->end - 1 - block) / (uint64_t) stride : 0;
        return block > bounds->begin ? (block - bounds->begin) / (uint64_t) -stride : 0;
}

/* As if nothing behind the block had been read; what is there still is passed over by who reads. */
static void stream_begin_again(struct stream *stream, uint64_t block) {
        stream->next = block + (uint64_t) stream->stride;
        stream->window = stream->window / 4 > STREAM_WINDOW_MIN ? stream->window / 4 : STREAM_WINDOW_MIN / 2;
}

static void streams_widen(struct streams *streams, struct stream *stream, const struct stream_bounds *bounds) {
        uint64_t limit = stream_min(streams->limit, bounds->window);

        if (stream->window > 0 && streams->limit < bounds->window)
                streams->limit *= 2; /* it came to where it was expected */
        if (stream->window == 0)
                stream->next = stream->last + (uint64_t) stream->stride;
        stream->window = stream->window == 0 ? STREAM_WINDOW_MIN : 2 * stream->window;
        if (bounds->is_eager && stream->window < STREAM_LIMIT_MIN)
                stream->window = STREAM_LIMIT_MIN;
        stream->window = stream_min(stream->window, limit);
}

/* Strides from a block that was touched to the next trap. Those behind a trap are where they were; else they can only be in what is to be read. */
static uint64_t stream_next_trap(const struct stream *stream, uint64_t block, uint64_t begin, uint64_t step) {
        uint64_t step_before = stream->traps.step / (uint64_t) (stream->stride > 0 ? stream->stride : -stream->stride);
        uint64_t both = step > step_before ? step : step_before;

        if (stream_has_trap(&stream->traps, block, 1) && both % step == 0 && both % step_before == 0 && both < begin)
                return both;
        return (begin + step - 1) / step * step;
}

/* From where it ends now to a window ahead of the block that was touched. */
static void stream_extend(struct stream *stream, uint64_t block, const struct stream_bounds *bounds, struct stream_plan *ret_plan) {
        uint64_t window = stream_min(stream->window, stream_room(block, stream->stride, bounds)), begin = stream_distance(stream, stream->next);
        uint64_t step = window >= STREAM_TRAP_MIN ? window / bounds->n_traps : 0, stride = (uint64_t) stream->stride;

        if (begin == 0) /* nothing is read ahead */
                begin = 1;
        stream->traps = (struct stream_traps) {
                .first = step > 0 ? block + stream_next_trap(stream, block, begin, step) * stride : 0,
                .step = step * (stream->stride > 0 ? stride : -stride),
        };
        *ret_plan = (struct stream_plan) {
                .stream = stream,
                .first = block + begin * stride,
                .stride = stream->stride,
                .n = window >= begin ? window + 1 - begin : 0,
                .traps = stream->traps,
        };
        if (ret_plan->n > 0)
                stream->next = block + (window + 1) * stride;
}

void streams_miss(struct streams *streams, uint64_t block, const struct stream_bounds *bounds, struct stream_plan *ret_plan) {
        struct stream *stream = streams_find(streams, block);
        bool is_next = stream_distance(stream, block) == 1, is_lost = stream_has_lost(stream, block);

        stream->stamp = ++streams->clock;
        if (stream->last != block)
                stream->n_seen++;
        stream->last = block;
        *ret_plan = (struct stream_plan) { .n = 0 };
        if (bounds->is_eager && stream->stride == 0) {
                stream->stride = 1;
                stream->n_seen = STREAM_SEEN_MIN;
        }
        if (stream->n_seen < STREAM_SEEN_MIN || (is_lost && !is_next && !bounds->is_eager)) /* one alone may be chance */
                return;
        if (is_lost)
                stream_begin_again(stream, block);
        streams_widen(streams, stream, bounds);
        stream_extend(stream, block, bounds, ret_plan);
}

bool streams_have_trap(const struct streams *streams, uint64_t block) {
        for (unsigned i = 0; i < STREAMS_MAX; i++)
                if (stream_is_trap(&streams->list[i], block))
                        return true;
        return false;
}
