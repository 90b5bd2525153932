/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The memory of a fileh: what is put in is there, what is punched is not, and nobody can shrink it. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"

#define PAGE 4096u
#define SIZE (UINT64_C(10) << 40)

static uint64_t resident(const struct memory *memory) {
        struct stat st;

        assert_int_equal(fstat(memory->fd, &st), 0);
        return (uint64_t) st.st_blocks * 512;
}

static void test_reading_and_writing(void **state) {
        uint8_t in[3 * PAGE], out[3 * PAGE];
        struct memory memory;

        (void) state;
        for (unsigned i = 0; i < sizeof(in); i++)
                in[i] = (uint8_t) (i * 7);
        assert_int_equal(memory_init(&memory, SIZE, false), 0);
        assert_int_equal(resident(&memory), 0);
        assert_int_equal(memory_write(&memory, SIZE / 2, in, sizeof(in)), 0);
        assert_int_equal(resident(&memory), sizeof(in));
        assert_int_equal(memory_read(&memory, SIZE / 2, out, sizeof(out)), 0);
        assert_memory_equal(in, out, sizeof(in));
        assert_int_equal(memory_punch(&memory, SIZE / 2 + PAGE, PAGE), 0);
        assert_int_equal(resident(&memory), 2 * PAGE);
        memset(in + PAGE, 0, PAGE);
        assert_int_equal(memory_read(&memory, SIZE / 2, out, sizeof(out)), 0);
        assert_memory_equal(in, out, sizeof(in));
        assert_int_equal(resident(&memory), 2 * PAGE); /* looking does not fill holes */
        assert_int_equal(memory_punch(&memory, 0, SIZE), 0);
        assert_int_equal(resident(&memory), 0);
        memory_fini(&memory);
        memory_fini(&memory);
}

static void test_the_end(void **state) {
        uint8_t bytes[2 * PAGE];
        struct memory memory;

        (void) state;
        assert_int_equal(memory_init(&memory, PAGE, false), 0);
        assert_int_equal(memory_read(&memory, 0, bytes, 2 * PAGE), -EIO);
        assert_int_equal(memory_grow(&memory, 2 * PAGE), 0);
        assert_int_equal(memory_read(&memory, 0, bytes, 2 * PAGE), 0);
        assert_int_equal(memory_grow(&memory, PAGE), -EPERM);
        memory_fini(&memory);
}

static void test_descriptors_for_clients(void **state) {
        struct memory memory;
        struct stat st;
        int rw, ro;

        (void) state;
        assert_int_equal(memory_init(&memory, SIZE, false), 0);
        assert_int_equal(memory_open(&memory, false, &rw), 0);
        assert_int_equal(memory_open(&memory, true, &ro), 0);
        assert_int_equal(fcntl(rw, F_GETFL) & O_ACCMODE, O_RDWR);
        assert_int_equal(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(rw, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(ro, F_GETFD), FD_CLOEXEC);
        assert_int_equal(pwrite(rw, "x", 1, 0), 1);
        assert_int_equal(pwrite(ro, "x", 1, 0), -1);
        assert_int_equal(ftruncate(rw, 0), -1);
        assert_int_equal(fstat(ro, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(st.st_size, SIZE);
        close(rw);
        close(ro);
        memory_fini(&memory);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reading_and_writing),
                cmocka_unit_test(test_the_end),
                cmocka_unit_test(test_descriptors_for_clients),
        };

        return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
