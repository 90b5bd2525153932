/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What programs do with memory gives the same on a big file of 1 GiB in a pool of 16 MiB as on the plain file: memcmp, fwrite, write,
 * a checksum, qsort.
 *
 * qsort is given 8 MiB at a time, and each part is stored before the next is sorted: what was written stays in RAM until it is stored, so that no
 * more than the pool can be dirty at once. Every word of the 1 GiB takes part, in 128 parts.
 */

#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define SIZE (UINT64_C(1) << 30)
#define PART (UINT64_C(8) << 20)
#define SECONDS 300

extern char **environ;

static char dir[64];
static char data[96]; /* 1 GiB of words in no order */
static char copy[96];

struct scene {
        struct bf_fileh *fileh;
        uint8_t *big; /* the mapping of it */
};

static uint8_t *map_plain(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        void *memory = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);

        assert_ptr_not_equal(memory, MAP_FAILED);
        close(fd);
        return memory;
}

static struct scene start(void **state, const char *path) {
        struct rig *rig = rig_here(state);
        struct scene scene;
        void *memory;

        watchdog_arm("1 GiB", SECONDS);
        rig_daemon(rig, "--pool", "16M", NULL);
        assert_int_equal(bf_open(rig_client(rig), path, O_RDWR, NULL, &scene.fileh), 0);
        assert_int_equal(bf_mmap(scene.fileh, 0, SIZE, PROT_READ | PROT_WRITE, &memory), 0);
        scene.big = memory;
        return scene;
}

static void end(struct scene *scene) {
        assert_true(rig_stat(scene->fileh).evictions > 0);
        assert_int_equal(bf_munmap(scene->big), 0);
        assert_int_equal(bf_close(scene->fileh), 0);
}

/* These two files hold the same, by plain means. */
static void assert_equal_files(const char *a, const char *b) {
        uint8_t *memory_a = map_plain(a), *memory_b = map_plain(b);

        assert_int_equal(memcmp(memory_a, memory_b, SIZE), 0);
        munmap(memory_a, SIZE);
        munmap(memory_b, SIZE);
}

static void test_memcmp(void **state) {
        struct scene scene = start(state, data);
        uint8_t *plain = map_plain(data);

        assert_int_equal(memcmp(scene.big, plain, SIZE), 0);
        scene.big[SIZE - 1] ^= 1; /* and a difference is one */
        assert_int_not_equal(memcmp(scene.big + SIZE - PART, plain + SIZE - PART, PART), 0);
        munmap(plain, SIZE);
        end(&scene);
}

/* To a file, as directly as stdio can: the C library hands it to write(2). */
static void test_fwrite(void **state) {
        struct scene scene = start(state, data);
        FILE *f = fopen(copy, "we");

        assert_non_null(f);
        assert_int_equal(fwrite(scene.big, 1, SIZE, f), SIZE);
        assert_int_equal(fclose(f), 0);
        assert_equal_files(copy, data);
        end(&scene);
}

/* sha256sum of what comes from the memory by write(2) through a pipe, or of a file. */
static void checksum(const uint8_t *bytes, const char *path, char *ret_sum) {
        char *argv[] = { (char *) "sha256sum", NULL };
        posix_spawn_file_actions_t actions;
        int in[2], out[2], status;
        ssize_t n;
        pid_t pid;

        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        posix_spawn_file_actions_init(&actions);
        if (bytes)
                posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
        else
                posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        close(in[0]);
        close(out[1]);
        for (uint64_t done = 0; bytes && done < SIZE; done += (uint64_t) n) {
                n = write(in[1], bytes + done, SIZE - done);
                assert_true(n > 0);
        }
        close(in[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(read(out[0], ret_sum, 64), 64);
        close(out[0]);
}

static void test_sha256(void **state) {
        struct scene scene = start(state, data);
        char of_memory[64], of_file[64];

        checksum(scene.big, NULL, of_memory);
        checksum(NULL, data, of_file);
        assert_memory_equal(of_memory, of_file, 64);
        end(&scene);
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static void *sort_part(void *part) {
        qsort(part, PART / sizeof(uint64_t), sizeof(uint64_t), compare);
        return NULL;
}

/* The last test: it changes the file. */
static void test_qsort(void **state) {
        uint8_t *plain = malloc(SIZE), *stored = map_plain(data);
        struct scene scene = start(state, data);
        pthread_t beside;

        assert_non_null(plain);
        memcpy(plain, stored, SIZE);
        for (uint64_t offset = 0; offset < SIZE; offset += PART) {
                assert_int_equal(pthread_create(&beside, NULL, sort_part, plain + offset), 0);
                sort_part(scene.big + offset);
                pthread_join(beside, NULL);
                assert_memory_equal(scene.big + offset, plain + offset, PART);
                assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        }
        end(&scene);
        assert_int_equal(memcmp(stored, plain, SIZE), 0);
        munmap(stored, SIZE);
        free(plain);
}

static int make_data(void **state) {
        uint64_t words[8192], random = 88172645463325252u;
        FILE *f;

        (void) state;
        if (tempfile_dir(dir, sizeof(dir)) < 0)
                return -1;
        snprintf(data, sizeof(data), "%s/data", dir);
        snprintf(copy, sizeof(copy), "%s/copy", dir);
        f = fopen(data, "we");
        if (!f)
                return -1;
        for (uint64_t done = 0; done < SIZE; done += sizeof(words)) {
                for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        words[i] = random;
                }
                if (fwrite(words, sizeof(words), 1, f) != 1)
                        break;
        }
        return fclose(f) == 0 && access(data, R_OK) == 0 ? 0 : -1;
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_memcmp),
                RIG_TEST(test_fwrite),
                RIG_TEST(test_sha256),
                RIG_TEST(test_qsort),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("equal", tests, make_data, NULL);
}
