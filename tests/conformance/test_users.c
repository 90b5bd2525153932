/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Another, unprivileged user, on a host where an ordinary user gets no userfaultfd of his own (vm.unprivileged_userfaultfd=0): what he can do
 * with what the daemon lends him, and that he can do nothing to what others have. The other user is a forked process that changes its uid.
 */

#include <dirent.h>
#include <errno.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 50
#define OTHER_UID 65533

struct scene {
        struct rig *rig;
        const char *address;
        const char *path; /* root's; all may read it */
        const char *own;  /* the other user's */
};

static int read_setting(const char *path) {
        FILE *file = fopen(path, "re");
        int value = -1;

        if (file && fscanf(file, "%d", &value) != 1)
                value = -1;
        if (file)
                fclose(file);
        return value;
}

static struct scene start(struct rig *rig) {
        struct scene scene = { .rig = rig };

        if (geteuid() != 0 || read_setting("/proc/sys/vm/unprivileged_userfaultfd") != 0) {
                print_message("skipped: needs root and vm.unprivileged_userfaultfd=0\n");
                skip();
        }
        rig_daemon(rig, "--pool", "64M", "--socket-mode", "0666", NULL);
        scene.address = rig_address(rig);
        scene.path = rig_identity(rig, "data", N_PAGES);
        scene.own = rig_identity(rig, "own", N_PAGES);
        assert_int_equal(chown(scene.own, OTHER_UID, OTHER_UID), 0);
        assert_int_equal(chmod(scene.own, 0600), 0);
        return scene;
}

static struct bf_client *connect_as_other(const struct scene *scene) {
        struct bf_client *client = NULL;

        child_become(OTHER_UID);
        CHILD_CHECK(bf_connect(&client, scene->address) == 0);
        return client;
}

static uint64_t *map_all(struct bf_client *client, const char *path, int oflag, uint32_t flags, struct bf_fileh **ret_fileh) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = flags };
        int prot = oflag == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
        uint64_t *map = NULL;

        CHILD_CHECK(bf_open(client, path, oflag, &opts, ret_fileh) == 0);
        CHILD_CHECK(bf_mmap(*ret_fileh, 0, N_PAGES * RIG_PAGE, prot, (void **) &map) == 0);
        return map;
}

/* Everything an ordinary client does, on a file of his own; also system calls on memory that is not loaded. */
static int use_own_file(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = connect_as_other(scene);
        struct bf_fileh *fileh;
        uint64_t *map = map_all(client, scene->own, O_RDWR, 0, &fileh), word;
        int fds[2];

        (void) line;
        CHILD_CHECK(*rig_word(map, 3, 0) == 3);
        *rig_word(map, 3, 0) = 33;
        *rig_word(map, 4, 0) = 44;
        CHILD_CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHILD_CHECK(write(fds[1], map + 20 * 512, sizeof(word)) == sizeof(word));
        CHILD_CHECK(read(fds[0], map + 21 * 512, sizeof(word)) == sizeof(word));
        CHILD_CHECK(*rig_word(map, 21, 0) == 20);
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC) == 0);
        CHILD_CHECK(tempfile_read(scene->own, 21 * RIG_PAGE, &word, sizeof(word)) == 0 && word == 20);
        *rig_word(map, 3, 0) = 34;
        CHILD_CHECK(bf_discard(fileh) == 0);
        CHILD_CHECK(*rig_word(map, 3, 0) == 33);
        CHILD_CHECK(bf_resize(fileh, 2 * N_PAGES * RIG_PAGE) == 0);
        CHILD_CHECK(bf_munmap(map) == 0);
        CHILD_CHECK(bf_close(fileh) == 0);
        bf_disconnect(client);
        return 0;
}

static void test_a_file_of_his_own(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(child_wait(rig_child(scene.rig, use_own_file, &scene)), 0);
}

/* What the kernel does not let him open, the daemon does not open for him; nor may he take RAM from others. */
static int overreach(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = connect_as_other(scene);
        struct bf_fileh *fileh = NULL;
        uint64_t reclaimed = 5;
        int fd;

        (void) line;
        CHILD_CHECK(bf_open(client, scene->path, O_RDWR, NULL, &fileh) == -EACCES);
        fd = open(scene->path, O_RDONLY | O_CLOEXEC);
        CHILD_CHECK(bf_open_fd(client, fd, NULL, &fileh) == 0);
        CHILD_CHECK(bf_resize(fileh, 2 * N_PAGES * RIG_PAGE) == -EBADF);
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK) == -EBADF);
        CHILD_CHECK(bf_pool_reclaim(client, 0, &reclaimed) == -EPERM);
        CHILD_CHECK(reclaimed == 5);
        bf_disconnect(client);
        return 0;
}

static void test_what_he_may_not(void **state) {
        struct scene scene = start(rig_here(state));
        struct stat st;

        assert_int_equal(child_wait(rig_child(scene.rig, overreach, &scene)), 0);
        assert_int_equal(stat(scene.path, &st), 0);
        assert_int_equal(st.st_size, N_PAGES * RIG_PAGE);
}

/* The descriptors of memory files that this process has; with MADV_DONTFORK mappings it has no other way to them. */
static size_t find_memfds(int *ret_fds, size_t max) {
        DIR *dir = opendir("/proc/self/fd");
        char path[300], target[128];
        size_t n = 0;

        CHILD_CHECK(dir != NULL);
        for (struct dirent *entry = readdir(dir); entry && n < max; entry = readdir(dir)) {
                ssize_t k;

                snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
                k = readlink(path, target, sizeof(target) - 1);
                if (k > 0 && strncmp(target, "/memfd:", 7) == 0)
                        ret_fds[n++] = atoi(entry->d_name);
        }
        closedir(dir);
        return n;
}

/* Every way to change a memory file through a descriptor of it: all are refused. */
static void attack(int fd) {
        char path[64];
        void *map;
        int again;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        CHILD_CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
        again = open(path, O_RDWR | O_CLOEXEC);
        CHILD_CHECK(again < 0);
        again = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        CHILD_CHECK(again < 0);
        CHILD_CHECK(truncate(path, 0) < 0);
        CHILD_CHECK(chmod(path, 0666) < 0);
        CHILD_CHECK(fchmod(fd, 0666) < 0);
        CHILD_CHECK(ftruncate(fd, 0) < 0);
        CHILD_CHECK(ftruncate(fd, 1 << 30) < 0);
        CHILD_CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, N_PAGES * RIG_PAGE) < 0);
        CHILD_CHECK(pwrite(fd, "evil", 4, 0) < 0);
        CHILD_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
        map = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHILD_CHECK(map == MAP_FAILED);
        map = mmap(NULL, N_PAGES * RIG_PAGE, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return;
        CHILD_CHECK(mprotect(map, RIG_PAGE, PROT_READ | PROT_WRITE) < 0);
        for (uint64_t page = 0; page < N_PAGES; page++) /* the kernel makes pages of zeros of what is missing: nobody is to believe in them */
                probe_read((char *) map + page * RIG_PAGE, NULL, NULL);
}

/* He reads root's file through root's shared fileh: sees what root writes, and tries to change it. */
static int read_shared(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
        int fds[16];
        size_t n;

        child_hear(line); /* forked before root had descriptors that could be inherited */
        client = connect_as_other(scene);
        map = map_all(client, scene->path, O_RDONLY, BF_SHARED, &fileh);
        CHILD_CHECK(*rig_word(map, 7, 0) == 7777);
        CHILD_CHECK(*rig_word(map, 8, 0) == 8);
        probe_install();
        n = find_memfds(fds, 16);
        CHILD_CHECK(n >= 1);
        for (size_t i = 0; i < n; i++)
                attack(fds[i]);
        CHILD_CHECK(probe_write((void *) (uintptr_t) rig_word(map, 7, 0), 1, NULL) == SIGSEGV);
        if (mprotect(map, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE) == 0) /* his own copy then, at the most */
                probe_write((void *) (uintptr_t) rig_word(map, 9, 0), 666, NULL);
        madvise(map, N_PAGES * RIG_PAGE, MADV_REMOVE);
        madvise(map, N_PAGES * RIG_PAGE, MADV_DONTNEED);
        child_say(line, 1);
        child_hear(line); /* root has changed page 8 */
        CHILD_CHECK(*rig_word(map, 8, 0) == 8888);
        bf_disconnect(client);
        return 0;
}

static void test_shared_for_reading(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct child *child;
        uint64_t *map;

        child = rig_child(scene.rig, read_shared, &scene);
        client = rig_client(scene.rig);
        fileh = rig_open(client, scene.path, O_RDWR, BF_SHARED);
        map = rig_map(fileh, 0, N_PAGES);
        *rig_word(map, 7, 0) = 7777;
        child_say(child->line, 1);
        assert_int_equal(child_hear(child->line), 1);
        assert_int_equal(rig_pool_stat(client).filehs, 1);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                assert_int_equal(*rig_word(map, page, 0), page == 7 ? 7777 : page);
                assert_int_equal(*rig_word(map, page, 511), page);
        }
        *rig_word(map, 8, 0) = 8888;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 9), 9);
        child_say(child->line, 2);
        assert_int_equal(child_wait(child), 0);
}

/* With BF_SHARED for writing, on a file that both may write: he gets a fileh of his own, and no view of what root has not stored. */
static int write_shared(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = connect_as_other(scene);
        struct bf_fileh *fileh;
        uint64_t *map = map_all(client, scene->own, O_RDWR, BF_SHARED, &fileh);

        CHILD_CHECK(*rig_word(map, 7, 0) == 7);
        *rig_word(map, 8, 0) = 666;
        child_say(line, 1);
        child_hear(line);
        bf_disconnect(client);
        return 0;
}

static void test_shared_for_writing_is_per_user(void **state) {
        struct scene scene = start(rig_here(state));
        struct bf_client *client = rig_client(scene.rig);
        struct bf_fileh *fileh = rig_open(client, scene.own, O_RDWR, BF_SHARED);
        uint64_t *map = rig_map(fileh, 0, N_PAGES);
        struct child *child;

        *rig_word(map, 7, 0) = 7777;
        child = rig_child(scene.rig, write_shared, &scene);
        assert_int_equal(child_hear(child->line), 1);
        assert_int_equal(rig_pool_stat(client).filehs, 2);
        assert_int_equal(*rig_word(map, 8, 0), 8);
        child_say(child->line, 2);
        assert_int_equal(child_wait(child), 0);
}

/* A daemon that lends nothing: he is told so in words, and gets no mapping that would lack something. */
static int connect_without_loan(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = NULL;
        struct bf_fileh *fileh = NULL;
        int r;

        (void) line;
        child_become(OTHER_UID);
        r = bf_connect(&client, scene->address);
        if (r == 0)
                r = bf_open(client, scene->own, O_RDWR, NULL, &fileh);
        CHILD_CHECK(r == -EPERM);
        CHILD_CHECK(fileh == NULL);
        CHILD_CHECK(strstr(bf_errmsg(), "userfaultfd"));
        bf_disconnect(client);
        return 0;
}

static void test_without_a_loan(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        rig_daemon(scene.rig, "--no-lend", "--socket-mode", "0666", NULL);
        assert_int_equal(child_wait(rig_child(scene.rig, connect_without_loan, &scene)), 0);
}

#define CANNOT_RUN_DAEMON 77

/* A private daemon, without any privilege: all but system calls on memory that is not there, which say EFAULT. */
static int use_private_daemon(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = NULL;
        struct bf_fileh *fileh;
        uint64_t *map;
        int fds[2];

        (void) line;
        child_become(OTHER_UID);
        if (access(getenv("BIGFILED_PROGRAM"), X_OK) < 0)
                return CANNOT_RUN_DAEMON;
        CHILD_CHECK(bf_connect(&client, "spawn:pool=1M") == 0);
        map = map_all(client, scene->own, O_RDWR, 0, &fileh);
        CHILD_CHECK(pipe2(fds, O_CLOEXEC) == 0);
        CHILD_CHECK(write(fds[1], map + 20 * 512, 8) < 0 && errno == EFAULT);
        for (uint64_t page = 0; page < N_PAGES; page++)
                CHILD_CHECK(*rig_word(map, page, 0) == page);
        CHILD_CHECK(write(fds[1], map + 20 * 512, 8) == 8);
        CHILD_CHECK(read(fds[0], map + 21 * 512, 8) < 0 && errno == EFAULT); /* clean, and so protected */
        *rig_word(map, 21, 1) = 1;
        CHILD_CHECK(write(fds[1], map + 20 * 512, 8) == 8);
        CHILD_CHECK(read(fds[0], map + 21 * 512, 8) == 8);
        CHILD_CHECK(*rig_word(map, 21, 0) == 20);
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK) == 0);
        bf_disconnect(client);
        return 0;
}

static void test_private_daemon(void **state) {
        struct scene scene = start(rig_here(state));
        int r = child_wait(rig_child(scene.rig, use_private_daemon, &scene));

        if (r == CANNOT_RUN_DAEMON) {
                print_message("skipped: another user may not run the program bigfiled where it is\n");
                skip();
        }
        assert_int_equal(r, 0);
        assert_int_equal(rig_file_word(scene.own, 21), 20);
}

/* The socket's mode decides who gets in. */
static int knock(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client = NULL;

        (void) line;
        child_become(OTHER_UID);
        CHILD_CHECK(bf_connect(&client, scene->address) == -EACCES);
        CHILD_CHECK(client == NULL);
        CHILD_CHECK(strlen(bf_errmsg()) > 0);
        return 0;
}

static void test_socket_mode(void **state) {
        struct scene scene = start(rig_here(state));

        assert_int_equal(daemonproc_stop(&scene.rig->daemon), 0);
        rig_daemon(scene.rig, "--socket-mode", "0600", NULL);
        assert_int_equal(child_wait(rig_child(scene.rig, knock, &scene)), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_a_file_of_his_own),
                RIG_TEST(test_what_he_may_not),
                RIG_TEST(test_shared_for_reading),
                RIG_TEST(test_shared_for_writing_is_per_user),
                RIG_TEST(test_without_a_loan),
                RIG_TEST(test_private_daemon),
                RIG_TEST(test_socket_mode),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
