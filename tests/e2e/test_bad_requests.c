/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Requests of the right shape that ask for what cannot be: each is answered with an error, the connection stays, and nothing comes of it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rawpeer.h"
#include "watchdog.h"

struct scene {
        struct rig *rig;
        struct bystander bystander;
        int line;
        int device;
        struct rawpeer_file file;
};

static struct scene start(void **state) {
        struct scene scene = { .rig = rig_here(state) };

        rig_daemon(scene.rig, NULL);
        bystander_begin(scene.rig, &scene.bystander);
        scene.line = rawpeer_greet(scene.rig, &scene.device);
        rawpeer_open(scene.rig, scene.line, scene.device, &scene.file);
        return scene;
}

/* The peer is still there, and served; then he goes. */
static void end(struct scene *scene) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_POOL_STAT, 0);
        assert_int_equal(rawpeer_call(scene->line, &msg, NULL, 0, &reply), 0);
        close(scene->line);
        close(scene->device);
        rawpeer_close_file(&scene->file);
        bystander_assert_well(scene->rig, &scene->bystander);
}

static int request_open(struct scene *scene, int file, int uffd, uint32_t flags, uint64_t size, uint64_t block_size) {
        struct chan_packet reply;
        int fds[2] = { file, uffd }, r;
        union wire_msg msg;

        wire_init(&msg, WIRE_OPEN, 0);
        msg.header.flags = flags;
        msg.open.size = size;
        msg.open.block_size = block_size;
        r = rawpeer_call(scene->line, &msg, fds, 2, &reply);
        chan_packet_close(&reply);
        return r;
}

static void test_descriptors_that_are_no_files(void **state) {
        struct scene scene = start(state);
        const char *path = rig_identity(scene.rig, "data", 4);
        const struct {
                int fd;
                uint32_t flags;
                int r;
        } cases[] = {
                { open(scene.rig->dir, O_RDONLY | O_CLOEXEC), WIRE_OPEN_READONLY, -ENODEV },
                { open("/dev/null", O_RDWR | O_CLOEXEC), 0, -ENODEV },
                { eventfd(0, EFD_CLOEXEC), 0, -ENODEV },
                { socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), 0, -ENODEV },
                { dup(scene.file.uffd), WIRE_OPEN_READONLY, -ENODEV },
                { open(path, O_PATH | O_CLOEXEC), WIRE_OPEN_READONLY, -EINVAL },
                { open(path, O_RDWR | O_APPEND | O_CLOEXEC), 0, -EINVAL },
                { open(path, O_RDONLY | O_CLOEXEC), 0, -EBADF },
                { open(path, O_WRONLY | O_CLOEXEC), 0, -EBADF },
                { open(path, O_WRONLY | O_CLOEXEC), WIRE_OPEN_READONLY, -EBADF },
                { open(path, O_RDWR | O_CLOEXEC), WIRE_OPEN_NAMED, -EINVAL },
                { memfd_create("name", MFD_CLOEXEC), WIRE_OPEN_NAMED, -EINVAL },
        };
        int uffd = rawpeer_uffd(scene.device);

        for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_true(cases[i].fd >= 0);
                assert_int_equal(request_open(&scene, cases[i].fd, uffd, cases[i].flags, 4 * RIG_PAGE, RIG_PAGE), cases[i].r);
                close(cases[i].fd);
        }
        close(uffd);
        end(&scene);
}

/* One more descriptor, for direct I/O, and only if it is said; of the same file, and for what the first is for. */
static void test_descriptors_for_direct_io(void **state) {
        struct scene scene = start(state);
        const char *path = rig_identity(scene.rig, "data", 4), *other = rig_identity(scene.rig, "other", 4);
        int file = open(path, O_RDWR | O_CLOEXEC), uffd = rawpeer_uffd(scene.device);
        const struct {
                int fd;
                uint32_t flags;
        } cases[] = {
                { open(other, O_RDWR | O_DIRECT | O_CLOEXEC), WIRE_OPEN_DIRECT },
                { open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), WIRE_OPEN_DIRECT },
                { open(path, O_RDWR | O_CLOEXEC), WIRE_OPEN_DIRECT },
                { open("/dev/null", O_RDWR | O_CLOEXEC), WIRE_OPEN_DIRECT },
                { open(path, O_RDWR | O_DIRECT | O_CLOEXEC), 0 },
                { open(path, O_RDWR | O_DIRECT | O_CLOEXEC), WIRE_OPEN_DIRECT_REFUSED },
                { -1, WIRE_OPEN_DIRECT },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int fds[3] = { file, uffd, cases[i].fd };
                struct chan_packet reply;
                union wire_msg msg;

                if (cases[i].fd < 0 && i < sizeof(cases) / sizeof(*cases) - 1)
                        continue; /* no direct I/O here */
                wire_init(&msg, WIRE_OPEN, 0);
                msg.header.flags = cases[i].flags;
                msg.open.size = 4 * RIG_PAGE;
                msg.open.block_size = RIG_PAGE;
                assert_true(rawpeer_call(scene.line, &msg, fds, cases[i].fd >= 0 ? 3 : 2, &reply) < 0);
                chan_packet_close(&reply);
                close(cases[i].fd);
        }
        close(file);
        close(uffd);
        end(&scene);
}

static void test_descriptors_that_are_no_userfaultfds(void **state) {
        struct scene scene = start(state);
        const char *path = rig_identity(scene.rig, "data", 4);
        int file = open(path, O_RDWR | O_CLOEXEC), blocking = rawpeer_uffd(scene.device);
        int fds[] = {
                open(path, O_RDWR | O_CLOEXEC),
                open("/dev/null", O_RDWR | O_CLOEXEC),
                eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                dup(scene.device),
                dup(scene.line),
                blocking,
        };

        assert_int_equal(fcntl(blocking, F_SETFL, 0), 0);
        for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
                assert_int_equal(request_open(&scene, file, fds[i], 0, 4 * RIG_PAGE, RIG_PAGE), -EINVAL);
                close(fds[i]);
        }
        close(file);
        end(&scene);
}

static void test_sizes_and_block_sizes(void **state) {
        static const struct {
                uint64_t size, block_size;
        } cases[] = {
                { RIG_PAGE, 0 },
                { RIG_PAGE, 1 },
                { RIG_PAGE, 2048 },
                { RIG_PAGE, 5000 },
                { RIG_PAGE, 3 * RIG_PAGE },
                { RIG_PAGE, 2 * WIRE_BLOCK_MAX },
                { RIG_PAGE, UINT64_C(1) << 63 },
                { RIG_PAGE, UINT64_MAX },
                { WIRE_FILE_MAX + 1, RIG_PAGE },
                { UINT64_MAX, RIG_PAGE },
                { UINT64_MAX - RIG_PAGE + 2, RIG_PAGE },
        };
        struct scene scene = start(state);
        int file = open(rig_identity(scene.rig, "data", 4), O_RDWR | O_CLOEXEC), uffd = rawpeer_uffd(scene.device);

        for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_int_equal(request_open(&scene, file, uffd, 0, cases[i].size, cases[i].block_size), -EINVAL);
        close(file);
        close(uffd);
        end(&scene);
}

static int request_handle(struct scene *scene, unsigned id, uint32_t handle) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, id, 0);
        msg.handle.handle = handle; /* the first field behind the header, in each that has a handle */
        msg.header.flags = id == WIRE_WRITEOUT ? WIRE_WRITEOUT_STORE : 0;
        return rawpeer_call(scene->line, &msg, NULL, 0, &reply);
}

static void test_handles_of_nobody_and_of_others(void **state) {
        struct scene scene = start(state);
        struct rawpeer_file file;
        int device, other = rawpeer_greet(scene.rig, &device);

        rawpeer_open(scene.rig, other, device, &file);
        assert_int_not_equal(file.handle, scene.file.handle);
        for (unsigned id = WIRE_CLOSE; id <= WIRE_STAT; id++) {
                assert_int_equal(request_handle(&scene, id, 0), -ENOENT);
                assert_int_equal(request_handle(&scene, id, 4095), -ENOENT);
                assert_int_equal(request_handle(&scene, id, UINT32_MAX), -ENOENT);
                assert_int_equal(request_handle(&scene, id, file.handle), -ENOENT);
        }
        close(other);
        close(device);
        rawpeer_close_file(&file);
        end(&scene);
}

static int request_map(struct scene *scene, uint64_t address, uint64_t offset, uint64_t length) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_MAP, 0);
        msg.map.handle = scene->file.handle;
        msg.map.address = address;
        msg.map.offset = offset;
        msg.map.length = length;
        return rawpeer_call(scene->line, &msg, NULL, 0, &reply);
}

static int request_unmap(struct scene *scene, uint64_t address) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_UNMAP, 0);
        msg.unmap.handle = scene->file.handle;
        msg.unmap.address = address;
        return rawpeer_call(scene->line, &msg, NULL, 0, &reply);
}

static void test_mappings_that_do_not_fit(void **state) {
        const uint64_t size = RAWPEER_PAGES * RIG_PAGE;
        struct scene scene = start(state);
        uint64_t at = scene.file.address;
        const struct {
                uint64_t address, offset, length;
                int r;
        } cases[] = {
                { at + 1, 0, RIG_PAGE, -EINVAL },
                { at + 2048, 0, RIG_PAGE, -EINVAL },
                { at, 1, RIG_PAGE, -EINVAL },
                { at, 0, 0, -EINVAL },
                { at, 0, 1, -EINVAL },
                { at, 0, RIG_PAGE + 1, -EINVAL },
                { at, 0, size + RIG_PAGE, -ENXIO },
                { at, size, RIG_PAGE, -ENXIO },
                { at, RIG_PAGE, size, -ENXIO },
                { at, -(uint64_t) RIG_PAGE, RIG_PAGE, -ENXIO },
                { at, RIG_PAGE, -(uint64_t) RIG_PAGE, -EINVAL },
                { -(uint64_t) RIG_PAGE, 0, RIG_PAGE, -EINVAL },
                { WIRE_ADDRESS_MAX + RIG_PAGE, 0, RIG_PAGE, -EINVAL },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_int_equal(request_map(&scene, cases[i].address, cases[i].offset, cases[i].length), cases[i].r);
        assert_int_equal(request_map(&scene, at, 0, size), 0);
        assert_int_equal(request_map(&scene, at, 0, RIG_PAGE), -EEXIST);
        assert_int_equal(request_map(&scene, at + size - RIG_PAGE, 0, 2 * RIG_PAGE), -EEXIST);
        assert_int_equal(request_map(&scene, at - RIG_PAGE, 0, 2 * RIG_PAGE), -EEXIST);
        assert_int_equal(request_map(&scene, at - RIG_PAGE, 0, size), -EEXIST);
        assert_int_equal(*(volatile uint64_t *) (uintptr_t) (at + 3 * RIG_PAGE), 3);
        assert_int_equal(request_unmap(&scene, at + RIG_PAGE), -ENOENT);
        assert_int_equal(request_unmap(&scene, 0), -ENOENT);
        assert_int_equal(request_handle(&scene, WIRE_CLOSE, scene.file.handle), -EBUSY);
        assert_int_equal(request_unmap(&scene, at), 0);
        assert_int_equal(request_unmap(&scene, at), -ENOENT);
        assert_int_equal(request_handle(&scene, WIRE_CLOSE, scene.file.handle), 0);
        assert_int_equal(request_handle(&scene, WIRE_CLOSE, scene.file.handle), -ENOENT);
        end(&scene);
}

/* The daemon is told of a mapping that is none: whatever it tries there fails, and concerns nobody but this peer. */
static void test_a_mapping_that_is_not_there(void **state) {
        struct scene scene = start(state);
        struct chan_packet reply;
        union wire_msg msg;

        assert_int_equal(request_map(&scene, 0x10000, 0, RAWPEER_PAGES * RIG_PAGE), 0);
        wire_init(&msg, WIRE_LOAD, 0);
        msg.range.handle = scene.file.handle;
        msg.range.length = RAWPEER_PAGES * RIG_PAGE;
        assert_int_equal(rawpeer_call(scene.line, &msg, NULL, 0, &reply), 0);
        assert_int_equal(request_handle(&scene, WIRE_WRITEOUT, scene.file.handle), 0);
        assert_int_equal(request_handle(&scene, WIRE_DISCARD, scene.file.handle), 0);
        assert_int_equal(request_unmap(&scene, 0x10000), 0);
        end(&scene);
}

static int request_range(struct scene *scene, unsigned id, uint32_t advice, uint64_t offset, uint64_t length) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, id, 0);
        msg.range.handle = scene->file.handle;
        msg.range.advice = advice;
        msg.range.offset = offset;
        msg.range.length = length;
        return rawpeer_call(scene->line, &msg, NULL, 0, &reply);
}

static void test_ranges_beyond_everything(void **state) {
        static const uint64_t numbers[] = { 0, 1, RIG_PAGE, RAWPEER_PAGES * RIG_PAGE, UINT64_C(1) << 40, INT64_MAX, UINT64_MAX - 1, UINT64_MAX };
        static const size_t n = sizeof(numbers) / sizeof(*numbers);
        const uint64_t size = RAWPEER_PAGES * RIG_PAGE;
        struct scene scene = start(state);

        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < n; j++) {
                        bool inside = numbers[i] <= size && numbers[j] <= size - numbers[i];

                        assert_int_equal(request_range(&scene, WIRE_LOAD, 0, numbers[i], numbers[j]), inside ? 0 : -ENXIO);
                        for (uint32_t advice = 0; advice < N_WIRE_ADVICES; advice++)
                                assert_int_equal(request_range(&scene, WIRE_ADVISE, advice, numbers[i], numbers[j]), 0);
                        assert_int_equal(request_range(&scene, WIRE_INVALIDATE, 0, numbers[i], numbers[j]), 0);
                }
        assert_int_equal(request_range(&scene, WIRE_ADVISE, N_WIRE_ADVICES, 0, 0), -EINVAL);
        assert_int_equal(request_range(&scene, WIRE_ADVISE, UINT32_MAX, 0, 0), -EINVAL);
        end(&scene);
}

static int request_resize(struct scene *scene, uint64_t size) {
        struct chan_packet reply;
        union wire_msg msg;

        wire_init(&msg, WIRE_RESIZE, 0);
        msg.resize.handle = scene->file.handle;
        msg.resize.size = size;
        return rawpeer_call(scene->line, &msg, NULL, 0, &reply);
}

/* A client may say that the file is longer than it is: where it has nothing, loading fails as reading beyond a promised end does. */
static void test_sizes_that_the_file_has_not(void **state) {
        struct scene scene = start(state);

        assert_int_equal(request_resize(&scene, UINT64_MAX), -EINVAL);
        assert_int_equal(request_resize(&scene, WIRE_FILE_MAX + 1), -EINVAL);
        assert_int_equal(request_resize(&scene, RIG_PAGE), -EINVAL);
        assert_int_equal(request_resize(&scene, 1000 * RIG_PAGE), 0);
        assert_int_equal(request_range(&scene, WIRE_LOAD, 0, 0, RAWPEER_PAGES * RIG_PAGE), 0);
        assert_int_equal(request_range(&scene, WIRE_LOAD, 0, 0, 1000 * RIG_PAGE), -ENXIO);
        assert_int_equal(request_resize(&scene, WIRE_FILE_MAX), 0);
        assert_int_equal(request_range(&scene, WIRE_LOAD, 0, WIRE_FILE_MAX - RIG_PAGE, RIG_PAGE), -ENXIO);
        end(&scene);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_descriptors_that_are_no_files),
                RIG_TEST(test_descriptors_for_direct_io),
                RIG_TEST(test_descriptors_that_are_no_userfaultfds),
                RIG_TEST(test_sizes_and_block_sizes),
                RIG_TEST(test_handles_of_nobody_and_of_others),
                RIG_TEST(test_mappings_that_do_not_fit),
                RIG_TEST(test_a_mapping_that_is_not_there),
                RIG_TEST(test_ranges_beyond_everything),
                RIG_TEST(test_sizes_that_the_file_has_not),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("bad requests", tests, NULL, NULL);
}
