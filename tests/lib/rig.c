/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Owns what a test set up, and takes it down in the order in which nothing can hang on what is gone. It knows cmocka, and no rule that is tested. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define JOIN_SECONDS 5
#define OPTIONS_MAX 16

/* BF_TEST=PATTERN: those tests of a program alone. */
__attribute__((constructor)) static void rig_filter(void) {
        const char *pattern = getenv("BF_TEST");

        if (pattern)
                cmocka_set_test_filter(pattern);
}

int rig_setup(void **state) {
        struct rig *rig;

        watchdog_arm(*state, 0);
        rig = calloc(1, sizeof(*rig));
        if (!rig || tempfile_dir(rig->dir, sizeof(rig->dir)) < 0) {
                free(rig);
                return -1;
        }
        *state = rig;
        return 0;
}

struct rig *rig_here(void **state) {
        struct rig *rig = *state;

        if (!rig->ready)
                probe_install();
        rig->ready = true;
        return rig;
}

static bool join_soon(struct worker *worker) {
        struct timespec until;

        if (worker->joined)
                return true;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += JOIN_SECONDS;
        worker->joined = pthread_timedjoin_np(worker->thread, NULL, &until) == 0;
        return worker->joined;
}

/* A test that failed may have left threads at work: let go of what is held, then take away the daemon; who still is not done cannot be left
 * behind. */
static bool end_workers(struct rig *rig) {
        bool left = false;

        for (size_t i = 0; i < rig->n_workers; i++)
                left |= !rig->workers[i]->joined;
        if (!left)
                return true;
        probe_install();
        for (size_t i = 0; i < rig->n_workers; i++) {
                if (!join_soon(rig->workers[i]) && rig->daemon.pid > 0)
                        daemonproc_kill(&rig->daemon);
                if (!join_soon(rig->workers[i])) {
                        fprintf(stderr, "rig: a thread of the test cannot be ended\n");
                        _exit(1);
                }
        }
        return false;
}

int rig_teardown(void **state) {
        struct rig *rig = *state;
        bool well;

        for (size_t i = 0; i < rig->n_heldfs; i++)
                heldfs_clear(rig->heldfs[i]);
        if (rig->n_disks > 0)
                probe_install(); /* what they hold ends with an error */
        for (size_t i = 0; i < rig->n_disks; i++)
                nbddisk_stop(rig->disks[i]);
        for (size_t i = 0; i < rig->n_children; i++)
                child_kill(&rig->children[i]);
        well = end_workers(rig);
        for (size_t i = 0; i < rig->n_clients; i++)
                bf_disconnect(rig->clients[i]);
        if (rig->daemon.pid > 0)
                well &= daemonproc_stop(&rig->daemon) == 0;
        for (size_t i = 0; i < rig->n_heldfs; i++)
                heldfs_stop(rig->heldfs[i]);
        for (size_t i = 0; i < rig->n_nbds; i++)
                nbdserver_end(&rig->nbds[i]);
        for (size_t i = 0; i < rig->n_workers; i++)
                worker_free(rig->workers[i]);
        free(rig);
        return well ? 0 : -1;
}

void rig_daemon(struct rig *rig, ...) {
        const char *options[OPTIONS_MAX] = {};
        va_list args;
        size_t n = 0;

        va_start(args, rig);
        for (const char *option = va_arg(args, const char *); option; option = va_arg(args, const char *)) {
                assert_true(n < OPTIONS_MAX - 1);
                options[n++] = option;
        }
        va_end(args);
        assert_int_equal(rig->daemon.pid, 0);
        assert_int_equal(daemonproc_start(&rig->daemon, rig->dir, options), 0);
}

const char *rig_address(struct rig *rig) {
        snprintf(rig->address, sizeof(rig->address), "unix:%s", rig->daemon.socket);
        return rig->address;
}

struct bf_client *rig_client(struct rig *rig) {
        int r;

        assert_true(rig->n_clients < RIG_LIST_MAX);
        r = bf_connect(&rig->clients[rig->n_clients], rig_address(rig));
        if (r == -EPERM && geteuid() != 0) {
                print_message("skipped: %s\n", bf_errmsg());
                skip();
        }
        assert_int_equal(r, 0);
        return rig->clients[rig->n_clients++];
}

void rig_disconnect(struct rig *rig, struct bf_client *client) {
        for (size_t i = 0; i < rig->n_clients; i++)
                if (rig->clients[i] == client)
                        rig->clients[i] = NULL;
        bf_disconnect(client);
}

const char *rig_path(struct rig *rig, const char *name) {
        char *path;

        assert_true(rig->n_paths < RIG_LIST_MAX);
        path = rig->paths[rig->n_paths++];
        snprintf(path, sizeof(rig->paths[0]), "%s/%s", rig->dir, name);
        return path;
}

const char *rig_identity(struct rig *rig, const char *name, uint64_t n_blocks) {
        const char *path = rig_path(rig, name);

        assert_int_equal(tempfile_make_identity(path, n_blocks, RIG_PAGE), 0);
        return path;
}

struct heldfs *rig_heldfs_with(struct rig *rig, const struct heldfs_opts *opts) {
        int r;

        assert_true(rig->n_heldfs < RIG_LIST_MAX);
        r = heldfs_start(&rig->heldfs[rig->n_heldfs], opts);
        if (r == -ENODEV || r == -EPERM) {
                print_message("skipped: %s\n", r == -ENODEV ? "there is no /dev/fuse" : "this process may not mount");
                skip();
        }
        assert_int_equal(r, 0);
        return rig->heldfs[rig->n_heldfs++];
}

struct nbddisk *rig_disk(struct rig *rig, uint64_t n_blocks, const char *const *args) {
        int r;

        assert_true(rig->n_disks < RIG_LIST_MAX);
        r = nbddisk_start(&rig->disks[rig->n_disks], n_blocks, args);
        if (r == -ENODEV || r == -EPERM) {
                print_message("skipped: no disk over nbdkit and nbdfuse here: %s\n", strerror(-r));
                skip();
        }
        assert_int_equal(r, 0);
        return rig->disks[rig->n_disks++];
}

static struct nbdserver *start_nbd(struct rig *rig, void (*init)(struct nbdserver *, const char *, const char *, const char *const *),
                                   const char *const *args) {
        struct nbdserver *server = &rig->nbds[rig->n_nbds];
        char name[10];
        int r;

        assert_true(rig->n_nbds < RIG_LIST_MAX);
        snprintf(name, sizeof(name), "nbd%zu", rig->n_nbds++);
        init(server, rig->dir, name, args);
        r = nbdserver_start(server);
        if (r == -ENOENT) {
                print_message("skipped: there is no %s here\n", server->argv[0]);
                skip();
        }
        assert_int_equal(r, 0);
        return server;
}

struct nbdserver *rig_nbdkit(struct rig *rig, const char *const *args) {
        return start_nbd(rig, nbdserver_init_nbdkit, args);
}

struct nbdserver *rig_nbdkit_tcp(struct rig *rig, const char *const *args) {
        return start_nbd(rig, nbdserver_init_tcp, args);
}

struct nbdserver *rig_qemu_nbd(struct rig *rig, const char *const *args) {
        return start_nbd(rig, nbdserver_init_qemu, args);
}

const char *rig_allow_nbd(struct rig *rig) {
        char *prefix = rig->paths[rig->n_paths];

        assert_true(rig->n_paths < RIG_LIST_MAX);
        snprintf(prefix, sizeof(rig->paths[0]), "nbd+unix:///?socket=%s/", rig->dir);
        return rig->paths[rig->n_paths++];
}

struct heldfs *rig_heldfs(struct rig *rig, uint64_t n_blocks) {
        return rig_heldfs_with(rig, &(struct heldfs_opts) { .size = n_blocks * RIG_PAGE, .block_size = RIG_PAGE });
}

struct heldfs *rig_heldfs_synchronous(struct rig *rig, uint64_t n_blocks) {
        return rig_heldfs_with(rig, &(struct heldfs_opts) { .size = n_blocks * RIG_PAGE, .block_size = RIG_PAGE, .is_synchronous = true });
}

struct child *rig_child(struct rig *rig, int (*fn)(int line, void *arg), void *arg) {
        assert_true(rig->n_children < RIG_LIST_MAX);
        assert_int_equal(child_start(&rig->children[rig->n_children], fn, arg), 0);
        return &rig->children[rig->n_children++];
}

struct worker *rig_worker(struct rig *rig, void (*fn)(struct worker *worker), void *at, void *object, uint64_t a, uint64_t b) {
        assert_true(rig->n_workers < RIG_LIST_MAX);
        rig->workers[rig->n_workers] = worker_new(fn, at, object, a, b);
        return rig->workers[rig->n_workers++];
}

struct bf_fileh *rig_open(struct bf_client *client, const char *path, int oflag, uint32_t flags) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = flags, .block_size = RIG_PAGE };
        struct bf_fileh *fileh;

        assert_int_equal(bf_open(client, path, oflag, &opts, &fileh), 0);
        assert_int_equal(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM), 0);
        return fileh;
}

uint64_t *rig_map(struct bf_fileh *fileh, uint64_t page, size_t n_pages) {
        void *map;

        assert_int_equal(bf_mmap(fileh, page * RIG_PAGE, n_pages * RIG_PAGE, PROT_READ | PROT_WRITE, &map), 0);
        return map;
}

volatile uint64_t *rig_word(uint64_t *map, size_t page, size_t word) {
        return map + page * (RIG_PAGE / sizeof(*map)) + word;
}

struct bf_stat rig_stat(struct bf_fileh *fileh) {
        struct bf_stat stat;

        assert_int_equal(bf_stat(fileh, &stat), 0);
        return stat;
}

struct bf_pool_stat rig_pool_stat(struct bf_client *client) {
        struct bf_pool_stat stat;

        assert_int_equal(bf_pool_stat(client, &stat), 0);
        return stat;
}

void rig_wait_resident(struct bf_client *client, uint64_t bytes) {
        while (rig_pool_stat(client).resident_bytes != bytes)
                sched_yield();
}

void rig_wait_spilled(struct bf_fileh *fileh, uint64_t first, uint64_t n) {
        for (uint64_t page = first; page < first + n; page++)
                while (bf_page_state(fileh, page * RIG_PAGE) != BF_PAGE_SPILLED)
                        sched_yield();
}

unsigned rig_count_fds(struct rig *rig, struct bf_client *client) {
        struct daemonproc_usage usage;

        (void) rig_pool_stat(client);
        assert_int_equal(daemonproc_usage(&rig->daemon, &usage), 0);
        return usage.n_fds;
}

void rig_wait_fds(struct rig *rig, struct bf_client *client, unsigned n_fds) {
        while (rig_count_fds(rig, client) != n_fds)
                sched_yield();
}

uint64_t rig_file_word(const char *path, uint64_t page) {
        uint64_t word;

        assert_int_equal(tempfile_read(path, page * RIG_PAGE, &word, sizeof(word)), 0);
        return word;
}

void rig_reclaim(struct bf_client *client, size_t n_pages) {
        uint64_t reclaimed;

        assert_int_equal(bf_pool_reclaim(client, n_pages * RIG_PAGE, &reclaimed), 0);
        assert_int_equal(reclaimed, n_pages * RIG_PAGE);
}
