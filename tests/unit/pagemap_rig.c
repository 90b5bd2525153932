/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pagemap_rig.h"

static int pagemap_rig_table_get(struct pagemap_memory *memory, uint64_t capacity, uint64_t **ret_words) {
        struct pagemap_rig *rig = (struct pagemap_rig *) memory;
        uint64_t *words;

        if (rig->refuse)
                return -ENOMEM;
        assert_true(rig->n_tables < 2);
        words = calloc(capacity, sizeof(*words));
        assert_non_null(words);
        rig->tables[rig->n_tables++] = words;
        rig->n_gets++;
        *ret_words = words;
        return 0;
}

static void pagemap_rig_table_put(struct pagemap_memory *memory, uint64_t capacity, uint64_t *words) {
        struct pagemap_rig *rig = (struct pagemap_rig *) memory;
        unsigned i = rig->n_tables == 2 && rig->tables[1] == words;

        assert_true(rig->n_tables > 0);
        assert_ptr_equal(rig->tables[i], words);
        rig->tables[i] = rig->tables[--rig->n_tables];
        memset(words, 0xff, capacity * sizeof(*words)); /* whoever still looks there shall notice */
        free(words);
}

int pagemap_rig_setup(void **state) {
        struct pagemap_rig *rig = calloc(1, sizeof(*rig));

        if (!rig)
                return -1;
        rig->memory = (struct pagemap_memory) { .header = &rig->header, .table_get = pagemap_rig_table_get, .table_put = pagemap_rig_table_put };
        *state = rig;
        return pagemap_init(&rig->map, &rig->memory);
}

int pagemap_rig_teardown(void **state) {
        struct pagemap_rig *rig = *state;
        bool ok;

        pagemap_fini(&rig->map);
        ok = rig->n_tables == 0;
        free(rig);
        return ok ? 0 : -1;
}

/* As a client reads it: the word of a block, or 0. */
static uint64_t pagemap_rig_look(const struct pagemap_rig *rig, uint64_t block) {
        const uint64_t *words = rig->tables[rig->n_tables - 1];
        uint64_t mask = rig->header.capacity - 1;

        for (uint64_t i = ledger_home(block, rig->header.capacity); words[i]; i = (i + 1) & mask)
                if (ledger_word_is(words[i], block))
                        return words[i];
        return 0;
}

void pagemap_rig_assert(const struct pagemap_rig *rig, uint64_t block, uint32_t id, enum page_state state, int error) {
        uint64_t word = pagemap_rig_look(rig, block);

        assert_int_equal(pagemap_get(&rig->map, block), id);
        assert_int_equal(ledger_word_state(word), state);
        assert_int_equal(ledger_word_error(word), error);
        assert_int_equal(rig->header.seq % 2, 0);
        assert_int_equal(rig->header.n_used, rig->map.n_used);
        assert_int_equal(rig->header.capacity, rig->map.capacity);
}

void pagemap_rig_add(struct pagemap_rig *rig, uint64_t block, uint32_t id) {
        assert_int_equal(pagemap_add(&rig->map, block, id, PAGE_LOADED), 0);
}
