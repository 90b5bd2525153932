/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The public API is fixed: programs outside this tree compile against it, and run with a library that is newer than they are. Each function's type,
 * each number and the place of each field, from a list of its own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bfclient.h"

#define ASSERT_TYPE(function, ...) _Static_assert(__builtin_types_compatible_p(__typeof__(function), __VA_ARGS__), #function)

ASSERT_TYPE(bf_connect, int(struct bf_client **, const char *));
ASSERT_TYPE(bf_disconnect, void(struct bf_client *));
ASSERT_TYPE(bf_errmsg, const char *(void) );
ASSERT_TYPE(bf_open, int(struct bf_client *, const char *, int, const struct bf_open_opts *, struct bf_fileh **));
ASSERT_TYPE(bf_open_fd, int(struct bf_client *, int, const struct bf_open_opts *, struct bf_fileh **));
ASSERT_TYPE(bf_close, int(struct bf_fileh *));
ASSERT_TYPE(bf_resize, int(struct bf_fileh *, uint64_t));
ASSERT_TYPE(bf_mmap, int(struct bf_fileh *, uint64_t, size_t, int, void **));
ASSERT_TYPE(bf_munmap, int(void *));
ASSERT_TYPE(bf_writeout, int(struct bf_fileh *, unsigned));
ASSERT_TYPE(bf_discard, int(struct bf_fileh *));
ASSERT_TYPE(bf_invalidate, int(struct bf_fileh *, uint64_t, uint64_t));
ASSERT_TYPE(bf_load, int(struct bf_fileh *, uint64_t, uint64_t));
ASSERT_TYPE(bf_advise, int(struct bf_fileh *, uint64_t, uint64_t, enum bf_advice));
ASSERT_TYPE(bf_page_state, int(struct bf_fileh *, uint64_t));
ASSERT_TYPE(bf_stat, int(struct bf_fileh *, struct bf_stat *));
ASSERT_TYPE(bf_fault_error, int(const void *, int *));
ASSERT_TYPE(bf_open_ops, int(struct bf_client *, const struct bf_file_ops *, void *, uint64_t, const struct bf_open_opts *, struct bf_fileh **));
ASSERT_TYPE(bf_pool_stat, int(struct bf_client *, struct bf_pool_stat *));
ASSERT_TYPE(bf_pool_reclaim, int(struct bf_client *, uint64_t, uint64_t *));

#define OPS ((struct bf_file_ops *) NULL)
ASSERT_TYPE(OPS->load, int (*)(void *, uint64_t, void *));
ASSERT_TYPE(OPS->store, int (*)(void *, uint64_t, const void *));
ASSERT_TYPE(OPS->release, void (*)(void *));

static void test_numbers(void **state) {
        (void) state;
        assert_int_equal(BF_SHARED, 1);
        assert_int_equal(BF_HUGE, 2);
        assert_int_equal(BF_WRITEOUT_STORE, 1);
        assert_int_equal(BF_WRITEOUT_MARKSTORED, 2);
        assert_int_equal(BF_WRITEOUT_SYNC, 4);

        assert_int_equal(BF_ADVICE_NORMAL, 0);
        assert_int_equal(BF_ADVICE_SEQUENTIAL, 1);
        assert_int_equal(BF_ADVICE_RANDOM, 2);
        assert_int_equal(BF_ADVICE_WILLNEED, 3);
        assert_int_equal(BF_ADVICE_DONTNEED, 4);

        assert_int_equal(BF_PAGE_EMPTY, 0);
        assert_int_equal(BF_PAGE_LOADING, 1);
        assert_int_equal(BF_PAGE_LOADED, 2);
        assert_int_equal(BF_PAGE_DIRTY, 3);
        assert_int_equal(BF_PAGE_STORING, 4);
        assert_int_equal(BF_PAGE_SPILLED, 5);
}

#define assert_field(type, field, place, field_type) \
        do { \
                assert_int_equal(offsetof(struct type, field), place); \
                assert_int_equal(sizeof(((struct type *) NULL)->field), sizeof(field_type)); \
        } while (0)

static void test_structs(void **state) {
        (void) state;
        assert_field(bf_open_opts, size, 0, uint32_t);
        assert_field(bf_open_opts, flags, 4, uint32_t);
        assert_field(bf_open_opts, block_size, 8, uint64_t);
        assert_field(bf_open_opts, name, 16, const char *);
        assert_int_equal(sizeof(struct bf_open_opts), 24);

        assert_field(bf_stat, size, 0, uint64_t);
        assert_field(bf_stat, block_size, 8, uint64_t);
        assert_field(bf_stat, resident_bytes, 16, uint64_t);
        assert_field(bf_stat, dirty_bytes, 24, uint64_t);
        assert_field(bf_stat, loads, 32, uint64_t);
        assert_field(bf_stat, stores, 40, uint64_t);
        assert_field(bf_stat, evictions, 48, uint64_t);
        assert_field(bf_stat, faults, 56, uint64_t);
        assert_int_equal(sizeof(struct bf_stat), 64);

        assert_field(bf_file_ops, load, 0, void *);
        assert_field(bf_file_ops, store, sizeof(void *), void *);
        assert_field(bf_file_ops, release, 2 * sizeof(void *), void *);
        assert_int_equal(sizeof(struct bf_file_ops), 3 * sizeof(void *));

        assert_field(bf_pool_stat, pool_bytes, 0, uint64_t);
        assert_field(bf_pool_stat, resident_bytes, 8, uint64_t);
        assert_field(bf_pool_stat, dirty_bytes, 16, uint64_t);
        assert_field(bf_pool_stat, peers, 24, uint64_t);
        assert_field(bf_pool_stat, filehs, 32, uint64_t);
        assert_field(bf_pool_stat, mappings, 40, uint64_t);
        assert_field(bf_pool_stat, faults, 48, uint64_t);
        assert_field(bf_pool_stat, loads, 56, uint64_t);
        assert_field(bf_pool_stat, stores, 64, uint64_t);
        assert_field(bf_pool_stat, evictions, 72, uint64_t);
        assert_int_equal(sizeof(struct bf_pool_stat), 80);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_structs),
        };

        return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
