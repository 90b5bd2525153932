/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Touching memory: rules 3, 5, 6, 7; cases V2.1-V2.6, V2.11, V3, V4 and the classic sequences over two overlapping mappings. */

#include <errno.h>
#include <string.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

static struct bf_fileh *open_identity(struct rig *rig) {
        rig_daemon(rig, "--pool", "64M", NULL);
        return rig_open(rig_client(rig), rig_identity(rig, "data", 200), O_RDWR, 0);
}

static uint64_t faults(struct bf_fileh *fileh) {
        return rig_stat(fileh).faults;
}

/* rules 1, 3; V2.1, V2.2 */
static void test_mmap_loads_nothing(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4);
        struct bf_stat stat = rig_stat(fileh);

        assert_states(fileh, 99, "EEEEEE");
        assert_access(map, "----");
        assert_int_equal(stat.size, 200 * RIG_PAGE);
        assert_int_equal(stat.block_size, RIG_PAGE);
        assert_int_equal(stat.resident_bytes, 0);
        assert_int_equal(stat.dirty_bytes, 0);
        assert_int_equal(stat.loads, 0);
        assert_int_equal(stat.faults, 0);
}

/* rule 5; V2.3, V3 */
static void test_read_of_an_empty_page(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4);

        assert_int_equal(*rig_word(map, 0, 0), 100);
        assert_int_equal(*rig_word(map, 0, 1), 100);
        assert_int_equal(*rig_word(map, 0, 511), 100);
        assert_states(fileh, 99, "ELEEEE");
        assert_access(map, "R---");
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).dirty_bytes, 0);
        assert_int_equal(rig_stat(fileh).resident_bytes, RIG_PAGE);
        assert_int_equal(faults(fileh), 1);
}

/* rule 6; V2.4, V3: one fault brings it in and makes it writable */
static void test_write_to_an_empty_page(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4);

        *rig_word(map, 2, 7) = 4711;
        assert_int_equal(faults(fileh), 1);
        assert_states(fileh, 100, "EEDE");
        assert_access(map, "--W-");
        for (size_t i = 0; i < 512; i++)
                assert_int_equal(*rig_word(map, 2, i), i == 7 ? 4711 : 102);
        *rig_word(map, 2, 8) = 4712;
        assert_int_equal(faults(fileh), 1);
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).dirty_bytes, RIG_PAGE);
}

/* rule 7; V2.5, V2.6, V3 */
static void test_write_to_a_loaded_page(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4);

        assert_int_equal(*rig_word(map, 0, 0), 100);
        assert_int_equal(*rig_word(map, 3, 0), 103);
        assert_access(map, "R--R");
        *rig_word(map, 0, 511) = 1;
        assert_states(fileh, 100, "DEEL");
        assert_access(map, "W--R");
        assert_int_equal(*rig_word(map, 0, 0), 100);
        assert_int_equal(*rig_word(map, 0, 511), 1);
        assert_int_equal(faults(fileh), 3);
        assert_int_equal(rig_stat(fileh).loads, 2);
        assert_int_equal(rig_file_word(rig->paths[0], 100), 100);
}

/* rule 7; V2.11: read first or write first, another mapping gets a dirty page writable at once */
static void test_dirty_page_in_another_mapping(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *one = rig_map(fileh, 100, 4), *two = rig_map(fileh, 101, 5), before;

        *rig_word(one, 2, 0) = 5;
        before = faults(fileh);
        assert_access(two, "-----");
        assert_int_equal(*rig_word(two, 1, 0), 5);
        assert_access(two, "-W---");
        *rig_word(two, 1, 0) = 6;
        assert_int_equal(faults(fileh), before + 1);
        assert_int_equal(*rig_word(one, 2, 0), 6);
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).dirty_bytes, RIG_PAGE);
}

enum step {
        READ_ONE,
        WRITE_ONE,
        READ_TWO,
        WRITE_TWO,
        N_STEPS,
};

/* What the page is to be like after each step; access as assert_access() says it. */
struct expectation {
        char state;
        char access[2];
        uint64_t value;
        uint64_t faults, loads;
};

static void expect_step(struct expectation *e, enum step step, uint64_t new_value) {
        char *access = &e->access[step / 2];
        bool write = step % 2;

        if (write ? *access != 'W' : *access == '-')
                e->faults++;
        if (e->state == 'E')
                e->loads++;
        if (write)
                e->value = new_value;
        if (write || (*access == '-' && e->state == 'D'))
                *access = 'W';
        else if (*access == '-')
                *access = 'R';
        e->state = write || e->state == 'D' ? 'D' : 'L';
}

static void check_page(struct bf_fileh *fileh, const struct expectation *e, uint64_t *one, uint64_t *two) {
        struct bf_stat stat = rig_stat(fileh);

        assert_states(fileh, 102, ((char[]) { e->state, '\0' }));
        assert_access(rig_word(one, 2, 0), ((char[]) { e->access[0], '\0' }));
        assert_access(rig_word(two, 1, 0), ((char[]) { e->access[1], '\0' }));
        assert_int_equal(stat.faults, e->faults);
        assert_int_equal(stat.loads, e->loads);
        assert_int_equal(stat.dirty_bytes, e->state == 'D' ? RIG_PAGE : 0);
}

/* the classic sequences: pages 100-103 and 101-105; each order of four reads and writes through either, on a page of both */
static void test_overlapping_mappings_in_every_order(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *one = rig_map(fileh, 100, 4), *two = rig_map(fileh, 101, 5);
        struct expectation e;

        for (unsigned sequence = 0; sequence < N_STEPS * N_STEPS * N_STEPS * N_STEPS; sequence++) {
                assert_int_equal(bf_invalidate(fileh, 102 * RIG_PAGE, RIG_PAGE), 0);
                e = (struct expectation) { .state = 'E', .access = { '-', '-' }, .value = 102, .faults = faults(fileh), .loads = sequence };
                check_page(fileh, &e, one, two);
                for (unsigned i = 0, rest = sequence; i < 4; i++, rest /= N_STEPS) {
                        enum step step = rest % N_STEPS;
                        volatile uint64_t *at = step < READ_TWO ? rig_word(one, 2, 3) : rig_word(two, 1, 3);

                        if (step % 2)
                                *at = sequence * 10 + i;
                        else
                                assert_int_equal(*at, e.value);
                        expect_step(&e, step, sequence * 10 + i);
                        check_page(fileh, &e, one, two);
                }
                assert_int_equal(*rig_word(two, 1, 4), 102); /* the rest of the page is as it was */
        }
        assert_states(fileh, 99, "EEE"); /* the neighbours were not asked for */
        assert_states(fileh, 103, "EEE");
}

/* V4 */
static void test_errno_is_left_alone(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4), sum = 0;

        errno = 98765;
        sum += *rig_word(map, 0, 0);
        *rig_word(map, 0, 0) = 1;
        *rig_word(map, 1, 0) = 1;
        assert_int_equal(errno, 98765);
        assert_int_equal(sum, 100);
        assert_int_equal(rig_stat(fileh).loads, 2);
}

static void test_no_fault_without_need(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        uint64_t *map = rig_map(fileh, 100, 4);

        *rig_word(map, 0, 0) = 1;
        assert_int_equal(*rig_word(map, 1, 0), 101);
        for (size_t i = 0; i < 5000; i++) {
                *rig_word(map, 0, i % 512) = i;
                assert_int_equal(*rig_word(map, 1, i % 512), 101);
        }
        assert_int_equal(faults(fileh), 2);
}

/* one instruction, two pages that are not there */
static void test_access_across_two_pages(void **state) {
        struct rig *rig = rig_here(state);
        struct bf_fileh *fileh = open_identity(rig);
        char *map = (char *) rig_map(fileh, 100, 4);
        uint64_t value = UINT64_C(0x1122334455667788);

        memcpy(map + RIG_PAGE - 3, &value, sizeof(value));
        assert_states(fileh, 100, "DDEE");
        memcpy(&value, map + 3 * RIG_PAGE - 4, sizeof(value));
        assert_int_equal(value, UINT64_C(103) << 32);
        assert_states(fileh, 100, "DDLL");
        memcpy(&value, map + RIG_PAGE - 3, sizeof(value));
        assert_int_equal(value, UINT64_C(0x1122334455667788));
}

struct blocks {
        uint64_t size;
        uint64_t n;
};

/* any block size: one touch brings in the block, all of it, and nothing else */
static void check_block_size(struct rig *rig, struct bf_client *client, const struct blocks *blocks) {
        struct bf_open_opts opts = { .size = sizeof(opts), .block_size = blocks->size };
        const char *path = rig_path(rig, "blocks");
        size_t n_words = blocks->size / sizeof(uint64_t);
        struct bf_fileh *fileh;
        uint64_t *map, word;

        assert_int_equal(tempfile_make_identity(path, blocks->n, blocks->size), 0);
        assert_int_equal(bf_open(client, path, O_RDWR, &opts, &fileh), 0);
        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        assert_int_equal(bf_mmap(fileh, blocks->size, (blocks->n - 1) * blocks->size, PROT_READ | PROT_WRITE, (void **) &map), 0);
        for (size_t i = 0; i < n_words; i++)
                assert_int_equal(map[n_words + (i + n_words / 2) % n_words], 2);
        map[2 * n_words - 1] = 99;
        assert_int_equal(rig_stat(fileh).loads, 1);
        assert_int_equal(rig_stat(fileh).resident_bytes, blocks->size);
        assert_int_equal(rig_stat(fileh).block_size, blocks->size);
        assert_int_equal(bf_page_state(fileh, 2 * blocks->size - 1), BF_PAGE_EMPTY);
        assert_int_equal(bf_page_state(fileh, 2 * blocks->size), BF_PAGE_DIRTY);
        assert_int_equal(bf_page_state(fileh, 3 * blocks->size - 1), BF_PAGE_DIRTY);
        assert_int_equal(bf_page_state(fileh, 3 * blocks->size), BF_PAGE_EMPTY);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(bf_page_state(fileh, 2 * blocks->size), BF_PAGE_LOADED);
        assert_int_equal(rig_stat(fileh).stores, 1);
        assert_int_equal(tempfile_read(path, 3 * blocks->size - sizeof(word), &word, sizeof(word)), 0);
        assert_int_equal(word, 99);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
}

static void test_block_sizes(void **state) {
        static const struct blocks table[] = { { 4096, 9 }, { 8192, 9 }, { 65536, 9 }, { 512 << 10, 5 }, { 2 << 20, 5 } };
        struct rig *rig = rig_here(state);
        struct bf_client *client;

        rig_daemon(rig, "--pool", "64M", NULL);
        client = rig_client(rig);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                check_block_size(rig, client, &table[i]);
        assert_int_equal(rig_pool_stat(client).resident_bytes, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_mmap_loads_nothing),
                RIG_TEST(test_read_of_an_empty_page),
                RIG_TEST(test_write_to_an_empty_page),
                RIG_TEST(test_write_to_a_loaded_page),
                RIG_TEST(test_dirty_page_in_another_mapping),
                RIG_TEST(test_overlapping_mappings_in_every_order),
                RIG_TEST(test_errno_is_left_alone),
                RIG_TEST(test_no_fault_without_need),
                RIG_TEST(test_access_across_two_pages),
                RIG_TEST(test_block_sizes),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
