/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "inject.h"
#include "pagemap.h"

/* A table is between a quarter (then halved) and nine tenths full (then doubled), but for small ones. */
static bool pagemap_is_full(uint64_t n_used, uint64_t capacity) {
        return n_used * 10 > capacity * 9;
}

static bool pagemap_is_sparse(uint64_t n_used, uint64_t capacity) {
        return capacity > LEDGER_CAPACITY_MIN && n_used * 4 < capacity;
}

/* The place of a block, or the free place where the search for it ends. */
static uint64_t pagemap_find(const struct pagemap *map, uint64_t block) {
        uint64_t i = ledger_home(block, map->capacity);

        while (map->words[i] != 0 && !ledger_word_is(map->words[i], block))
                i = (i + 1) & (map->capacity - 1);
        return i;
}

/* Readers are other processes: a word is stored whole, and what was stored before it is seen before it. */
static void pagemap_publish(uint64_t *field, uint64_t value) {
        __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* While seq is odd, readers wait: entries are being moved. */
static void pagemap_move_begin(struct pagemap *map) {
        __atomic_store_n(&map->memory->header->seq, map->memory->header->seq + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void pagemap_move_end(struct pagemap *map) {
        pagemap_publish(&map->memory->header->n_used, map->n_used);
        pagemap_publish(&map->memory->header->seq, map->memory->header->seq + 1);
}

static int pagemap_table_new(struct pagemap *map, uint64_t capacity, uint64_t **ret_words, uint32_t **ret_ids) {
        uint32_t *ids = calloc(capacity, sizeof(*ids));
        int r;

        if (!ids)
                return -ENOMEM;
        r = map->memory->table_get(map->memory, capacity, ret_words);
        if (r < 0) {
                free(ids);
                return r;
        }
        *ret_ids = ids;
        return 0;
}

int pagemap_init(struct pagemap *map, struct pagemap_memory *memory) {
        int r;

        *map = (struct pagemap) { .memory = memory, .capacity = LEDGER_CAPACITY_MIN, .table = 1 };
        r = pagemap_table_new(map, map->capacity, &map->words, &map->ids);
        if (r < 0)
                return r;
        pagemap_publish(&memory->header->capacity, map->capacity);
        return 0;
}

int pagemap_init_beside(struct pagemap *map, struct pagemap_memory *memory, uint64_t n) {
        uint64_t capacity = LEDGER_CAPACITY_MIN;

        while (pagemap_is_full(n, capacity) || capacity == memory->header->capacity)
                capacity *= 2;
        *map = (struct pagemap) { .memory = memory, .capacity = capacity, .table = 1, .is_beside = true };
        return pagemap_table_new(map, capacity, &map->words, &map->ids);
}

void pagemap_take_over(struct pagemap *map) {
        map->is_beside = false;
        pagemap_move_begin(map);
        pagemap_publish(&map->memory->header->capacity, map->capacity);
        INJECT(PAGEMAP_TAKING_OVER);
        pagemap_move_end(map);
}

void pagemap_fini(struct pagemap *map) {
        if (!map->words)
                return;
        map->memory->table_put(map->memory, map->capacity, map->words);
        free(map->ids);
        *map = (struct pagemap) { 0 };
}

/* Moves everything to a table of another size. The new one is complete before the header names it. */
static int pagemap_resize(struct pagemap *map, uint64_t capacity) {
        struct pagemap old = *map;
        int r;

        if (map->is_beside && capacity == map->memory->header->capacity)
                capacity *= 2; /* that place is taken */
        r = pagemap_table_new(map, capacity, &map->words, &map->ids);
        if (r < 0)
                return r;
        map->capacity = capacity;
        map->table++;
        for (uint64_t i = 0; i < old.capacity; i++)
                if (old.words[i] != 0) {
                        uint64_t j = pagemap_find(map, ledger_word_block(old.words[i]));

                        map->words[j] = old.words[i];
                        map->ids[j] = old.ids[i];
                        INJECT(PAGEMAP_FILLING);
                }
        INJECT(PAGEMAP_FILLED);
        if (!map->is_beside)
                pagemap_take_over(map);
        INJECT(PAGEMAP_TAKEN_OVER);
        pagemap_fini(&old);
        return 0;
}

uint32_t pagemap_get(const struct pagemap *map, uint64_t block) {
        return map->ids[pagemap_find(map, block)];
}

int pagemap_add(struct pagemap *map, uint64_t block, uint32_t id, enum page_state state) {
        uint64_t i;
        int r;

        assert(id != 0 && state != PAGE_EMPTY);
        if (pagemap_is_full(map->n_used + 1, map->capacity)) {
                r = pagemap_resize(map, map->capacity * 2);
                if (r < 0)
                        return r;
        }
        i = pagemap_find(map, block);
        assert(map->words[i] == 0);
        map->ids[i] = id;
        map->n_used++;
        pagemap_publish(&map->words[i], ledger_word(block, state, 0));
        INJECT(PAGEMAP_COUNTING);
        pagemap_publish(&map->memory->header->n_used, map->n_used);
        return 0;
}

void pagemap_set(struct pagemap *map, uint64_t block, enum page_state state, int error) {
        uint64_t i = pagemap_find(map, block);

        assert(map->words[i] != 0 && state != PAGE_EMPTY);
        pagemap_publish(&map->words[i], ledger_word(block, state, error));
}

/* Closes the gap at i: what lies behind it in the same run of used places moves up, unless that would put it before its home. */
static void pagemap_close_gap(struct pagemap *map, uint64_t i) {
        uint64_t mask = map->capacity - 1;

        for (uint64_t j = (i + 1) & mask; map->words[j] != 0; j = (j + 1) & mask) {
                uint64_t home = ledger_home(ledger_word_block(map->words[j]), map->capacity);

                if (((j - home) & mask) < ((j - i) & mask))
                        continue;
                pagemap_publish(&map->words[i], map->words[j]);
                INJECT(PAGEMAP_MOVED);
                map->ids[i] = map->ids[j];
                i = j;
        }
        pagemap_publish(&map->words[i], 0);
        map->ids[i] = 0;
}

void pagemap_remove(struct pagemap *map, uint64_t block) {
        uint64_t i = pagemap_find(map, block);

        assert(map->words[i] != 0);
        map->n_used--;
        pagemap_move_begin(map);
        pagemap_close_gap(map, i);
        INJECT(PAGEMAP_CLOSED);
        pagemap_move_end(map);
        if (!map->is_beside && pagemap_is_sparse(map->n_used, map->capacity))
                (void) pagemap_resize(map, map->capacity / 2); /* without memory for a smaller one, this one goes on */
}

/*
 * The walk goes backwards, from just before a free place around to just behind it. Closing a gap moves entries backwards only, and none across that
 * place: one that has not been met yet cannot slip to where the walk has been. Another table is walked from its beginning.
 */
uint32_t pagemap_walk(const struct pagemap *map, struct pagemap_cursor *cursor) {
        if (cursor->table != map->table) {
                uint64_t start = 0;

                while (map->words[start] != 0)
                        start++;
                *cursor = (struct pagemap_cursor) { .table = map->table, .start = start, .n_left = map->capacity - 1 };
        }
        while (cursor->n_left > 0) {
                uint64_t i = (cursor->start + cursor->n_left--) & (map->capacity - 1);

                if (map->words[i] != 0)
                        return map->ids[i];
        }
        return 0;
}
