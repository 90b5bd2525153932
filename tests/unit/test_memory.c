/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The memory of a fileh: what is put in is there, what is punched is not, and nobody can shrink it. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"

#define PAGE 4096u
#define IMPOSTOR_NAME "/memfd:bigfiled (deleted)"
#define IMPOSTOR_CANNOT 77
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

/* In a process whose root is the directory: a file of that name there, deleted, is called what a memory is called. */
static int adopt_impostor(const char *dir) {
        char proc[64], link[64], name[64];
        struct memory memory;
        int fd;

        snprintf(proc, sizeof(proc), "%s/proc", dir);
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mkdir(proc, 0700) < 0 ||
            mount("/proc", proc, NULL, MS_BIND, NULL) < 0 || chroot(dir) < 0 || chdir("/") < 0)
                return IMPOSTOR_CANNOT;
        fd = open("/memfd:bigfiled", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, PAGE) < 0 || unlink("/memfd:bigfiled") < 0)
                return IMPOSTOR_CANNOT;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, name, sizeof(name)) != (ssize_t) strlen(IMPOSTOR_NAME) || memcmp(name, IMPOSTOR_NAME, strlen(IMPOSTOR_NAME)) != 0)
                return IMPOSTOR_CANNOT;
        return memory_adopt(&memory, fd, PAGE, false) == -EINVAL ? 0 : 1;
}

/* A file with the name, the owner and the size of a memory, on a file system that may be anybody's, is none. */
static void test_an_impostor(void **state) {
        char dir[] = "/tmp/bftest-memory-XXXXXX", path[64];
        int status;
        pid_t pid;

        (void) state;
        assert_non_null(mkdtemp(dir));
        pid = fork();
        if (pid == 0)
                _exit(adopt_impostor(dir));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        snprintf(path, sizeof(path), "%s/proc", dir);
        (void) rmdir(path);
        (void) rmdir(dir);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == IMPOSTOR_CANNOT)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reading_and_writing),
                cmocka_unit_test(test_the_end),
                cmocka_unit_test(test_descriptors_for_clients),
                cmocka_unit_test(test_an_impostor),
        };

        return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
