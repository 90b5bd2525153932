/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A pager's second hand: what it copies where, what it tells when, and what becomes of what is wanted back. The mapping is the test's, and can be held up. */

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fill.h"
#include "mapping.h"
#include "memory.h"

#define PAGE 4096u
#define N_BLOCKS 64u

static struct {
        sem_t entered;
        sem_t go_on;
        bool is_held;
        int result;
        unsigned n_calls;
        uint64_t filled; /* bits of blocks */
} map;

int mapping_fill(struct mapping *mapping, uint64_t block, uint64_t n, const void *buf, enum uffd_copy how) {
        (void) mapping;
        assert(how == UFFD_COPY_PROTECTED);
        map.n_calls++;
        for (uint64_t i = 0; i < n; i++) {
                assert(*(const uint64_t *) ((const char *) buf + i * PAGE) == block + i);
                map.filled |= UINT64_C(1) << (block + i);
        }
        if (map.is_held) {
                sem_post(&map.entered);
                sem_wait(&map.go_on);
        }
        return map.result;
}

struct scene {
        struct pager pager;
        struct memory memory;
        char *content;
        sem_t told;
        struct pager_call *calls[8];
        unsigned n_calls;
        unsigned n_ended;
        int result;
};

static struct scene scene;

static void on_post(struct pager *pager, struct pager_call *call) {
        (void) pager;
        scene.calls[scene.n_calls++] = call;
        sem_post(&scene.told);
}

static void on_ended(struct fill *fill) {
        assert_ptr_equal(fill->owner, &scene);
        scene.n_ended++;
        scene.result = fill->result;
}

static int setup(void **state) {
        (void) state;
        memset(&scene, 0, sizeof(scene));
        memset(&map, 0, sizeof(map));
        scene.pager.post = on_post;
        sem_init(&scene.told, 0, 0);
        sem_init(&map.entered, 0, 0);
        sem_init(&map.go_on, 0, 0);
        scene.content = malloc(N_BLOCKS * PAGE);
        for (uint64_t i = 0; scene.content && i < N_BLOCKS; i++)
                memcpy(scene.content + i * PAGE, &i, sizeof(i));
        return scene.content ? memory_init(&scene.memory, N_BLOCKS * PAGE, false) : -1;
}

static int teardown(void **state) {
        (void) state;
        fill_end(&scene.pager);
        memory_fini(&scene.memory);
        free(scene.content);
        return 0;
}

static bool has_one_cpu(void) {
        cpu_set_t cpus;

        return sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) < 2;
}

static struct fill *begin(uint64_t block, uint64_t n, uint64_t first_trap, uint64_t step) {
        const struct fill_work work = {
                .memory = &scene.memory,
                .block = block,
                .n = n,
                .block_shift = 12,
                .buf = scene.content + block * PAGE,
                .traps = { .first = first_trap, .step = step },
        };

        return fill_begin(&scene.pager, &work, &scene, on_ended);
}

/* As the pager does when it is told. */
static void hear(void) {
        struct pager_call *call;

        sem_wait(&scene.told);
        call = scene.calls[--scene.n_calls];
        call->run(&scene.pager, call);
}

/* All but the traps through the mapping, and those into the memory. */
static void test_traps(void **state) {
        uint64_t expected = (UINT64_MAX << 8) & ~(UINT64_C(1) << 16 | UINT64_C(1) << 32 | UINT64_C(1) << 48), word;

        (void) state;
        if (has_one_cpu())
                skip();
        assert_non_null(begin(8, N_BLOCKS - 8, 16, 16));
        hear();
        assert_int_equal(scene.n_ended, 1);
        assert_int_equal(scene.result, 0);
        assert_true(map.filled == expected);
        assert_int_equal(map.n_calls, 4);
        for (uint64_t block = 0; block < N_BLOCKS; block++) {
                assert_int_equal(memory_read(&scene.memory, block * PAGE, &word, sizeof(word)), 0);
                assert_true(word == (block == 16 || block == 32 || block == 48 ? block : 0));
        }
}

static void test_failure(void **state) {
        (void) state;
        if (has_one_cpu())
                skip();
        map.result = -EEXIST;
        assert_non_null(begin(0, N_BLOCKS, 0, 32));
        hear();
        assert_int_equal(scene.result, -EEXIST);
        assert_int_equal(map.n_calls, 1);
        assert_true(fill_is_free(&scene.pager));
}

/* One that runs is waited for, one that does not never will; neither is told of. */
static void test_wanted_back(void **state) {
        struct fill *runs, *waits;

        (void) state;
        if (has_one_cpu())
                skip();
        map.is_held = true;
        runs = begin(0, 4, 0, 0);
        sem_wait(&map.entered);
        waits = begin(4, 4, 0, 0);
        assert_true(runs && waits && runs != waits);
        assert_false(fill_is_free(&scene.pager));
        assert_null(begin(8, 4, 0, 0));
        assert_false(fill_cancel(&scene.pager, runs));
        fill_wait(&scene.pager, waits);
        assert_int_equal(waits->result, -ECANCELED);
        assert_true(fill_is_free(&scene.pager));
        sem_post(&map.go_on);
        fill_wait(&scene.pager, runs);
        assert_int_equal(runs->result, 0);
        assert_true(map.filled == 0xf);
        hear(); /* the call was on its way */
        assert_int_equal(scene.n_ended, 0);
        assert_true(fill_is_free(&scene.pager));
}

static void test_many(void **state) {
        (void) state;
        if (has_one_cpu())
                skip();
        for (unsigned i = 0; i < 1000; i++) {
                struct fill *a = begin(i % 32, 8, 0, 0), *b = begin(32 + i % 16, 8, 0, 0);

                assert_true(a && b);
                if (i % 3 == 0)
                        fill_wait(&scene.pager, i % 2 ? a : b);
                while (a->is_taken || b->is_taken)
                        hear();
        }
        assert_in_range(scene.n_ended, 1600, 1700);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_traps, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failure, setup, teardown),
                cmocka_unit_test_setup_teardown(test_wanted_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        };

        return cmocka_run_group_tests_name("fill", tests, NULL, NULL);
}
