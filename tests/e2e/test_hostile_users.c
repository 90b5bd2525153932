/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Users who hold up the kernel where the daemon has to go, too: each is served by threads of the daemon that are his alone, and holds up those. And one whose loads
 * do not end: they take a part of the pool, and no more.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "opsfile.h"
#include "rawpeer.h"
#include "uffd_abi.h"
#include "watchdog.h"

#define N_PAGES 100
#define OTHER_UID 65533

struct plan {
        const char *address;
        const char *path; /* the other user's */
};

/* The one memory that the library has got from the daemon. */
static int find_memory(void) {
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;
        int found = -1;

        CHILD_CHECK(dir);
        while ((entry = readdir(dir))) {
                char target[128];
                ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

                target[n > 0 ? n : 0] = '\0';
                if (strcmp(target, "/memfd:bigfiled (deleted)") == 0)
                        found = atoi(entry->d_name);
        }
        closedir(dir);
        CHILD_CHECK(found >= 0);
        return found;
}

/* Memory whose first touch nobody answers. */
static void *unanswered_memory(int device, int *ret_uffd) {
        void *memory = mmap(NULL, RIG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct uffdio_register registration = { .range = { (uintptr_t) memory, RIG_PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
        struct uffdio_api api = { .api = UFFD_API };

        CHILD_CHECK(memory != MAP_FAILED);
        *ret_uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
        CHILD_CHECK(*ret_uffd >= 0 && ioctl(*ret_uffd, UFFDIO_API, &api) == 0 && ioctl(*ret_uffd, UFFDIO_REGISTER, &registration) == 0);
        return memory;
}

static void write_memory(struct worker *worker) {
        (void) !pwrite((int) worker->a, worker->at, RIG_PAGE, 0); /* the kernel takes the lock of the memory, and then touches what it is to write */
}

/* Holds that lock for as long as he lives, and asks the daemon for what needs it. */
static int hold_lock(int line, void *arg) {
        const struct plan *plan = arg;
        int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), uffd; /* as the daemon lends it */
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct uffd_msg msg;
        uint64_t *map;
        void *memory;

        child_become(OTHER_UID);
        CHILD_CHECK(bf_connect(&client, plan->address) == 0 && bf_open(client, plan->path, O_RDWR, NULL, &fileh) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        for (uint64_t page = 0; page < N_PAGES; page++) /* more than there is room for: all of the pool is his */
                CHILD_CHECK(*rig_word(map, page, 0) == page);
        memory = unanswered_memory(device, &uffd);
        (void) worker_new(write_memory, memory, NULL, (uint64_t) find_memory(), 0);
        CHILD_CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg)); /* it has the lock, and waits */
        child_say(line, 1);
        bf_invalidate(fileh, 0, N_PAGES * RIG_PAGE); /* does not return */
        return 0;
}

static bool is_stuck(const char *path) {
        FILE *file = fopen(path, "re");
        char state = 0;

        if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
                state = 0;
        if (file)
                fclose(file);
        return state == 'D';
}

/* Does a thread of the daemon wait for a lock of the kernel's? */
static bool daemon_is_stuck(const struct rig *rig) {
        char path[64], stat[400];
        struct dirent *entry;
        bool found = false;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", rig->daemon.pid);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                snprintf(stat, sizeof(stat), "%s/%s/stat", path, entry->d_name);
                found |= isdigit((unsigned char) entry->d_name[0]) && is_stuck(stat);
        }
        closedir(dir);
        return found;
}

/* All that needs a thread of the daemon's: loads, reclaim, writeouts, handles opened and closed. */
static void assert_all_works(struct rig *rig, const struct bystander *bystander, const char *path) {
        struct bf_fileh *fileh = rig_open(bystander->client, path, O_RDWR, 0);
        uint64_t *map = rig_map(fileh, 0, N_PAGES);

        for (uint64_t page = 0; page < N_PAGES; page++)
                *rig_word(map, page, 1) = page;
        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC), 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(*rig_word(map, page, 0), page);
        assert_int_equal(bf_munmap(map), 0);
        assert_int_equal(bf_close(fileh), 0);
        (void) rig;
}

/* What bfctl prints, which does not wait for him either. */
static void assert_bfctl_says(struct rig *rig, const char *words, const char *expected) {
        char command[1024], text[8192];
        FILE *file;
        size_t n;

        snprintf(command, sizeof(command), "timeout 30 %s --socket %s %s", getenv("BFCTL_PROGRAM"), rig_address(rig) + strlen("unix:"), words);
        file = popen(command, "re");
        assert_non_null(file);
        n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        assert_int_equal(pclose(file), 0);
        if (!strstr(text, expected))
                fail_msg("bfctl %s does not say \"%s\" but:\n%s", words, expected, text);
}

static void test_one_who_holds_the_lock_of_his_memory(void **state) {
        struct rig *rig = rig_here(state);
        struct plan plan = { .path = rig_identity(rig, "his", N_PAGES) };
        const char *path = rig_identity(rig, "honest", N_PAGES);
        struct bystander bystander;
        struct child *child;

        if (geteuid() != 0 || access("/dev/userfaultfd", R_OK | W_OK) < 0) {
                print_message("skipped: needs root and /dev/userfaultfd\n");
                skip();
        }
        assert_int_equal(chown(plan.path, OTHER_UID, OTHER_UID), 0);
        rig_daemon(rig, RIG_SMALL_POOL, "--socket-mode", "0666", NULL);
        plan.address = rig_address(rig);
        child = rig_child(rig, hold_lock, &plan);
        assert_int_equal(child_hear(child->line), 1);
        bystander_begin(rig, &bystander);
        while (!daemon_is_stuck(rig))
                sched_yield();
        for (unsigned i = 0; i < 10; i++)
                assert_all_works(rig, &bystander, path);
        assert_true(daemon_is_stuck(rig));
        assert_bfctl_says(rig, "status", "waits in the kernel for memory that a client holds");
        assert_bfctl_says(rig, "--json status", "\"status\": \"pager-held\"");
        assert_bfctl_says(rig, "--json files", "\"silent_pagers\": 1");
        assert_bfctl_says(rig, "files", "/bystander");
        assert_bfctl_says(rig, "--json peers", "\"uid\": 65533");
        child_kill(child);
        while (rig_pool_stat(bystander.client).peers != 1 || rig_pool_stat(bystander.client).filehs != 1)
                sched_yield();
        assert_all_works(rig, &bystander, path);
}

/* The supervisor is told that the daemon is well as long as only he is not served: else he could have it killed. */
static void test_the_watchdog_while_he_holds_it(void **state) {
        struct rig *rig = rig_here(state);
        struct plan plan = { .path = rig_identity(rig, "his", N_PAGES) };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct child *child;
        char text[512] = "";

        if (geteuid() != 0 || access("/dev/userfaultfd", R_OK | W_OK) < 0) {
                print_message("skipped: needs root and /dev/userfaultfd\n");
                skip();
        }
        assert_int_equal(chown(plan.path, OTHER_UID, OTHER_UID), 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", rig->dir);
        assert_int_equal(bind(notify, (struct sockaddr *) &address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
        setenv("WATCHDOG_USEC", "400000", 1);
        rig_daemon(rig, RIG_SMALL_POOL, "--socket-mode", "0666", NULL);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        plan.address = rig_address(rig);
        child = rig_child(rig, hold_lock, &plan);
        assert_int_equal(child_hear(child->line), 1);
        while (!daemonproc_says(&rig->daemon, "have waited in the kernel"))
                while (recv(notify, text, sizeof(text), MSG_DONTWAIT) > 0) /* its queue is short */
                        ;
        assert_true(daemon_is_stuck(rig));
        for (unsigned n = 0; n < 4;) {
                ssize_t length = recv(notify, text, sizeof(text) - 1, 0); /* the watchdog of the test sets the end */

                assert_true(length > 0);
                text[length] = '\0';
                n += strcmp(text, "WATCHDOG=1") == 0;
        }
        assert_true(daemon_is_stuck(rig));
        assert_false(daemonproc_says(&rig->daemon, "have not answered"));
        child_kill(child);
        close(notify);
}

/* --- loads that do not end ------------------------------------------------------------------------------------------------------------------------- */

#define LOADS_HANDLES 12u
#define LOADS_BYTES (UINT64_C(1) << 20)
#define LOADS_POOL "4M" /* of which his loads may have a quarter */
#define LOADS_PAGES 512 /* half of it */

/* Asks for much, and answers nothing until he is told to. */
static int answer_late(int line, void *arg) {
        const struct plan *plan = arg;
        struct opsfile *file = opsfile_new(LOADS_BYTES, RIG_PAGE);
        struct bf_open_opts opts = { .size = sizeof(opts), .name = "late", .block_size = RIG_PAGE };
        struct bf_fileh *own, *filehs[LOADS_HANDLES];
        struct bf_client *client;

        child_hear(line);
        child_become(OTHER_UID);
        CHILD_CHECK(bf_connect(&client, plan->address) == 0);
        CHILD_CHECK(bf_open_ops(client, &opsfile_ops, file, LOADS_BYTES, &opts, &own) == 0);
        opsfile_hold(file, OPSFILE_LOAD, OPSFILE_ANY);
        for (unsigned i = 0; i < LOADS_HANDLES; i++) {
                CHILD_CHECK(bf_open(client, "ops:late", O_RDWR, NULL, &filehs[i]) == 0);
                CHILD_CHECK(bf_advise(filehs[i], 0, LOADS_BYTES, BF_ADVICE_WILLNEED) == 0);
        }
        child_say(line, 1);
        child_hear(line);
        for (unsigned i = 0; i < LOADS_HANDLES / 2; i++) /* some have begun to load, and most wait */
                CHILD_CHECK(bf_invalidate(filehs[i], 0, LOADS_BYTES) == 0 && bf_close(filehs[i]) == 0);
        opsfile_release(file, OPSFILE_LOAD);
        for (unsigned i = LOADS_HANDLES / 2; i < LOADS_HANDLES; i++)
                CHILD_CHECK(bf_load(filehs[i], 0, LOADS_BYTES) == 0);
        for (unsigned i = LOADS_HANDLES / 2; i < LOADS_HANDLES; i++)
                CHILD_CHECK(bf_close(filehs[i]) == 0);
        child_say(line, 2);
        child_hear(line);
        return 0;
}

/* Nobody but the bystander has anything. */
static bool is_alone(const struct bystander *bystander) {
        struct bf_pool_stat now = rig_pool_stat(bystander->client);

        return now.peers == 1 && now.filehs == 1 && now.resident_bytes == bystander->pool.resident_bytes;
}

static void test_one_whose_loads_do_not_end(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "honest", LOADS_PAGES);
        struct bystander bystander;
        struct bf_fileh *fileh;
        struct child *child;
        struct plan plan;

        if (geteuid() != 0 || access("/dev/userfaultfd", R_OK | W_OK) < 0) {
                print_message("skipped: needs root and /dev/userfaultfd\n");
                skip();
        }
        rig_daemon(rig, "--pool", LOADS_POOL, "--pagers", "2", "--room-timeout", "0.2", "--socket-mode", "0666", RIG_NO_SPILL, NULL);
        plan.address = rig_address(rig);
        child = rig_child(rig, answer_late, &plan);
        bystander_begin(rig, &bystander);
        child_say(child->line, 1);
        assert_int_equal(child_hear(child->line), 1);
        while (rig_pool_stat(bystander.client).resident_bytes < LOADS_BYTES)
                sched_yield();
        for (unsigned i = 0; i < 10; i++) {
                fileh = rig_open(bystander.client, path, O_RDWR, 0);
                assert_int_equal(bf_load(fileh, 0, LOADS_PAGES * RIG_PAGE), 0);
                assert_int_equal(bf_close(fileh), 0);
        }
        assert_all_works(rig, &bystander, path);
        child_say(child->line, 1);
        assert_int_equal(child_hear(child->line), 2);
        child_say(child->line, 1);
        assert_int_equal(child_wait(child), 0);
        while (!is_alone(&bystander))
                sched_yield();
        assert_all_works(rig, &bystander, path);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_one_who_holds_the_lock_of_his_memory),
                RIG_TEST(test_the_watchdog_while_he_holds_it),
                RIG_TEST(test_one_whose_loads_do_not_end),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("hostile_users", tests, NULL, NULL);
}
