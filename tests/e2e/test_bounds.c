/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What must stay within its bounds: the memory of the pool, looked at a hundred times a second, and what is left of very many clients. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rawpeer.h"
#include "tempfile.h"
#include "watchdog.h"

/* So large that a fifth more has room for what the daemon needs beside the pool: buffers of some 13 MiB. */
#define POOL_BYTES (UINT64_C(256) << 20)
#define N_PAGES (10 * POOL_BYTES / RIG_PAGE)
#define N_CONNECTS 10000
#define N_CONNECTED 50 /* at a time */

/* --- the pool ------------------------------------------------------------------------------------------------------------------------------------- */

static char group[128]; /* a memory control group of the first version */

static bool group_write(const char *file, uint64_t number) {
        char path[256];
        FILE *f;
        int n;

        snprintf(path, sizeof(path), "%s/%s", group, file);
        f = fopen(path, "we");
        if (!f)
                return false;
        n = fprintf(f, "%llu\n", (unsigned long long) number);
        return fclose(f) == 0 && n > 0;
}

static uint64_t group_read(const char *file) {
        unsigned long long number = 0;
        char path[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", group, file);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%llu", &number), 1);
        fclose(f);
        return number;
}

static void group_make(uint64_t limit) {
        snprintf(group, sizeof(group), "/sys/fs/cgroup/memory/bigfiled-test-%d", (int) getpid());
        if (mkdir(group, 0755) < 0 || !group_write("memory.limit_in_bytes", limit)) {
                (void) rmdir(group);
                print_message("skipped: no memory control group of the first version can be made here\n");
                skip();
        }
}

struct user {
        const char *path;
        const char *address;
};

/* A page of so many is written: what is stored of them lies in the group's page cache, which the kernel does not keep it from filling faster than the disk takes it. */
#define PAGES_A_WRITE 128

/* Reads ten pools' worth of pages, and writes some, all over. */
static int use_it_all(int line, void *arg) {
        const struct user *user = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        volatile uint64_t *words;
        void *map;

        (void) child_hear(line); /* until it is in its group */
        CHILD_CHECK(bf_connect(&client, user->address) == 0);
        CHILD_CHECK(bf_open(client, user->path, O_RDWR, NULL, &fileh) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, &map) == 0);
        words = map;
        for (uint64_t page = 0; page < N_PAGES; page++) {
                CHILD_CHECK(words[page * RIG_PAGE / sizeof(*words)] == 0);
                if (page % PAGES_A_WRITE == 0)
                        words[page * RIG_PAGE / sizeof(*words)] = page + 1;
                if (page == N_PAGES / 2)
                        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC) == 0);
        }
        CHILD_CHECK(bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC) == 0);
        bf_disconnect(client);
        return 0;
}

static void test_pool_in_a_memory_group(void **state) {
        const struct timespec moment = { .tv_nsec = 10000000 };
        struct rig *rig = rig_here(state);
        struct user user = { .path = rig_path(rig, "large") };
        struct child *child;
        struct bf_client *client;
        uint64_t resident_max = 0, usage_max = 0, n = 0;
        siginfo_t info = { .si_pid = 0 };

        assert_int_equal(tempfile_make_sparse(user.path, N_PAGES * RIG_PAGE), 0);
        group_make(POOL_BYTES / 10 * 12);
        rig_daemon(rig, "--pool", "256M", "--spill-dir", rig->dir, NULL);
        user.address = rig_address(rig);
        child = rig_child(rig, use_it_all, &user);
        assert_true(group_write("cgroup.procs", (uint64_t) rig->daemon.pid) && group_write("cgroup.procs", (uint64_t) child->pid));
        client = rig_client(rig);
        child_say(child->line, 0);
        for (; info.si_pid == 0; n++) {
                uint64_t resident = rig_pool_stat(client).resident_bytes, usage = group_read("memory.usage_in_bytes");

                resident_max = resident > resident_max ? resident : resident_max;
                usage_max = usage > usage_max ? usage : usage_max;
                assert_in_range(resident, 0, POOL_BYTES);
                nanosleep(&moment, NULL);
                assert_int_equal(waitid(P_PID, (id_t) child->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        }
        print_message("%llu looks: at most %llu of %llu KiB in the pool, %llu of %llu KiB in the group\n", (unsigned long long) n,
                      (unsigned long long) resident_max >> 10, (unsigned long long) POOL_BYTES >> 10, (unsigned long long) usage_max >> 10,
                      (unsigned long long) POOL_BYTES / 10 * 12 >> 10);
        assert_int_equal(child_wait(child), 0); /* nobody was killed for want of memory */
        assert_int_equal(rig_file_word(user.path, N_PAGES - PAGES_A_WRITE), N_PAGES - PAGES_A_WRITE + 1);
        assert_true(resident_max > POOL_BYTES / 2);
}

/* --- clients -------------------------------------------------------------------------------------------------------------------------------------- */

static void test_ten_thousand_connects(void **state) {
        struct rig *rig = rig_here(state);
        int lines[N_CONNECTED];
        struct bf_client *client;
        unsigned n_fds;

        rig_daemon(rig, "--pool", "1M", NULL);
        client = rig_client(rig);
        n_fds = rig_count_fds(rig, client);
        for (unsigned i = 0; i < N_CONNECTS / N_CONNECTED; i++) {
                for (unsigned j = 0; j < N_CONNECTED; j++)
                        lines[j] = j % 2 ? rawpeer_connect(rig) : rawpeer_greet(rig, NULL);
                for (unsigned j = 0; j < N_CONNECTED; j++)
                        close(lines[j]);
        }
        while (rig_pool_stat(client).peers != 1)
                ;
        rig_wait_fds(rig, client, n_fds);
}

static int leave_group(void **state) {
        int r = rig_teardown(state);

        if (group[0])
                (void) rmdir(group);
        return r;
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                { "test_pool_in_a_memory_group", test_pool_in_a_memory_group, rig_setup, leave_group, (void *) (uintptr_t) "test_pool_in_a_memory_group" },
                RIG_TEST(test_ten_thousand_connects),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("bounds", tests, NULL, NULL);
}
