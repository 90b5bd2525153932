/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reading a ledger: hits, misses, probing over the end of the table, entries that move meanwhile, one that is never at rest, and what is no ledger.
 * The ledgers are made here by hand, after ledger.h, so that a mistake which both the daemon's writer and the reader share would show.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ledger_read.h"

#define CAPACITY_LARGE (4 * LEDGER_CAPACITY_MIN)
#define LEDGER_BYTES (ledger_table_offset(CAPACITY_LARGE) * 2)

struct lab {
        int fd;
        struct ledger_header *header;
        uint64_t *words; /* of the table in force */
};

static void lab_use(struct lab *lab, uint64_t capacity) {
        lab->words = (uint64_t *) ((char *) lab->header + ledger_table_offset(capacity));
        lab->header->capacity = capacity;
}

static int lab_setup(void **state) {
        static struct lab lab;

        lab.fd = memfd_create("ledger", MFD_CLOEXEC);
        assert_true(lab.fd >= 0);
        assert_int_equal(ftruncate(lab.fd, (off_t) LEDGER_BYTES), 0);
        lab.header = mmap(NULL, LEDGER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, lab.fd, 0);
        assert_ptr_not_equal(lab.header, MAP_FAILED);
        lab.header->magic = LEDGER_MAGIC;
        lab.header->block_size = 4096;
        lab.header->size = 1 << 20;
        lab_use(&lab, LEDGER_CAPACITY_MIN);
        *state = &lab;
        return 0;
}

static int lab_teardown(void **state) {
        struct lab *lab = *state;

        munmap(lab->header, LEDGER_BYTES);
        close(lab->fd);
        return 0;
}

static void lab_add(struct lab *lab, uint64_t block, enum page_state page_state, int error) {
        uint64_t mask = lab->header->capacity - 1, i = ledger_home(block, lab->header->capacity);

        while (lab->words[i & mask])
                i++;
        lab->words[i & mask] = ledger_word(block, page_state, error);
}

static uint64_t lab_read(const struct lab *lab, uint64_t block) {
        uint64_t word = ~UINT64_C(0);

        assert_int_equal(ledger_read_word(lab->fd, block, &word), 0);
        return word;
}

static void test_header(void **state) {
        struct lab *lab = *state;
        struct ledger_header header;

        assert_int_equal(ledger_read_header(lab->fd, &header), 0);
        assert_int_equal(header.size, 1 << 20);
        assert_int_equal(header.block_size, 4096);
}

static void test_words(void **state) {
        struct lab *lab = *state;

        assert_int_equal(lab_read(lab, 0), 0);
        lab_add(lab, 0, PAGE_LOADED, 0);
        lab_add(lab, 7, PAGE_DIRTY, 0);
        lab_add(lab, LEDGER_BLOCK_MAX, PAGE_STORING, 0);
        lab_add(lab, 8, PAGE_FAILED, EIO);
        assert_int_equal(ledger_word_state(lab_read(lab, 0)), PAGE_LOADED);
        assert_int_equal(ledger_word_state(lab_read(lab, 7)), PAGE_DIRTY);
        assert_int_equal(ledger_word_state(lab_read(lab, LEDGER_BLOCK_MAX)), PAGE_STORING);
        assert_int_equal(ledger_word_state(lab_read(lab, 8)), PAGE_FAILED);
        assert_int_equal(ledger_word_error(lab_read(lab, 8)), EIO);
        assert_int_equal(lab_read(lab, 1), 0);
}

/* Four fifths full, as full as tables get: every block is found, and none that is not there. Runs of entries pass the end of the table. */
static void test_full_table(void **state) {
        struct lab *lab = *state;
        uint64_t n = LEDGER_CAPACITY_MIN * 4 / 5;

        for (uint64_t block = 0; block < n; block++)
                lab_add(lab, block * 3, block % 2 ? PAGE_DIRTY : PAGE_LOADED, 0);
        for (uint64_t block = 0; block < n * 3; block++) {
                uint64_t word = lab_read(lab, block);

                if (block % 3)
                        assert_int_equal(word, 0);
                else
                        assert_int_equal(word, ledger_word(block, block / 3 % 2 ? PAGE_DIRTY : PAGE_LOADED, 0));
        }
}

/* All entries of one home, the last of the table: they go on at its beginning. */
static void test_over_the_end(void **state) {
        struct lab *lab = *state;
        uint64_t blocks[12];
        size_t n = 0;

        for (uint64_t block = 0; n < 12; block++)
                if (ledger_home(block, LEDGER_CAPACITY_MIN) == LEDGER_CAPACITY_MIN - 1)
                        blocks[n++] = block;
        for (size_t i = 0; i + 1 < n; i++)
                lab_add(lab, blocks[i], PAGE_DIRTY, 0);
        for (size_t i = 0; i + 1 < n; i++)
                assert_int_equal(lab_read(lab, blocks[i]), ledger_word(blocks[i], PAGE_DIRTY, 0));
        assert_int_equal(lab_read(lab, blocks[n - 1]), 0);
}

/* A table without a free place cannot come from the daemon, but must not hold the reader for ever. */
static void test_no_free_place(void **state) {
        struct lab *lab = *state;

        for (uint64_t block = 0; block < LEDGER_CAPACITY_MIN; block++)
                lab_add(lab, block, PAGE_LOADED, 0);
        assert_int_equal(lab_read(lab, LEDGER_CAPACITY_MIN), 0);
        assert_int_equal(lab_read(lab, LEDGER_CAPACITY_MIN - 1), ledger_word(LEDGER_CAPACITY_MIN - 1, PAGE_LOADED, 0));
}

static void test_larger_table(void **state) {
        struct lab *lab = *state;

        lab_use(lab, CAPACITY_LARGE);
        for (uint64_t block = 0; block < CAPACITY_LARGE / 2; block++)
                lab_add(lab, block, PAGE_LOADED, 0);
        for (uint64_t block = 0; block < CAPACITY_LARGE; block++)
                assert_int_equal(lab_read(lab, block), block < CAPACITY_LARGE / 2 ? ledger_word(block, PAGE_LOADED, 0) : 0);
}

/* A daemon that died while it moved entries leaves seq odd: the reader gives up. */
static void test_never_at_rest(void **state) {
        struct lab *lab = *state;
        struct ledger_header header = { .size = 5 };
        uint64_t word = 5;

        lab->header->seq = 1;
        assert_int_equal(ledger_read_word(lab->fd, 0, &word), -EAGAIN);
        assert_int_equal(word, 5);
        assert_int_equal(ledger_read_header(lab->fd, &header), -EAGAIN);
        assert_int_equal(header.size, 5);
}

static void test_no_ledger(void **state) {
        static const struct ledger_header bad[] = {
                { .magic = LEDGER_MAGIC + 1, .capacity = LEDGER_CAPACITY_MIN, .block_size = 4096 },
                { .magic = LEDGER_MAGIC, .capacity = 0, .block_size = 4096 },
                { .magic = LEDGER_MAGIC, .capacity = LEDGER_CAPACITY_MIN / 2, .block_size = 4096 },
                { .magic = LEDGER_MAGIC, .capacity = LEDGER_CAPACITY_MIN + 1, .block_size = 4096 },
                { .magic = LEDGER_MAGIC, .capacity = UINT64_C(1) << 63, .block_size = 4096 },
                { .magic = LEDGER_MAGIC, .capacity = LEDGER_CAPACITY_MIN, .block_size = 0 },
                { .magic = LEDGER_MAGIC, .capacity = UINT64_C(1) << 40, .block_size = 4096 }, /* the table is not there */
        };
        struct lab *lab = *state;
        uint64_t word = 5;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                *lab->header = bad[i];
                assert_int_equal(ledger_read_word(lab->fd, 0, &word), -EIO);
                assert_int_equal(word, 5);
        }
        assert_int_equal(ledger_read_word(-1, 0, &word), -EBADF);
}

struct mover {
        struct lab *lab;
        _Atomic int stop;
};

/* Moves two entries to and fro as the daemon does, for ever: seq is odd meanwhile, and for a moment the second is nowhere. */
static void *mover_run(void *data) {
        struct mover *mover = data;
        struct ledger_header *header = mover->lab->header;
        uint64_t capacity = LEDGER_CAPACITY_MIN;

        for (unsigned n = 0; !atomic_load(&mover->stop); n++) {
                struct lab next = *mover->lab;

                capacity = n % 2 ? LEDGER_CAPACITY_MIN : CAPACITY_LARGE;
                __atomic_store_n(&header->seq, header->seq + 1, __ATOMIC_SEQ_CST);
                memset(mover->lab->words, 0, header->capacity * sizeof(uint64_t));
                lab_use(&next, capacity);
                lab_add(&next, 1, PAGE_DIRTY, 0);
                lab_add(&next, 2, PAGE_LOADED, 0);
                mover->lab->words = next.words;
                __atomic_store_n(&header->seq, header->seq + 1, __ATOMIC_SEQ_CST);
                for (volatile int rest = 0; rest < 20000; rest++)
                        ;
        }
        return NULL;
}

static void test_moving(void **state) {
        struct mover mover = { .lab = *state };
        pthread_t thread;

        lab_add(mover.lab, 1, PAGE_DIRTY, 0);
        lab_add(mover.lab, 2, PAGE_LOADED, 0);
        assert_int_equal(pthread_create(&thread, NULL, mover_run, &mover), 0);
        for (unsigned i = 0; i < 20000; i++) {
                uint64_t word;
                int r = ledger_read_word(mover.lab->fd, 1 + i % 2, &word);

                if (r < 0 || word != ledger_word(1 + i % 2, i % 2 ? PAGE_LOADED : PAGE_DIRTY, 0)) {
                        atomic_store(&mover.stop, 1);
                        fail_msg("read %u: %d, word %llx", i, r, (unsigned long long) word);
                }
        }
        atomic_store(&mover.stop, 1);
        pthread_join(thread, NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_header, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_words, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_full_table, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_over_the_end, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_no_free_place, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_larger_table, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_never_at_rest, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_no_ledger, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_moving, lab_setup, lab_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
