/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A block device as the file: a loop device over a file of the test, which the kernel frees with its last user. Skipped where none can be had. */

#include <errno.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 300

static int try_loop(int control, const char *path, char *ret_device, size_t size) {
        struct loop_config config = { .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
        int number, device = -1;

        number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
                return -1;
        snprintf(ret_device, size, "/dev/loop%d", number);
        config.fd = (uint32_t) open(path, O_RDWR | O_CLOEXEC);
        device = open(ret_device, O_RDWR | O_CLOEXEC);
        if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) < 0) {
                close(device);
                device = -1;
        }
        close((int) config.fd);
        return device;
}

/* The device lives as long as the descriptor that is returned, or another of it. */
static int make_device(const char *path, char *ret_device, size_t size) {
        int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), device = -1;

        for (int i = 0; control >= 0 && device < 0 && i < 10; i++) /* others may take the free one first */
                device = try_loop(control, path, ret_device, size);
        if (control >= 0)
                close(control);
        if (device < 0) {
                print_message("skipped: no loop device can be set up here\n");
                skip();
        }
        return device;
}

static void test_block_device(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "backing", N_PAGES);
        struct bf_fileh *fileh, *reader;
        uint64_t *map, *reader_map;
        char device[64];
        int fd;

        fd = make_device(path, device, sizeof(device));
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        fileh = rig_open(rig_client(rig), device, O_RDWR, BF_SHARED);
        assert_int_equal(rig_stat(fileh).size, N_PAGES * RIG_PAGE);
        map = rig_map(fileh, 0, N_PAGES);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 511), page);
        *rig_word(map, 10, 0) = 1010;
        *rig_word(map, 299, 511) = 2990;
        reader = rig_open(rig_client(rig), device, O_RDONLY, BF_SHARED);
        assert_int_equal(bf_mmap(reader, 0, N_PAGES * RIG_PAGE, PROT_READ, (void **) &reader_map), 0);
        assert_int_equal(*rig_word(reader_map, 10, 0), 1010);
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 1);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(path, 10), 1010);
        *rig_word(map, 11, 0) = 1111;
        assert_int_equal(bf_discard(fileh), 0);
        assert_int_equal(*rig_word(map, 11, 0), 11);
        assert_int_equal(bf_invalidate(fileh, 0, UINT64_MAX), 0);
        assert_int_equal(*rig_word(map, 299, 511), 2990);
        assert_true(bf_resize(fileh, 2 * N_PAGES * RIG_PAGE) < 0); /* a device does not grow */
        assert_int_equal(rig_stat(fileh).size, N_PAGES * RIG_PAGE);
        close(fd);
}

/* a device that becomes smaller: what is gone cannot be loaded or stored, and stays dirty; the rest is as it was */
static void test_shrinks(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "backing", N_PAGES);
        struct bf_fileh *fileh;
        struct probe_hit hit;
        uint64_t *map;
        char device[64];
        int fd;

        fd = make_device(path, device, sizeof(device));
        rig_daemon(rig, "--pool", "64M", NULL);
        fileh = rig_open(rig_client(rig), device, O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        for (uint64_t page = 95; page < 105; page++)
                *rig_word(map, page, 0) = page + 1000;
        assert_int_equal(truncate(path, 100 * RIG_PAGE), 0);
        assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY), 0);
        assert_int_equal(probe_read((const void *) (uintptr_t) rig_word(map, 200, 0), NULL, &hit), SIGBUS);
        assert_int_equal(hit.error, ENXIO);
        assert_int_equal(*rig_word(map, 50, 0), 50);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), -ENOSPC);
                assert_states(fileh, 95, "LLLLLDDDDD");
                for (uint64_t page = 95; page < 105; page++)
                        assert_int_equal(*rig_word(map, page, 0), page + 1000);
        }
        assert_int_equal(rig_file_word(path, 99), 1099);
        assert_int_equal(truncate(path, N_PAGES * RIG_PAGE), 0);
        assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY), 0);
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        assert_int_equal(rig_file_word(path, 104), 1104);
        close(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = { RIG_TEST(test_block_device), RIG_TEST(test_shrinks) };

        watchdog_start();
        return cmocka_run_group_tests_name("block device", tests, NULL, NULL);
}
