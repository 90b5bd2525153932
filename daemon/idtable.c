/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "idtable.h"

struct idtable_slot {
        void *pointer;      /* NULL: free */
        uint32_t free_next; /* table->free_first -> slot */
};

void idtable_init(struct idtable *table) {
        *table = (struct idtable) { 0 };
}

void idtable_fini(struct idtable *table) {
        assert(table->n_used == 0);
        free(table->slots);
        *table = (struct idtable) { 0 };
}

static void idtable_push_free(struct idtable *table, uint32_t id) {
        table->slots[id] = (struct idtable_slot) { 0 };
        if (table->free_last)
                table->slots[table->free_last].free_next = id;
        else
                table->free_first = id;
        table->free_last = id;
}

static int idtable_grow(struct idtable *table) {
        uint32_t n = table->n_slots ? table->n_slots * 2 : 16;
        struct idtable_slot *slots;

        if (n <= table->n_slots)
                return -1;
        slots = reallocarray(table->slots, n, sizeof(*slots));
        if (!slots)
                return -1;
        table->slots = slots;
        for (uint32_t id = table->n_slots ? table->n_slots : 1; id < n; id++)
                idtable_push_free(table, id);
        table->n_slots = n;
        return 0;
}

uint32_t idtable_add(struct idtable *table, void *pointer) {
        uint32_t id;

        assert(pointer);
        if (!table->free_first && idtable_grow(table) < 0)
                return 0;
        id = table->free_first;
        table->free_first = table->slots[id].free_next;
        if (!table->free_first)
                table->free_last = 0;
        table->slots[id].pointer = pointer;
        table->n_used++;
        return id;
}

void idtable_remove(struct idtable *table, uint32_t id) {
        assert(idtable_get(table, id));
        idtable_push_free(table, id);
        table->n_used--;
}

void *idtable_get(const struct idtable *table, uint32_t id) {
        return id > 0 && id < table->n_slots ? table->slots[id].pointer : NULL;
}

uint32_t idtable_next(const struct idtable *table, uint32_t id) {
        for (id++; id < table->n_slots; id++)
                if (table->slots[id].pointer)
                        return id;
        return 0;
}
