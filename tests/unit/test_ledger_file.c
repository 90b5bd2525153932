/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The ledger as clients get it: read-only, growing and shrinking with what is in it, and readable by the rules of ledger.h alone. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ledger_file.h"

struct fixture {
        struct ledger_file ledger;
        struct pagemap map;
        int fd; /* a client's */
};

static int setup(void **state) {
        static const struct ledger_header about = { .block_size = 65536, .size = 1000000, .memory_inode = 7 };
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        *state = fixture;
        if (!fixture || ledger_file_init(&fixture->ledger, &about) < 0 || pagemap_init(&fixture->map, &fixture->ledger.memory) < 0)
                return -1;
        return ledger_file_open(&fixture->ledger, &fixture->fd);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        close(fixture->fd);
        pagemap_fini(&fixture->map);
        ledger_file_fini(&fixture->ledger);
        free(fixture);
        return 0;
}

static struct ledger_header read_header(const struct fixture *fixture) {
        struct ledger_header header;

        assert_int_equal(pread(fixture->fd, &header, sizeof(header), 0), sizeof(header));
        return header;
}

static uint64_t read_word(const struct fixture *fixture, uint64_t block) {
        uint64_t capacity = read_header(fixture).capacity, word;

        for (uint64_t i = ledger_home(block, capacity);; i = (i + 1) & (capacity - 1)) {
                assert_int_equal(pread(fixture->fd, &word, sizeof(word), (off_t) (ledger_table_offset(capacity) + i * sizeof(word))), sizeof(word));
                if (!word || ledger_word_is(word, block))
                        return word;
        }
}

static uint64_t disk_bytes(const struct fixture *fixture) {
        struct stat st;

        assert_int_equal(fstat(fixture->fd, &st), 0);
        return (uint64_t) st.st_blocks * 512;
}

static void test_the_header_tells_of_the_file(void **state) {
        struct fixture *fixture = *state;
        struct ledger_header header = read_header(fixture);

        assert_int_equal(header.magic, LEDGER_MAGIC);
        assert_int_equal(header.block_size, 65536);
        assert_int_equal(header.size, 1000000);
        assert_int_equal(header.capacity, LEDGER_CAPACITY_MIN);
        assert_int_equal(header.n_used, 0);
        assert_int_equal(header.seq % 2, 0);
        ledger_file_set_size(&fixture->ledger, 2000000);
        assert_int_equal(read_header(fixture).size, 2000000);
}

static void test_clients_cannot_change_it(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(fcntl(fixture->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(fixture->fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(pwrite(fixture->fd, "x", 1, 0), -1);
        assert_int_equal(ftruncate(fixture->fd, 0), -1);
        assert_int_equal(fallocate(fixture->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
        assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fixture->fd, 0), MAP_FAILED);
}

static void test_clients_see_each_change(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(read_word(fixture, 7), 0);
        assert_int_equal(pagemap_add(&fixture->map, 7, 1, PAGE_LOADING), 0);
        assert_int_equal(read_word(fixture, 7), ledger_word(7, PAGE_LOADING, 0));
        pagemap_set(&fixture->map, 7, PAGE_FAILED, EIO);
        assert_int_equal(read_word(fixture, 7), ledger_word(7, PAGE_FAILED, EIO));
        pagemap_remove(&fixture->map, 7);
        assert_int_equal(read_word(fixture, 7), 0);
}

/* Its size follows what is in it: tables that are not in use cost nothing. */
static void test_it_costs_what_it_holds(void **state) {
        struct fixture *fixture = *state;
        uint64_t n = 50000;

        for (unsigned round = 0; round < 2; round++) {
                for (uint64_t i = 0; i < n; i++)
                        assert_int_equal(pagemap_add(&fixture->map, i, (uint32_t) i + 1, PAGE_LOADED), 0);
                assert_int_equal(read_header(fixture).capacity, 65536);
                for (uint64_t i = 0; i < n; i += 99)
                        assert_int_equal(read_word(fixture, i), ledger_word(i, PAGE_LOADED, 0));
                assert_true(disk_bytes(fixture) <= 4096 + 65536 * sizeof(uint64_t));
                for (uint64_t i = 0; i < n; i++)
                        pagemap_remove(&fixture->map, i);
                assert_int_equal(read_header(fixture).capacity, LEDGER_CAPACITY_MIN);
                assert_int_equal(read_word(fixture, 0), 0);
                assert_true(disk_bytes(fixture) <= 4096 + LEDGER_CAPACITY_MIN * sizeof(uint64_t));
        }
}

int main(void) {
#define LEDGER_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                LEDGER_TEST(test_the_header_tells_of_the_file),
                LEDGER_TEST(test_clients_cannot_change_it),
                LEDGER_TEST(test_clients_see_each_change),
                LEDGER_TEST(test_it_costs_what_it_holds),
        };

        return cmocka_run_group_tests_name("ledger_file", tests, NULL, NULL);
}
