/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "roster.h"

struct lab {
        char dir[32];
        char path[64];
        struct roster roster;
};

static struct roster_record record_of(uint64_t inode, uint64_t memory_inode) {
        return (struct roster_record) { .device = 1, .inode = inode, .block_size = 4096, .memory_inode = memory_inode };
}

static int lab_setup(void **state) {
        struct lab *lab = calloc(1, sizeof(*lab));

        snprintf(lab->dir, sizeof(lab->dir), "/tmp/test-roster-XXXXXX");
        if (!mkdtemp(lab->dir))
                return -1;
        snprintf(lab->path, sizeof(lab->path), "%s/roster", lab->dir);
        roster_init(&lab->roster);
        *state = lab;
        return 0;
}

static int lab_teardown(void **state) {
        struct lab *lab = *state;

        roster_fini(&lab->roster);
        (void) unlink(lab->path);
        (void) rmdir(lab->dir);
        free(lab);
        return 0;
}

static void add(struct lab *lab, uint64_t inode, uint64_t memory_inode) {
        struct roster_record record = record_of(inode, memory_inode);

        roster_add(&lab->roster, &record);
}

static bool is_awaited(struct lab *lab, uint64_t inode) {
        struct roster_record record = record_of(inode, 0);

        return roster_is_awaited(&lab->roster, &record);
}

/* A daemon is killed, another one comes. */
static void come_anew(struct lab *lab) {
        struct roster after;

        roster_init(&after);
        assert_int_equal(roster_open(&after, lab->path), 0);
        close(lab->roster.fd);
        free(lab->roster.path);
        lab->roster = after;
}

static void test_what_was_left_is_awaited(void **state) {
        struct lab *lab = *state;

        assert_int_equal(roster_open(&lab->roster, lab->path), 0);
        add(lab, 10, 100);
        add(lab, 11, 101);
        add(lab, 12, 102);
        roster_remove(&lab->roster, 101);
        assert_false(is_awaited(lab, 10));
        come_anew(lab);
        assert_true(is_awaited(lab, 10));
        assert_false(is_awaited(lab, 11));
        assert_true(is_awaited(lab, 12));
        add(lab, 10, 100);
        assert_false(is_awaited(lab, 10));
        assert_true(is_awaited(lab, 12));
        come_anew(lab); /* before all were back */
        assert_true(is_awaited(lab, 10));
        assert_true(is_awaited(lab, 12));
}

static void test_other_blocks_are_another(void **state) {
        struct roster_record record = record_of(10, 0);
        struct lab *lab = *state;

        assert_int_equal(roster_open(&lab->roster, lab->path), 0);
        add(lab, 10, 100);
        come_anew(lab);
        assert_true(roster_is_awaited(&lab->roster, &record));
        record.block_size = 8192;
        assert_false(roster_is_awaited(&lab->roster, &record));
        record.block_size = 4096;
        record.is_huge = 1;
        assert_false(roster_is_awaited(&lab->roster, &record));
        record.is_huge = 0;
        record.device = 2;
        assert_false(roster_is_awaited(&lab->roster, &record));
}

static void test_not_for_ever(void **state) {
        struct lab *lab = *state;

        assert_int_equal(roster_open(&lab->roster, lab->path), 0);
        add(lab, 10, 100);
        come_anew(lab);
        assert_true(is_awaited(lab, 10));
        lab->roster.until = 0;
        assert_false(is_awaited(lab, 10));
        come_anew(lab);
        assert_false(is_awaited(lab, 10));
}

static void test_more_than_there_is_room_for(void **state) {
        struct lab *lab = *state;

        assert_int_equal(roster_open(&lab->roster, lab->path), 0);
        for (uint64_t i = 1; i <= ROSTER_MAX + 10; i++)
                add(lab, i, i);
        come_anew(lab);
        assert_true(is_awaited(lab, 1));
        assert_true(is_awaited(lab, ROSTER_MAX));
        assert_false(is_awaited(lab, ROSTER_MAX + 1));
        for (uint64_t i = 1; i <= ROSTER_MAX + 10; i++)
                roster_remove(&lab->roster, i);
        roster_fini(&lab->roster);
        assert_int_equal(access(lab->path, F_OK), -1);
}

/* a file of any content and length is read as what it may be */
static void test_bytes_of_any_kind(void **state) {
        struct lab *lab = *state;
        char bytes[100];
        int fd = open(lab->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        memset(bytes, 0x5a, sizeof(bytes));
        assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
        close(fd);
        assert_int_equal(roster_open(&lab->roster, lab->path), 0);
        assert_int_equal(lab->roster.n_left, 1);
        assert_false(is_awaited(lab, 10));
        add(lab, 10, 100);
        come_anew(lab);
        assert_true(is_awaited(lab, 10));
}

static void test_no_file(void **state) {
        struct lab *lab = *state;

        add(lab, 10, 100);
        assert_false(is_awaited(lab, 10));
        roster_remove(&lab->roster, 100);
        assert_int_equal(symlink("/dev/null", lab->path), 0);
        assert_int_equal(roster_open(&lab->roster, lab->path), -ELOOP);
        add(lab, 10, 100);
        assert_false(is_awaited(lab, 10));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_was_left_is_awaited, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_other_blocks_are_another, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_not_for_ever, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_bytes_of_any_kind, lab_setup, lab_teardown),
                cmocka_unit_test_setup_teardown(test_no_file, lab_setup, lab_teardown),
        };

        return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
