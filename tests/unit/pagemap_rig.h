/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_PAGEMAP_RIG_H
#define BF_TEST_PAGEMAP_RIG_H

/*
 * A map for a test, whose tables come from malloc and are watched: each is zeroed when handed out, at most two are in use, all are given back. Each
 * change can be looked at from both sides: the map's, and the ledger's as a client reads it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pagemap.h"

struct pagemap_rig {
        struct pagemap_memory memory; /* first: its functions get a pointer to it */
        struct ledger_header header;
        struct pagemap map;
        uint64_t *tables[2]; /* in use */
        unsigned n_tables;
        unsigned n_gets;
        bool refuse; /* table_get() fails */
};

/* One test in a program's list. */
#define PAGEMAP_TEST(function) cmocka_unit_test_setup_teardown(function, pagemap_rig_setup, pagemap_rig_teardown)
int pagemap_rig_setup(void **state);
int pagemap_rig_teardown(void **state);

/* The block has that page (0: none), and the ledger that state and errno. */
void pagemap_rig_assert(const struct pagemap_rig *rig, uint64_t block, uint32_t id, enum page_state state, int error);

/* Adds it, as loaded. */
void pagemap_rig_add(struct pagemap_rig *rig, uint64_t block, uint32_t id);

#endif
