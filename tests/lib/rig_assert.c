/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The assertions of rig.h: page states, access and blocks as short strings and lists, so that a test reads as a table. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define SHOWN_MAX 128

static char state_letter(int state) {
        static const char letters[] = {
                [BF_PAGE_EMPTY] = 'E',   [BF_PAGE_LOADING] = 'G', [BF_PAGE_LOADED] = 'L',
                [BF_PAGE_DIRTY] = 'D',   [BF_PAGE_STORING] = 'S', [BF_PAGE_SPILLED] = 'P',
        };

        return state >= 0 && (size_t) state < sizeof(letters) ? letters[state] : '?';
}

void rig_assert_states(struct bf_fileh *fileh, uint64_t page, const char *expected, const char *file, int line) {
        char actual[SHOWN_MAX] = "";

        for (size_t i = 0; i < strlen(expected) && i < sizeof(actual) - 1; i++)
                actual[i] = state_letter(bf_page_state(fileh, (page + i) * RIG_PAGE));
        _assert_string_equal(actual, expected, file, line);
}

void rig_assert_access(const volatile void *map, const char *expected, const char *file, int line) {
        char actual[SHOWN_MAX] = "";

        for (size_t i = 0; i < strlen(expected) && i < sizeof(actual) - 1; i++) {
                const void *at = (const char *) (uintptr_t) map + i * RIG_PAGE;

                actual[i] = probe_is_writable(at) ? 'W' : probe_is_readable(at) ? 'R' : '-';
        }
        _assert_string_equal(actual, expected, file, line);
}

static int compare_blocks(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

/* As text, in order. */
static void list_blocks(char *ret_text, size_t size, uint64_t *blocks, size_t n) {
        size_t used = 0;

        qsort(blocks, n, sizeof(*blocks), compare_blocks);
        ret_text[0] = '\0';
        for (size_t i = 0; i < n && used < size; i++)
                used += (size_t) snprintf(ret_text + used, size - used, "%llu ", (unsigned long long) blocks[i]);
}

void rig_assert_blocks(struct heldfs *heldfs, enum heldfs_op op, const uint64_t *expected, const char *file, int line) {
        char actual_text[SHOWN_MAX * 8], expected_text[SHOWN_MAX * 8];
        uint64_t actual[SHOWN_MAX], sorted[SHOWN_MAX];
        size_t n = 0, n_actual;

        for (; expected[n] != HELDFS_ANY && n < SHOWN_MAX; n++)
                sorted[n] = expected[n];
        n_actual = heldfs_blocks(heldfs, op, actual, SHOWN_MAX);
        list_blocks(actual_text, sizeof(actual_text), actual, n_actual < SHOWN_MAX ? n_actual : SHOWN_MAX);
        list_blocks(expected_text, sizeof(expected_text), sorted, n);
        _assert_string_equal(actual_text, expected_text, file, line);
        heldfs_forget(heldfs);
}
