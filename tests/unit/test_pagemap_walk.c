/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Walks over a map that rests while pages come and go, and a long run of random changes against a plain model. */

#include <stdlib.h>
#include <string.h>

#include "pagemap_rig.h"

/* Walks on for at most n steps, counting the pages met; false at the end. */
static bool walk(const struct pagemap_rig *rig, struct pagemap_cursor *cursor, unsigned n, unsigned *n_met) {
        while (n-- > 0) {
                uint32_t id = pagemap_walk(&rig->map, cursor);

                if (!id)
                        return false;
                n_met[id]++;
        }
        return true;
}

/* P6: nothing to meet, and asking again at the end. */
static void test_an_empty_map(void **state) {
        const struct pagemap_rig *rig = *state;
        struct pagemap_cursor cursor = { 0 };

        assert_int_equal(pagemap_walk(&rig->map, &cursor), 0);
        assert_int_equal(pagemap_walk(&rig->map, &cursor), 0);
}

/* P6: each once, wherever it lies. */
static void test_each_page_once(void **state) {
        static const uint64_t blocks[] = { 0, 1, 2, 510, 511, 512, 513, 1023, 1024, 777777, LEDGER_BLOCK_MAX };
        struct pagemap_rig *rig = *state;
        struct pagemap_cursor cursor = { 0 };
        unsigned n_met[12] = { 0 };

        for (uint32_t i = 0; i < 11; i++)
                pagemap_rig_add(rig, blocks[i], i + 1);
        assert_false(walk(rig, &cursor, 100, n_met));
        for (uint32_t id = 1; id <= 11; id++)
                assert_int_equal(n_met[id], 1);
        assert_int_equal(pagemap_walk(&rig->map, &cursor), 0);
}

/* P7: clearing a map by walking it, each page removed as it is met; tables shrink under the walk. */
static void test_clearing_while_walking(void **state) {
        struct pagemap_rig *rig = *state;
        struct pagemap_cursor cursor = { 0 };
        uint32_t n = 10000, id;

        for (uint32_t i = 0; i < n; i++)
                pagemap_rig_add(rig, i * UINT64_C(3), i + 1);
        while ((id = pagemap_walk(&rig->map, &cursor))) {
                pagemap_remove(&rig->map, (id - 1) * UINT64_C(3));
                n--;
        }
        assert_int_equal(n, 0);
        assert_int_equal(rig->map.n_used, 0);
        assert_int_equal(rig->map.capacity, LEDGER_CAPACITY_MIN);
}

/* Pages 1 to N_STAY stay; others come and go between the steps of a walk, which has to meet each of the first. */
#define N_STAY 250u
#define N_GUESTS 2000u

static void add_guests(struct pagemap_rig *rig, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                pagemap_rig_add(rig, UINT64_C(1000000) + i, N_STAY + 1 + i);
}

static void remove_guests(struct pagemap_rig *rig, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                pagemap_remove(&rig->map, UINT64_C(1000000) + i);
}

/* Blocks that all want the same few places of a small table: they make long runs, in which order depends on who came first. */
static void choose_crowded_blocks(uint64_t *ret_blocks) {
        uint64_t block = 0;

        for (unsigned i = 0; i < N_STAY; block++)
                if (ledger_home(block, LEDGER_CAPACITY_MIN) % 64 < 4)
                        ret_blocks[i++] = block;
}

/* For every number of steps before the change, each time with a map filled anew. */
static void check_walk_across(struct pagemap_rig *rig, void (*change)(struct pagemap_rig *rig), void (*restore)(struct pagemap_rig *rig)) {
        unsigned n_met[N_STAY + N_GUESTS + 1];
        uint64_t blocks[N_STAY];

        choose_crowded_blocks(blocks);
        for (unsigned before = 1; before < N_STAY; before++) {
                struct pagemap_cursor cursor = { 0 };

                for (uint32_t i = 0; i < N_STAY; i++)
                        pagemap_rig_add(rig, blocks[i], i + 1);
                memset(n_met, 0, sizeof(n_met));
                walk(rig, &cursor, before, n_met);
                change(rig);
                walk(rig, &cursor, 2 * (N_STAY + N_GUESTS), n_met);
                for (uint32_t id = 1; id <= N_STAY; id++)
                        if (!n_met[id])
                                fail_msg("page %u was not met when the change came after %u steps", id, before);
                restore(rig);
                for (uint32_t i = 0; i < N_STAY; i++)
                        pagemap_remove(&rig->map, blocks[i]);
        }
}

static void guests_come(struct pagemap_rig *rig) {
        add_guests(rig, 100);
}

static void guests_go(struct pagemap_rig *rig) {
        remove_guests(rig, 100);
}

static void test_walking_while_pages_come(void **state) {
        check_walk_across(*state, guests_come, guests_go);
}

static void test_walking_while_pages_go(void **state) {
        add_guests(*state, 100);
        check_walk_across(*state, guests_go, guests_come);
}

static void table_grows(struct pagemap_rig *rig) {
        add_guests(rig, N_GUESTS);
}

static void table_shrinks(struct pagemap_rig *rig) {
        remove_guests(rig, N_GUESTS);
}

static void test_walking_while_the_table_grows(void **state) {
        check_walk_across(*state, table_grows, table_shrinks);
}

static void test_walking_while_the_table_shrinks(void **state) {
        add_guests(*state, N_GUESTS);
        check_walk_across(*state, table_shrinks, table_grows);
}

/* The table is as large as before, but it is not the same table. */
static void table_grows_and_shrinks(struct pagemap_rig *rig) {
        uint64_t capacity = rig->map.capacity;

        add_guests(rig, N_GUESTS);
        assert_true(rig->map.capacity > capacity);
        remove_guests(rig, N_GUESTS);
        assert_int_equal(rig->map.capacity, capacity);
}

static void nothing(struct pagemap_rig *rig) {
        (void) rig;
}

static void test_walking_while_the_table_grows_and_shrinks(void **state) {
        check_walk_across(*state, table_grows_and_shrinks, nothing);
}

/* --- random changes against a model ----------------------------------------------------------------------------------------------------------- */

#define N_BLOCKS 4096u
#define N_STEPS 400000u

struct model {
        uint32_t ids[N_BLOCKS]; /* 0: absent */
        enum page_state states[N_BLOCKS];
        uint64_t blocks[N_BLOCKS];
        unsigned n_used;
};

static uint64_t random_next(uint64_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* Half of the blocks collide in small tables, so that runs are long and wrap around. */
static void choose_blocks(struct model *model, uint64_t *seed) {
        uint64_t next = 0;

        for (unsigned i = 0; i < N_BLOCKS; i++) {
                if (i % 2)
                        while (ledger_home(next, LEDGER_CAPACITY_MIN) > 3)
                                next++;
                model->blocks[i] = next;
                next += 1 + random_next(seed) % 3;
        }
}

static void step(struct pagemap_rig *rig, struct model *model, unsigned i, uint64_t random, bool growing) {
        enum page_state s = (enum page_state) (1 + random % (N_PAGE_STATES - 1));

        if (!model->ids[i] && (growing || random % 8 == 0)) {
                assert_int_equal(pagemap_add(&rig->map, model->blocks[i], i + 1, s), 0);
                model->ids[i] = i + 1;
                model->n_used++;
        } else if (model->ids[i] && (!growing || random % 8 == 0)) {
                pagemap_remove(&rig->map, model->blocks[i]);
                model->ids[i] = 0;
                model->n_used--;
        } else if (model->ids[i])
                pagemap_set(&rig->map, model->blocks[i], s, 0);
        model->states[i] = model->ids[i] ? s : PAGE_EMPTY;
        pagemap_rig_assert(rig, model->blocks[i], model->ids[i], model->states[i], 0);
}

static void compare(const struct pagemap_rig *rig, const struct model *model) {
        struct pagemap_cursor cursor = { 0 };
        unsigned n = 0;

        for (unsigned i = 0; i < N_BLOCKS; i++)
                pagemap_rig_assert(rig, model->blocks[i], model->ids[i], model->states[i], 0);
        while (pagemap_walk(&rig->map, &cursor))
                n++;
        assert_int_equal(n, model->n_used);
        assert_int_equal(rig->map.n_used, model->n_used);
}

static void test_random_changes_against_a_model(void **state) {
        const char *wanted = getenv("BF_TEST_SEED");
        uint64_t seed = wanted ? strtoull(wanted, NULL, 0) : UINT64_C(0x5eed);
        struct model *model = calloc(1, sizeof(*model));

        print_message("BF_TEST_SEED=%#llx\n", (unsigned long long) seed);
        choose_blocks(model, &seed);
        for (unsigned i = 0; i < N_STEPS; i++) {
                uint64_t random = random_next(&seed);
                bool growing = i / (N_STEPS / 16) % 2 == 0; /* fills and empties it eight times */

                step(*state, model, (unsigned) (random >> 32) % N_BLOCKS, random, growing);
                if (i % 10000 == 0)
                        compare(*state, model);
        }
        compare(*state, model);
        free(model);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                PAGEMAP_TEST(test_an_empty_map),
                PAGEMAP_TEST(test_each_page_once),
                PAGEMAP_TEST(test_clearing_while_walking),
                PAGEMAP_TEST(test_walking_while_pages_come),
                PAGEMAP_TEST(test_walking_while_pages_go),
                PAGEMAP_TEST(test_walking_while_the_table_grows),
                PAGEMAP_TEST(test_walking_while_the_table_shrinks),
                PAGEMAP_TEST(test_walking_while_the_table_grows_and_shrinks),
                PAGEMAP_TEST(test_random_changes_against_a_model),
        };

        return cmocka_run_group_tests_name("pagemap: walks", tests, NULL, NULL);
}
