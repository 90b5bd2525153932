/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* NBD servers that fail, hang, go and come back: what is asked of them waits, and nothing that they said they have on disk is lost. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_PAGES 64
#define STORE_MARK_SYNC (BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC)

struct scene {
        struct rig *rig;
        const char *path; /* of what the server has: identity */
        const char *trigger;
        struct nbdserver *server;
        struct bf_fileh *fileh;
        uint64_t *map; /* of all pages */
};

#define ARG_MAX_BYTES 128

static void start_daemon(struct scene *scene, const char *timeout) {
        rig_daemon(scene->rig, "--pool", "64M", "--allow-nbd", rig_allow_nbd(scene->rig), "--nbd-timeout", timeout, NULL);
        scene->fileh = rig_open(rig_client(scene->rig), scene->server->uri, O_RDWR, 0);
        scene->map = rig_map(scene->fileh, 0, N_PAGES);
}

/* nbdkit over a file. */
static struct scene start(struct rig *rig, const char *timeout) {
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "image", N_PAGES) };

        scene.server = rig_nbdkit(rig, (const char *[]) { "file", scene.path, NULL });
        start_daemon(&scene, timeout);
        return scene;
}

/* Requests of that kind fail with that error as long as the file scene.trigger is there. */
static struct scene start_failing(struct rig *rig, const char *op, const char *error) {
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "image", N_PAGES), .trigger = rig_path(rig, "trigger") };
        char rate[ARG_MAX_BYTES], what[ARG_MAX_BYTES], file[ARG_MAX_BYTES];

        snprintf(rate, sizeof(rate), "error-%s-rate=1", op);
        snprintf(what, sizeof(what), "error-%s=%s", op, error);
        snprintf(file, sizeof(file), "error-%s-file=%s", op, scene.trigger);
        scene.server = rig_nbdkit(rig, (const char *[]) { "--filter=error", "file", scene.path, rate, what, file, NULL });
        start_daemon(&scene, "30");
        return scene;
}

static void pull(const struct scene *scene) {
        assert_int_equal(tempfile_make_sparse(scene->trigger, 0), 0);
}

/* --- errors ------------------------------------------------------------------------------------------------------------------------------------- */

static void test_reads_fail(void **state) {
        struct scene scene = start_failing(rig_here(state), "pread", "EIO");
        struct probe_hit hit;

        pull(&scene);
        probe_read((const void *) (uintptr_t) rig_word(scene.map, 3, 0), NULL, &hit);
        assert_int_equal(hit.signo, SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_load(scene.fileh, 4 * RIG_PAGE, RIG_PAGE), -EIO);
        assert_int_equal(unlink(scene.trigger), 0);
        assert_int_equal(bf_invalidate(scene.fileh, 3 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
        assert_int_equal(*rig_word(scene.map, 4, 0), 4);
}

static void test_writes_fail(void **state) {
        struct scene scene = start_failing(rig_here(state), "pwrite", "ENOSPC");

        *rig_word(scene.map, 3, 0) = 33;
        pull(&scene);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -ENOSPC);
        assert_states(scene.fileh, 3, "D");
        assert_int_equal(unlink(scene.trigger), 0);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
        assert_states(scene.fileh, 3, "L");
        assert_int_equal(rig_file_word(scene.path, 3), 33);
}

/* nbdkit's error filter fails no flushes: a script does. */
static void test_flushes_fail(void **state) {
        struct rig *rig = rig_here(state);
        struct scene scene = { .rig = rig, .path = rig_identity(rig, "image", N_PAGES), .trigger = rig_path(rig, "trigger") };
        char flush[2 * ARG_MAX_BYTES], size[ARG_MAX_BYTES], read[2 * ARG_MAX_BYTES], write[2 * ARG_MAX_BYTES];

        snprintf(flush, sizeof(flush), "flush=if [ -e %s ]; then echo 'EIO as asked for' >&2; exit 1; fi", scene.trigger);
        snprintf(size, sizeof(size), "get_size=stat -c %%s %s", scene.path);
        snprintf(read, sizeof(read), "pread=dd if=%s iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none", scene.path);
        snprintf(write, sizeof(write), "pwrite=dd of=%s oflag=seek_bytes conv=notrunc seek=$4 iflag=fullblock status=none", scene.path);
        scene.server = rig_nbdkit(rig, (const char *[]) { "eval", size, read, write, flush, "can_write=exit 0", "can_flush=exit 0", NULL });
        start_daemon(&scene, "30");
        *rig_word(scene.map, 3, 0) = 33;
        pull(&scene);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 3, "D");
        assert_int_equal(unlink(scene.trigger), 0);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
        assert_states(scene.fileh, 3, "L");
}

/* --- a server that is gone ---------------------------------------------------------------------------------------------------------------------- */

static void test_idle_connection_is_lost(void **state) {
        struct scene scene = start(rig_here(state), "30");

        *rig_word(scene.map, 1, 0) = 11;
        nbdserver_kill(scene.server);
        assert_int_equal(nbdserver_start(scene.server), 0);
        assert_int_equal(*rig_word(scene.map, 2, 0), 2);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_file_word(scene.path, 1), 11);
}

/* A thread touches memory while there is no server, and gets its page when there is one. */
static void test_touch_waits_for_a_server(void **state) {
        struct scene scene = start(rig_here(state), "30");
        struct worker *reader, *writer;

        *rig_word(scene.map, 9, 0) = 99;
        nbdserver_kill(scene.server);
        reader = rig_worker(scene.rig, worker_read, (void *) (uintptr_t) rig_word(scene.map, 5, 0), NULL, 0, 0);
        worker_wait_fault(reader);
        writer = rig_worker(scene.rig, worker_writeout, NULL, scene.fileh, STORE_MARK_SYNC, 0);
        worker_wait_call(writer);
        assert_false(worker_is_done(reader));
        assert_int_equal(nbdserver_start(scene.server), 0);
        worker_join(reader);
        assert_int_equal(reader->value, 5);
        worker_join(writer);
        assert_int_equal(writer->result, 0);
        assert_int_equal(rig_file_word(scene.path, 9), 99);
}

static void test_waiting_has_an_end(void **state) {
        struct scene scene = start(rig_here(state), "0.2");
        struct probe_hit hit;

        *rig_word(scene.map, 9, 0) = 99;
        nbdserver_kill(scene.server);
        probe_read((const void *) (uintptr_t) rig_word(scene.map, 3, 0), NULL, &hit);
        assert_int_equal(hit.signo, SIGBUS);
        assert_int_equal(hit.error, EIO);
        assert_int_equal(bf_load(scene.fileh, 0, 9 * RIG_PAGE), -EIO);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 9, "D");
        assert_true(daemonproc_says(&scene.rig->daemon, "no connection"));

        assert_int_equal(nbdserver_start(scene.server), 0);
        while (bf_writeout(scene.fileh, STORE_MARK_SYNC) == -EIO) /* it does not try to connect all the time */
                usleep(1000);
        assert_states(scene.fileh, 9, "L");
        assert_int_equal(rig_file_word(scene.path, 9), 99);
        assert_int_equal(bf_invalidate(scene.fileh, 3 * RIG_PAGE, RIG_PAGE), 0);
        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
}

/* What it had taken, and not flushed, may be gone with it: that is told once, and is dirty again. */
static void test_unflushed_writes_are_in_doubt(void **state) {
        struct scene scene = start(rig_here(state), "30");
        uint64_t lost = 3;

        *rig_word(scene.map, 3, 0) = 33;
        assert_int_equal(bf_writeout(scene.fileh, RIG_STORE_MARK), 0);
        assert_int_equal(rig_file_word(scene.path, 3), 33);
        nbdserver_kill(scene.server);
        assert_int_equal(tempfile_write(scene.path, 3 * RIG_PAGE, &lost, sizeof(lost)), 0); /* as a power cut does */
        assert_int_equal(nbdserver_start(scene.server), 0);
        assert_int_equal(*rig_word(scene.map, 4, 0), 4);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 3, "D");
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
        assert_int_equal(rig_file_word(scene.path, 3), 33);

        nbdserver_kill(scene.server); /* all is flushed: no doubt */
        assert_int_equal(nbdserver_start(scene.server), 0);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), 0);
}

/* What comes back in its place and is too small, or read-only, is not taken for it. */
static void test_another_server_is_not_it(void **state) {
        struct scene scene = start(rig_here(state), "0.2");

        *rig_word(scene.map, 3, 0) = 33;
        nbdserver_kill(scene.server);
        assert_int_equal(truncate(scene.path, RIG_PAGE), 0);
        assert_int_equal(nbdserver_start(scene.server), 0);
        assert_int_equal(bf_writeout(scene.fileh, STORE_MARK_SYNC), -EIO);
        assert_states(scene.fileh, 3, "D");
        assert_int_equal(rig_file_word(scene.path, 0), 0);
        assert_true(daemonproc_says(&scene.rig->daemon, "smaller than it was"));
}

/* Who closes a file whose server is gone, or the daemon that ends, does not wait for it. */
static void test_end_without_a_server(void **state) {
        struct scene scene = start(rig_here(state), "1000");

        assert_int_equal(*rig_word(scene.map, 3, 0), 3);
        nbdserver_kill(scene.server);
        assert_int_equal(bf_munmap(scene.map), 0);
        assert_int_equal(bf_close(scene.fileh), 0);
}

/* --- killed under load -------------------------------------------------------------------------------------------------------------------------- */

#define N_KILLS 20
#define N_COMMITS_BETWEEN 3
#define N_LOADS 3

/* A thread with a handle of its own, which alone writes to its part of the file. */
struct load {
        struct bf_fileh *fileh;
        uint64_t *map;               /* of its part */
        uint64_t now[N_PAGES];       /* what each page has in memory */
        uint64_t committed[N_PAGES]; /* what a SYNC that ended well was about */
        atomic_uint n_commits;
        unsigned seed;
        struct worker *worker;
};

static struct load loads[N_LOADS];
static atomic_bool loads_are_over;

static uint64_t load_random(struct load *load) {
        return (uint64_t) rand_r(&load->seed);
}

static void load_write(struct load *load, uint64_t page) {
        uint64_t value = load_random(load) << 16 | page;

        for (size_t word = 0; word < RIG_PAGE / 8; word += 64)
                *rig_word(load->map, page, word) = value;
        load->now[page] = value;
}

static bool load_is_right(struct load *load, uint64_t page) {
        for (size_t word = 0; word < RIG_PAGE / 8; word += 64)
                if (*rig_word(load->map, page, word) != load->now[page])
                        return false;
        return true;
}

/* A commit that is told to have failed is asked again: all that it was about is dirty again. */
static int load_commit(struct load *load) {
        int r;

        do
                r = bf_writeout(load->fileh, STORE_MARK_SYNC);
        while (r == -EIO);
        if (r == 0)
                memcpy(load->committed, load->now, sizeof(load->now));
        atomic_fetch_add(&load->n_commits, r == 0);
        return r;
}

/* Until it is over: writes, commits, discards, and reads of what was dropped. .result: 0; .value: how many pages were wrong. */
static void load_run(struct worker *worker) {
        struct load *load = worker->object;

        while (!atomic_load(&loads_are_over) && worker->result == 0) {
                for (unsigned i = 0; i < 16; i++)
                        load_write(load, load_random(load) % N_PAGES);
                if (load_random(load) % 4 == 0) {
                        worker->result = bf_discard(load->fileh);
                        memcpy(load->now, load->committed, sizeof(load->now));
                } else
                        worker->result = load_commit(load);
                (void) bf_advise(load->fileh, 0, N_LOADS * N_PAGES * RIG_PAGE, BF_ADVICE_DONTNEED);
                for (uint64_t page = 0; page < N_PAGES; page++)
                        worker->value += !load_is_right(load, page);
        }
}

static void loads_start(struct rig *rig, const char *uri) {
        struct bf_client *client = rig_client(rig);

        atomic_store(&loads_are_over, false);
        for (unsigned i = 0; i < N_LOADS; i++) {
                loads[i] = (struct load) { .seed = i + 1, .fileh = rig_open(client, uri, O_RDWR, 0) };
                loads[i].map = rig_map(loads[i].fileh, i * N_PAGES, N_PAGES);
                for (uint64_t page = 0; page < N_PAGES; page++)
                        loads[i].now[page] = loads[i].committed[page] = i * N_PAGES + page;
        }
        for (unsigned i = 0; i < N_LOADS; i++)
                loads[i].worker = rig_worker(rig, load_run, NULL, &loads[i], 0, 0);
}

static void loads_wait(void) {
        for (unsigned i = 0; i < N_LOADS; i++) {
                unsigned until = atomic_load(&loads[i].n_commits) + N_COMMITS_BETWEEN;

                while (atomic_load(&loads[i].n_commits) < until && !worker_is_done(loads[i].worker))
                        usleep(500);
        }
}

static void test_killed_under_load(void **state) {
        struct rig *rig = rig_here(state);
        const char *path = rig_identity(rig, "image", N_LOADS * N_PAGES);
        struct nbdserver *server = rig_nbdkit(rig, (const char *[]) { "file", path, NULL });

        rig_daemon(rig, "--pool", "64M", "--allow-nbd", rig_allow_nbd(rig), NULL);
        loads_start(rig, server->uri);
        for (unsigned i = 0; i < N_KILLS; i++) {
                loads_wait();
                nbdserver_kill(server);
                assert_int_equal(nbdserver_start(server), 0);
        }
        loads_wait();
        atomic_store(&loads_are_over, true);
        for (unsigned i = 0; i < N_LOADS; i++) {
                worker_join(loads[i].worker);
                assert_int_equal(loads[i].worker->result, 0);
                assert_int_equal(loads[i].worker->value, 0);
                for (uint64_t page = 0; page < N_PAGES; page++)
                        assert_int_equal(rig_file_word(path, i * N_PAGES + page), loads[i].committed[page]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                RIG_TEST(test_reads_fail),
                RIG_TEST(test_writes_fail),
                RIG_TEST(test_flushes_fail),
                RIG_TEST(test_idle_connection_is_lost),
                RIG_TEST(test_touch_waits_for_a_server),
                RIG_TEST(test_waiting_has_an_end),
                RIG_TEST(test_unflushed_writes_are_in_doubt),
                RIG_TEST(test_another_server_is_not_it),
                RIG_TEST(test_end_without_a_server),
                RIG_TEST(test_killed_under_load),
        };

        watchdog_start();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
