/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "trace.h"
#include "zipf.h"

#define TRACE_EXPONENT 0.99
#define TRACE_EXPONENT_FLAT 0.7
#define TRACE_BURST 64   /* blocks of a scan between as many other touches */
#define TRACE_PHASES 10
#define TRACE_TWO_PI 6.283185307179586

/* Once it is full, nothing more is added: so who fills need not look how much room is left. */
static void trace_add(struct trace *trace, const struct trace_size *size, uint64_t block) {
        if (trace->n < size->n_touches)
                trace->blocks[trace->n++] = (uint32_t) block;
}

static bool trace_is_full(const struct trace *trace, const struct trace_size *size) {
        return trace->n == size->n_touches;
}

static int trace_fill_zipf_of(struct trace *trace, const struct trace_size *size, double exponent) {
        uint64_t rng = size->seed;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks, exponent, size->seed);
        if (r < 0)
                return r;
        while (!trace_is_full(trace, size))
                trace_add(trace, size, zipf_draw(&zipf, &rng));
        zipf_fini(&zipf);
        return 0;
}

static int trace_fill_zipf(struct trace *trace, const struct trace_size *size) {
        return trace_fill_zipf_of(trace, size, TRACE_EXPONENT);
}

static int trace_fill_zipf_flat(struct trace *trace, const struct trace_size *size) {
        return trace_fill_zipf_of(trace, size, TRACE_EXPONENT_FLAT);
}

static int trace_fill_loop_of(struct trace *trace, const struct trace_size *size, uint64_t n) {
        for (uint64_t i = 0; !trace_is_full(trace, size); i++)
                trace_add(trace, size, i % n);
        return 0;
}

static int trace_fill_loop(struct trace *trace, const struct trace_size *size) {
        uint64_t n = (uint64_t) size->n_pool * 11 / 10;

        return trace_fill_loop_of(trace, size, n < size->n_blocks ? n : size->n_blocks);
}

static int trace_fill_loop_all(struct trace *trace, const struct trace_size *size) {
        return trace_fill_loop_of(trace, size, size->n_blocks);
}

static int trace_fill_zipf_scan(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed, scanned = 0;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks, TRACE_EXPONENT, size->seed);
        if (r < 0)
                return r;
        while (!trace_is_full(trace, size)) {
                for (unsigned i = 0; i < TRACE_BURST; i++)
                        trace_add(trace, size, zipf_draw(&zipf, &rng));
                for (unsigned i = 0; i < TRACE_BURST; i++)
                        trace_add(trace, size, scanned++ % size->n_blocks);
        }
        zipf_fini(&zipf);
        return 0;
}

static int trace_fill_phases(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks, TRACE_EXPONENT, size->seed);
        if (r < 0)
                return r;
        for (uint64_t phase = 0; !trace_is_full(trace, size); phase++) {
                zipf_scatter(&zipf, size->seed + phase);
                for (size_t i = 0; i <= size->n_touches / TRACE_PHASES; i++)
                        trace_add(trace, size, zipf_draw(&zipf, &rng));
        }
        zipf_fini(&zipf);
        return 0;
}

/* Turns: popular blocks in a file half as large as the data, and a loop over one that is as large. */
static int trace_fill_clients(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks / 2, TRACE_EXPONENT, size->seed);
        if (r < 0)
                return r;
        for (uint64_t i = 0; !trace_is_full(trace, size); i++) {
                trace_add(trace, size, zipf_draw(&zipf, &rng));
                trace_add(trace, size, size->n_blocks + i % size->n_blocks);
        }
        zipf_fini(&zipf);
        return 0;
}

/* An index of a tenth of the data, and a scan of ten times the data: two looks into the index for each four blocks. */
static int trace_fill_index(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed, n_index = size->n_blocks / 10, scanned = 0;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, (uint32_t) n_index, 0.6, size->seed);
        if (r < 0)
                return r;
        while (!trace_is_full(trace, size)) {
                for (unsigned i = 0; i < 2; i++)
                        trace_add(trace, size, zipf_draw(&zipf, &rng));
                for (unsigned i = 0; i < 4; i++)
                        trace_add(trace, size, n_index + scanned++ % (10 * (uint64_t) size->n_blocks));
        }
        zipf_fini(&zipf);
        return 0;
}

static int trace_fill_uniform(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;

        while (!trace_is_full(trace, size))
                trace_add(trace, size, rng_next(&rng) % size->n_blocks);
        return 0;
}

/* Evenly within a quarter of the data, which moves through them four times. */
static int trace_fill_window(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;

        for (uint64_t i = 0; !trace_is_full(trace, size); i++)
                trace_add(trace, size, (i * size->n_blocks * 4 / size->n_touches + rng_next(&rng) % (size->n_blocks / 4)) % size->n_blocks);
        return 0;
}

/* The block touched so many other blocks ago: drawn so that its logarithm is normal, around a sixteenth of the data. What LRU is best at. */
static size_t trace_draw_distance(const struct trace_size *size, uint64_t *rng) {
        double normal = sqrt(-2 * log(1 - rng_fraction(rng))) * cos(TRACE_TWO_PI * rng_fraction(rng));
        double distance = size->n_blocks / 16 * exp(1.5 * normal);

        return distance < size->n_blocks ? (size_t) distance : rng_next(rng) % size->n_blocks;
}

static int trace_fill_recent(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;
        uint32_t *stack = malloc(size->n_blocks * sizeof(*stack)); /* the last one touched is last */

        if (!stack)
                return -ENOMEM;
        for (uint32_t i = 0; i < size->n_blocks; i++)
                stack[i] = i;
        while (!trace_is_full(trace, size)) {
                size_t distance = trace_draw_distance(size, &rng), at = size->n_blocks - 1 - distance;
                uint32_t block = stack[at];

                memmove(&stack[at], &stack[at + 1], distance * sizeof(*stack));
                stack[size->n_blocks - 1] = block;
                trace_add(trace, size, block);
        }
        free(stack);
        return 0;
}

/* A table by rows of 256 blocks: down each column, twice each block, then all of it by rows. */
static int trace_fill_columns(struct trace *trace, const struct trace_size *size) {
        uint32_t n_columns = 256, n_rows = size->n_blocks / n_columns;

        while (!trace_is_full(trace, size)) {
                for (uint32_t column = 0; column < n_columns; column++)
                        for (uint32_t row = 0; row < n_rows; row++)
                                for (unsigned i = 0; i < 2; i++)
                                        trace_add(trace, size, row * n_columns + column);
                for (uint32_t block = 0; block < n_rows * n_columns; block++)
                        trace_add(trace, size, block);
        }
        return 0;
}

/* Popular blocks, then a loop over six tenths, then a small window that moves; four times. */
static int trace_fill_mixed(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed, n = size->n_touches / 12 + 1;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks, TRACE_EXPONENT, size->seed);
        if (r < 0)
                return r;
        while (!trace_is_full(trace, size)) {
                for (uint64_t i = 0; i < n; i++)
                        trace_add(trace, size, zipf_draw(&zipf, &rng));
                for (uint64_t i = 0; i < n; i++)
                        trace_add(trace, size, i % ((uint64_t) size->n_blocks * 6 / 10));
                for (uint64_t i = 0; i < n; i++)
                        trace_add(trace, size, (i / 8 + rng_next(&rng) % (size->n_blocks / 8)) % size->n_blocks);
        }
        zipf_fini(&zipf);
        return 0;
}

/* Popular blocks for a tenth of the time, then a loop over other data, as large. */
static int trace_fill_then_loop(struct trace *trace, const struct trace_size *size) {
        uint64_t rng = size->seed;
        struct zipf zipf;
        int r;

        r = zipf_init(&zipf, size->n_blocks, TRACE_EXPONENT, size->seed);
        if (r < 0)
                return r;
        for (size_t i = 0; i < size->n_touches / 10; i++)
                trace_add(trace, size, zipf_draw(&zipf, &rng));
        zipf_fini(&zipf);
        for (uint64_t i = 0; !trace_is_full(trace, size); i++)
                trace_add(trace, size, size->n_blocks + i % size->n_blocks);
        return 0;
}

static int trace_fill_once(struct trace *trace, const struct trace_size *size) {
        return trace_fill_loop_of(trace, size, trace->n_blocks);
}

const struct trace_kind trace_kinds[] = {
        { "zipf", "Zipf(0.99), popular blocks scattered over the data", trace_fill_zipf, 0 },
        { "zipf-flat", "Zipf(0.7)", trace_fill_zipf_flat, 0 },
        { "zipf-scan", "Zipf(0.99) and a scan of all the data, in turns of 64", trace_fill_zipf_scan, 0 },
        { "loop", "a loop over 1.1 times the pool", trace_fill_loop, 0 },
        { "loop-all", "a loop over all the data", trace_fill_loop_all, 0 },
        { "phases", "Zipf(0.99), ten times with other popular blocks", trace_fill_phases, 0 },
        { "clients", "two clients: Zipf(0.99) over a half, a loop over all", trace_fill_clients, 2 },
        { "index", "a hot index, and a scan of ten times the data", trace_fill_index, 11 },
        { "window", "evenly within a quarter that moves", trace_fill_window, 0 },
        { "recent", "what was touched lately is touched again", trace_fill_recent, 0 },
        { "columns", "a table, down its columns, then by rows", trace_fill_columns, 0 },
        { "mixed", "phases of Zipf, a loop, a small window", trace_fill_mixed, 0 },
        { "then-loop", "Zipf(0.99), then a loop over other data", trace_fill_then_loop, 2 },
        { "uniform", "evenly over all the data", trace_fill_uniform, 0 },
        { "once", "a scan of thirty times the data, nothing comes back", trace_fill_once, 30 },
        { 0 },
};

const struct trace_kind *trace_find(const char *name) {
        for (const struct trace_kind *kind = trace_kinds; kind->name; kind++)
                if (strcmp(kind->name, name) == 0)
                        return kind;
        return NULL;
}

int trace_init(struct trace *trace, const struct trace_kind *kind, const struct trace_size *size) {
        int r;

        assert(size->n_blocks >= TRACE_BLOCKS_MIN && size->n_pool > 0);
        *trace = (struct trace){ .blocks = malloc(size->n_touches * sizeof(*trace->blocks) + 1),
                                 .n_blocks = size->n_blocks * (kind->times_larger > 0 ? kind->times_larger : 1) };
        r = trace->blocks ? kind->fill(trace, size) : -ENOMEM;
        if (r < 0)
                trace_fini(trace);
        return r;
}

void trace_fini(struct trace *trace) {
        free(trace->blocks);
        *trace = (struct trace){ 0 };
}
