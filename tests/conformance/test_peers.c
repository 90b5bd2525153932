/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clients that die, at whatever moment, or stand still: rule 29. Everything of theirs goes, nothing of it is stored, nobody else notices. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 200

/* What a child is to do: up to the moment at which it is killed. */
struct plan {
        const char *address;
        const char *path;
        void (*act)(struct bf_fileh *fileh, uint64_t *map);
};

static int run_plan(int line, void *arg) {
        const struct plan *plan = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;

        CHILD_CHECK(bf_connect(&client, plan->address) == 0);
        CHILD_CHECK(bf_open(client, plan->path, O_RDWR, NULL, &fileh) == 0);
        CHILD_CHECK(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        child_say(line, 1);
        plan->act(fileh, map);
        child_say(line, 2);
        child_hear(line);
        return 0;
}

/* The daemon as it is when it serves only the rig's own client. */
struct baseline {
        struct bf_pool_stat stat;
        struct daemonproc_usage usage;
};

static struct baseline take_baseline(struct rig *rig) {
        struct baseline baseline = { .stat = rig_pool_stat(rig->clients[0]) };

        assert_int_equal(daemonproc_usage(&rig->daemon, &baseline.usage), 0);
        return baseline;
}

/* Waits until all counts are as they were: that is what is promised, and the watchdog's patience its limit. */
static void wait_for_baseline(struct rig *rig, const struct baseline *baseline) {
        struct baseline now;

        do {
                sched_yield();
                now = take_baseline(rig);
        } while (now.stat.peers != baseline->stat.peers || now.stat.filehs != baseline->stat.filehs ||
                 now.stat.mappings != baseline->stat.mappings || now.stat.resident_bytes != baseline->stat.resident_bytes ||
                 now.stat.dirty_bytes != baseline->stat.dirty_bytes || now.usage.n_fds != baseline->usage.n_fds);
}

static void dirty_pages(struct bf_fileh *fileh, uint64_t *map) {
        (void) fileh;
        for (uint64_t page = 0; page < 20; page++)
                *rig_word(map, page, 0) = 666;
        for (uint64_t page = 20; page < 40; page++)
                CHILD_CHECK(*rig_word(map, page, 0) == page);
}

/* rule 29: killed with dirty pages; ended by _exit() without a word */
static void test_death_with_dirty_pages(void **state) {
        struct rig *rig = rig_here(state);
        struct plan plan = { .act = dirty_pages };
        struct daemonproc_usage before, after;
        struct child *children[2];

        rig_daemon(rig, "--pool", "64M", "--pagers", "1", NULL);
        assert_int_equal(daemonproc_usage(&rig->daemon, &before), 0);
        plan.address = rig_address(rig);
        plan.path = rig_identity(rig, "data", N_PAGES);
        for (size_t i = 0; i < 2; i++) {
                children[i] = rig_child(rig, run_plan, &plan);
                assert_int_equal(child_hear(children[i]->line), 1);
                assert_int_equal(child_hear(children[i]->line), 2);
        }
        assert_int_equal(rig_pool_stat(rig_client(rig)).peers, 3);
        assert_int_equal(rig_pool_stat(rig->clients[0]).dirty_bytes, 40 * RIG_PAGE);
        child_kill(children[0]);
        child_say(children[1]->line, 3);
        assert_int_equal(child_wait(children[1]), 0);
        while (rig_pool_stat(rig->clients[0]).peers != 1)
                sched_yield();
        while (rig_pool_stat(rig->clients[0]).resident_bytes != 0)
                sched_yield();
        assert_int_equal(rig_pool_stat(rig->clients[0]).filehs, 0);
        assert_int_equal(rig_pool_stat(rig->clients[0]).dirty_bytes, 0);
        assert_int_equal(rig_pool_stat(rig->clients[0]).stores, 0);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(plan.path, page), page);
        rig_disconnect(rig, rig->clients[0]);
        do
                assert_int_equal(daemonproc_usage(&rig->daemon, &after), 0);
        while (after.n_fds != before.n_fds);
}

static void touch_held_page(struct bf_fileh *fileh, uint64_t *map) {
        (void) fileh;
        *rig_word(map, 50, 0) = 1;
}

static void load_held_page(struct bf_fileh *fileh, uint64_t *map) {
        (void) map;
        bf_load(fileh, 48 * RIG_PAGE, 4 * RIG_PAGE);
}

static void advise_held_page(struct bf_fileh *fileh, uint64_t *map) {
        (void) map;
        bf_advise(fileh, 48 * RIG_PAGE, 4 * RIG_PAGE, BF_ADVICE_WILLNEED);
}

static void store_held_page(struct bf_fileh *fileh, uint64_t *map) {
        for (uint64_t page = 40; page < 60; page += 2)
                *rig_word(map, page, 0) = page + 1000;
        bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC);
}

/* Opens the file, reads a page, and stores another word of it. */
static void open_and_look(struct worker *worker) {
        struct bf_fileh *fileh;
        uint64_t *map;

        worker->result = bf_open(worker->object, worker->at, O_RDWR, NULL, &fileh);
        if (worker->result == 0)
                worker->result = bf_mmap(fileh, worker->a * RIG_PAGE, RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map);
        if (worker->result < 0)
                return;
        if (*map != worker->a + 1000)
                worker->result = -EIO;
        *map = 7;
        if (worker->result == 0)
                worker->result = bf_writeout(fileh, RIG_STORE_MARK);
}

static void sync_held(struct bf_fileh *fileh, uint64_t *map) {
        *rig_word(map, 1, 0) = 1001;
        bf_writeout(fileh, RIG_STORE_MARK | BF_WRITEOUT_SYNC);
}

static void discard_beside_held_store(struct bf_fileh *fileh, uint64_t *map) {
        struct worker *writeout, *discard;

        *rig_word(map, 50, 0) = 1050;
        writeout = worker_new(worker_writeout, NULL, fileh, RIG_STORE_MARK, 0);
        while (bf_page_state(fileh, 50 * RIG_PAGE) != BF_PAGE_STORING)
                sched_yield();
        discard = worker_new(worker_discard, NULL, fileh, 0, 0);
        *rig_word(map, 50, 1) = 1;
        worker_join(writeout);
        worker_join(discard);
}

struct moment {
        void (*act)(struct bf_fileh *fileh, uint64_t *map);
        enum heldfs_op op;
        uint64_t block;
};

/* rule 29: killed while a load, a store or a flush of its handle is under way, and in the fault that waits for it */
static void test_death_in_the_middle(void **state) {
        static const struct moment moments[] = {
                { touch_held_page, HELDFS_READ, 50 },  { load_held_page, HELDFS_READ, 50 }, { advise_held_page, HELDFS_READ, 50 },
                { store_held_page, HELDFS_WRITE, 50 }, { sync_held, HELDFS_FSYNC, HELDFS_ANY }, { discard_beside_held_store, HELDFS_WRITE, 50 },
        };
        struct rig *rig = rig_here(state);
        struct heldfs *heldfs;
        struct plan plan;
        unsigned n_fds; /* of the daemon with the rig's own client */

        rig_daemon(rig, "--pool", "64M", "--pagers", "1", NULL);
        n_fds = rig_count_fds(rig, rig_client(rig));
        rig_disconnect(rig, rig->clients[0]);
        rig->n_clients = 0;
        heldfs = rig_heldfs(rig, N_PAGES);
        plan = (struct plan) { .address = rig_address(rig), .path = heldfs_path(heldfs) };
        for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
                struct baseline baseline;
                struct child *child;

                plan.act = moments[i].act;
                heldfs_hold(heldfs, moments[i].op, moments[i].block, HELDFS_ALWAYS);
                child = rig_child(rig, run_plan, &plan);
                assert_int_equal(child_hear(child->line), 1);
                heldfs_wait(heldfs, moments[i].op, moments[i].block, 1);
                child_kill(child);
                rig_client(rig);
                while (rig_pool_stat(rig->clients[0]).peers != 1 || rig_pool_stat(rig->clients[0]).mappings != 0)
                        sched_yield();
                heldfs_clear(heldfs);
                while (rig_pool_stat(rig->clients[0]).resident_bytes != 0 || rig_pool_stat(rig->clients[0]).filehs != 0)
                        sched_yield();
                baseline = take_baseline(rig);
                assert_int_equal(baseline.stat.dirty_bytes, 0);
                for (uint64_t page = 0; page < N_PAGES; page++) {
                        uint64_t stored = *(uint64_t *) heldfs_content(heldfs, page * RIG_PAGE);

                        assert_true(stored == page || stored == page + 1000);
                }
                rig_wait_fds(rig, rig->clients[0], n_fds); /* the dead one's requests have ended: what is held next is the next one's */
                rig_disconnect(rig, rig->clients[0]);
                rig->n_clients = 0;
        }
}

/* what a dead client's writeout had under way is in the file before anyone who opens it anew can read or store */
static void test_stores_of_the_dead_come_first(void **state) {
        struct rig *rig = rig_here(state);
        struct plan plan = { .act = store_held_page };
        struct heldfs *heldfs;
        struct worker *opener;
        struct child *child;
        uint64_t n_loads;

        rig_daemon(rig, "--pool", "64M", "--pagers", "1", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        plan.address = rig_address(rig);
        plan.path = heldfs_path(heldfs);
        heldfs_hold(heldfs, HELDFS_WRITE, 50, HELDFS_ALWAYS);
        child = rig_child(rig, run_plan, &plan);
        assert_int_equal(child_hear(child->line), 1);
        heldfs_wait(heldfs, HELDFS_WRITE, 50, 1);
        child_kill(child);
        n_loads = rig_pool_stat(rig_client(rig)).loads;
        opener = rig_worker(rig, open_and_look, (void *) plan.path, rig->clients[0], 50, 0);
        worker_wait_call(opener);
        (void) rig_open(rig->clients[0], rig_identity(rig, "another", N_PAGES), O_RDWR, 0); /* which waits for nobody */
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(rig_pool_stat(rig->clients[0]).loads, n_loads);
        assert_false(worker_is_done(opener));
        heldfs_clear(heldfs);
        worker_join(opener);
        assert_int_equal(opener->result, 0);
        assert_int_equal(*(uint64_t *) heldfs_content(heldfs, 50 * RIG_PAGE), 7);
}

/* Does all sorts of things, without end. */
static void do_anything(struct bf_fileh *fileh, uint64_t *map) {
        unsigned seed = (unsigned) getpid();

        for (;;) {
                uint64_t page = (uint64_t) rand_r(&seed) % N_PAGES;
                void *other;

                switch (rand_r(&seed) % 16) {
                case 0:
                        bf_writeout(fileh, RIG_STORE_MARK);
                        break;
                case 1:
                        bf_discard(fileh);
                        break;
                case 2:
                        bf_invalidate(fileh, page * RIG_PAGE, 8 * RIG_PAGE);
                        break;
                case 3:
                        if (bf_mmap(fileh, page * RIG_PAGE, RIG_PAGE, PROT_READ, &other) == 0)
                                bf_munmap(other);
                        break;
                case 4:
                        bf_advise(fileh, 0, 50 * RIG_PAGE, BF_ADVICE_WILLNEED);
                        break;
                case 5:
                        bf_load(fileh, page * RIG_PAGE, RIG_PAGE);
                        break;
                default:
                        *rig_word(map, page % 30, 1) = *rig_word(map, N_PAGES - 1 - page, 1); /* 30: never all of the pool */
                }
        }
}

/* rule 29: killed anywhere, again and again, in a pool that is short; a bystander's data are as they should be all the time */
static void test_death_at_any_moment(void **state) {
        struct rig *rig = rig_here(state);
        struct baseline baseline;
        struct plan plan = { .act = do_anything };
        struct bf_fileh *fileh;
        uint64_t *map;
        const char *path;

        rig_daemon(rig, RIG_SMALL_POOL, "--pagers", "1", NULL);
        plan.address = rig_address(rig);
        plan.path = rig_identity(rig, "busy", N_PAGES);
        path = rig_identity(rig, "data", N_PAGES);
        fileh = rig_open(rig_client(rig), path, O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        *rig_word(map, 0, 1) = 4711;
        baseline = take_baseline(rig);
        for (uint64_t i = 0; i < 40; i++) {
                struct child *child = rig_child(rig, run_plan, &plan);

                assert_int_equal(child_hear(child->line), 1);
                for (uint64_t page = 0; page < 10 + i * 7; page++) /* the more, the later it dies */
                        assert_int_equal(*rig_word(map, page % N_PAGES, 0), page % N_PAGES);
                child_kill(child);
                assert_int_equal(*rig_word(map, 0, 1), 4711);
                assert_int_equal(bf_pool_reclaim(rig->clients[0], 0, NULL), 0);
        }
        while (rig_pool_stat(rig->clients[0]).peers != 1)
                sched_yield();
        assert_int_equal(bf_pool_reclaim(rig->clients[0], 0, NULL), 0);
        wait_for_baseline(rig, &baseline);
}

/* a client that stands still, with a fault and a request unanswered, delays nobody, and is served when it goes on */
static void test_a_stopped_client(void **state) {
        struct rig *rig = rig_here(state);
        struct plan plan = { .act = touch_held_page };
        struct heldfs *heldfs;
        struct child *child;
        struct bf_fileh *fileh;
        uint64_t *map;

        rig_daemon(rig, RIG_SMALL_POOL, "--pagers", "1", NULL);
        heldfs = rig_heldfs(rig, N_PAGES);
        plan.address = rig_address(rig);
        plan.path = heldfs_path(heldfs);
        heldfs_hold(heldfs, HELDFS_READ, 50, 1);
        child = rig_child(rig, run_plan, &plan);
        assert_int_equal(child_hear(child->line), 1);
        heldfs_wait(heldfs, HELDFS_READ, 50, 1);
        assert_int_equal(kill(child->pid, SIGSTOP), 0);
        heldfs_release(heldfs, HELDFS_READ, 50);
        fileh = rig_open(rig_client(rig), rig_identity(rig, "data", N_PAGES), O_RDWR, 0);
        map = rig_map(fileh, 0, N_PAGES);
        for (uint64_t i = 0; i < 5 * N_PAGES; i++) {
                uint64_t page = i * 37 % N_PAGES;

                assert_int_equal(*rig_word(map, page, 0), page);
                *rig_word(map, page, 1) = i;
                if (i % 16 == 0)
                        assert_int_equal(bf_writeout(fileh, RIG_STORE_MARK), 0);
        }
        assert_int_equal(rig_pool_stat(rig->clients[0]).peers, 2);
        assert_int_equal(kill(child->pid, SIGCONT), 0);
        assert_int_equal(child_hear(child->line), 2);
        child_say(child->line, 3);
        assert_int_equal(child_wait(child), 0);
}

/* connecting and going, many times: nothing is left */
static void test_many_come_and_go(void **state) {
        struct rig *rig = rig_here(state);
        struct baseline baseline;
        const char *path;

        rig_daemon(rig, "--pool", "64M", "--pagers", "1", NULL);
        path = rig_identity(rig, "data", N_PAGES);
        rig_client(rig);
        baseline = take_baseline(rig);
        for (uint64_t i = 0; i < 200; i++) {
                struct bf_client *client;
                struct bf_fileh *fileh;

                assert_int_equal(bf_connect(&client, rig->address), 0);
                if (i % 2) {
                        fileh = rig_open(client, path, O_RDWR, i % 4 == 1 ? BF_SHARED : 0);
                        *rig_word(rig_map(fileh, 0, N_PAGES), i % N_PAGES, 0) = i;
                }
                bf_disconnect(client);
        }
        wait_for_baseline(rig, &baseline);
        assert_int_equal(rig_pool_stat(rig->clients[0]).stores, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_death_with_dirty_pages),
                RIG_TEST(test_death_in_the_middle),
                RIG_TEST(test_stores_of_the_dead_come_first),
                RIG_TEST(test_death_at_any_moment),
                RIG_TEST(test_a_stopped_client),
                RIG_TEST(test_many_come_and_go),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
