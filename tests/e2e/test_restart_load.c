/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The daemon is killed again and again under clients that read, write, commit and discard, with a pool an eighth of their data. Each of them knows from a model in
 * its own memory what every page must hold, and looks at each value it reads, and in the end at the whole file. Half of them have a file of their own, the
 * others share one (BF_SHARED), of which each writes every second page, and commits for all. Prints how long they were held up by each restart, and how long there was no daemon: what is beyond that is the library's and the daemon's.
 *
 * BF_RESTARTS: how many restarts (40); BF_SEED: another order of things; BF_HANG: a client that has done nothing for so many seconds hangs (30);
 * BF_DIRTY: how many pages of each client may be dirty (10: the pool has room for those of all; 100: most of them are spilled).
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "tempfile.h"
#include "watchdog.h"

#define N_CLIENTS 4
#define N_PAGES 128                 /* that each client writes; all of them are eight times the pool */
#define N_SHARING 2                 /* the last of the clients */
#define N_DIRTY_MAX 10              /* of each client */
#define WORDS (RIG_PAGE / sizeof(uint64_t))
#define RESTARTS_MAX 100000

/* What parent and children share. */
struct stage {
        atomic_bool is_over;
        pthread_rwlock_t undoing; /* held for reading by who changes the shared file: who discards would undo it */
        atomic_uint n_restarts;
        uint64_t gaps[RESTARTS_MAX + 1]; /* microseconds: how long this restart took until another daemon served */
        atomic_ulong n_ops[N_CLIENTS];
        _Atomic uint64_t pauses[RESTARTS_MAX + 1][N_CLIENTS]; /* microseconds: the longest operation that ended between this restart and the next */
};

struct client {
        struct stage *stage;
        unsigned number;
        unsigned seed;
        bool is_sharing;
        unsigned n_dirty_max;
        char address[128];
        char path[96];

        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;
        uint64_t now[N_PAGES];    /* what each of his pages holds */
        uint64_t stored[N_PAGES]; /* what the file holds, as it is known to this client */
        unsigned n_dirty;
};

static const size_t looked_at[] = { 0, 1, WORDS / 2, WORDS - 1 };

static unsigned client_random(struct client *client, unsigned n) {
        return (unsigned) rand_r(&client->seed) % n;
}

static uint64_t word_of(uint64_t value, size_t word) {
        return value << 16 | word;
}

/* His n-th page, and how many the file has. */
static uint64_t client_page(const struct client *client, uint64_t n) {
        return client->is_sharing ? n * N_SHARING + client->number % N_SHARING : n;
}

static size_t client_file_pages(const struct client *client) {
        return client->is_sharing ? N_PAGES * N_SHARING : N_PAGES;
}

static volatile uint64_t *client_word(const struct client *client, uint64_t n, size_t word) {
        return rig_word(client->map, client_page(client, n), word);
}

static void client_fail(const struct client *client, const char *what, uint64_t page, uint64_t value, uint64_t expected) {
        fprintf(stderr, "client %u: %s, page %" PRIu64 ": %#" PRIx64 " instead of %#" PRIx64 " (%s), after %u restarts\n", client->number, what, page, value,
                expected, bf_errmsg(), atomic_load(&client->stage->n_restarts));
        _exit(1);
}

static void client_check_call(const struct client *client, const char *what, int r) {
        if (r < 0)
                client_fail(client, what, 0, (uint64_t) -r, 0);
}

/* --- operations ----------------------------------------------------------------------------------------------------------------------------------- */

static void client_map(struct client *client) {
        void *map;

        client_check_call(client, "bf_mmap", bf_mmap(client->fileh, 0, client_file_pages(client) * RIG_PAGE, PROT_READ | PROT_WRITE, &map));
        client->map = map;
}

static void client_open(struct client *client) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = client->is_sharing ? BF_SHARED : 0, .block_size = RIG_PAGE };

        client_check_call(client, "bf_open", bf_open(client->client, client->path, O_RDWR, &opts, &client->fileh));
        client_map(client);
}

static void client_forget_changes(struct client *client) {
        memcpy(client->now, client->stored, sizeof(client->now));
        client->n_dirty = 0;
}

static void op_read(struct client *client) {
        uint64_t page = client_random(client, N_PAGES);
        size_t word = looked_at[client_random(client, 4)];
        uint64_t value = *client_word(client, page, word);

        if (value != word_of(client->now[page], word))
                client_fail(client, "read", page, value, word_of(client->now[page], word));
}

/* All words: a page that is half of one moment and half of another shows. */
static void op_write(struct client *client) {
        uint64_t page = client_random(client, N_PAGES), value = client->now[page] + 1 + client_random(client, 1000);

        if (client->now[page] == client->stored[page] && client->n_dirty == client->n_dirty_max)
                return;
        client->n_dirty += client->now[page] == client->stored[page];
        client->now[page] = value;
        for (size_t word = 0; word < WORDS; word++)
                *client_word(client, page, word) = word_of(value, word);
}

static void client_read_file(const struct client *client, uint64_t page, void *words, size_t size) {
        client_check_call(client, "read the file", tempfile_read(client->path, client_page(client, page) * RIG_PAGE, words, size));
}

static void op_commit(struct client *client) {
        unsigned flags = RIG_STORE_MARK | (client_random(client, 4) == 0 ? BF_WRITEOUT_SYNC : 0);
        uint64_t words[WORDS];

        client_check_call(client, "bf_writeout", bf_writeout(client->fileh, flags));
        for (uint64_t page = 0; page < N_PAGES; page++) {
                if (client->now[page] == client->stored[page])
                        continue;
                client_read_file(client, page, words, sizeof(words));
                for (size_t word = 0; word < WORDS; word++)
                        if (words[word] != word_of(client->now[page], word))
                                client_fail(client, "stored", page, words[word], word_of(client->now[page], word));
        }
        memcpy(client->stored, client->now, sizeof(client->stored));
        client->n_dirty = 0;
}

/* Of a shared file, what others have written would go, too: only what was written since all was stored, while they do not write. */
static void op_discard_shared(struct client *client) {
        if (pthread_rwlock_trywrlock(&client->stage->undoing) != 0)
                return;
        op_commit(client);
        for (unsigned i = 0; i < N_DIRTY_MAX; i++)
                op_write(client);
        client_check_call(client, "bf_discard", bf_discard(client->fileh));
        pthread_rwlock_unlock(&client->stage->undoing);
        client_forget_changes(client);
}

static void op_discard(struct client *client) {
        if (client->is_sharing) {
                op_discard_shared(client);
                return;
        }
        client_check_call(client, "bf_discard", bf_discard(client->fileh));
        client_forget_changes(client);
}

static void op_load(struct client *client) {
        uint64_t page = client_random(client, N_PAGES - 8);

        client_check_call(client, "bf_load", bf_load(client->fileh, page * RIG_PAGE, 8 * RIG_PAGE));
}

static void op_remap(struct client *client) {
        client_check_call(client, "bf_munmap", bf_munmap(client->map));
        client_map(client);
}

static void op_reopen(struct client *client) {
        if (client->is_sharing)
                op_commit(client); /* when the others close it, too, what is dirty goes */
        client_check_call(client, "bf_munmap", bf_munmap(client->map));
        client_check_call(client, "bf_close", bf_close(client->fileh));
        client_forget_changes(client);
        client_open(client);
}

/* What is dirty says so, also while no daemon is there. */
static void op_look(struct client *client) {
        uint64_t page = client_random(client, N_PAGES);
        int state = bf_page_state(client->fileh, client_page(client, page) * RIG_PAGE);
        bool is_dirty = client->now[page] != client->stored[page];

        if (client->is_sharing && state >= 0) /* another may have stored it */
                return;
        if (state < 0 || (state == BF_PAGE_DIRTY || state == BF_PAGE_STORING || state == BF_PAGE_SPILLED) != is_dirty)
                client_fail(client, "state", page, (uint64_t) state, is_dirty);
}

static const struct {
        void (*run)(struct client *client);
        unsigned share; /* of a thousand */
} ops[] = {
        { op_read, 560 }, { op_write, 300 }, { op_commit, 40 }, { op_discard, 20 }, { op_load, 30 }, { op_remap, 15 }, { op_reopen, 5 }, { op_look, 30 },
};

/* --- a client ------------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static void client_step(struct client *client) {
        uint64_t begin = now_usec(), duration;
        unsigned i = 0, n = client_random(client, 1000);
        _Atomic uint64_t *pause;

        for (; n >= ops[i].share; i++)
                n -= ops[i].share;
        if (!client->is_sharing || ops[i].run == op_discard)
                ops[i].run(client);
        else {
                pthread_rwlock_rdlock(&client->stage->undoing);
                ops[i].run(client);
                pthread_rwlock_unlock(&client->stage->undoing);
        }
        duration = now_usec() - begin;
        pause = &client->stage->pauses[atomic_load(&client->stage->n_restarts)][client->number];
        if (duration > atomic_load(pause))
                atomic_store(pause, duration);
        atomic_fetch_add(&client->stage->n_ops[client->number], 1);
}

static void on_sigbus(int signal, siginfo_t *info, void *context) {
        int error = 0, r = bf_fault_error(info->si_addr, &error);

        (void) context;
        fprintf(stderr, "signal %d at %p: %d, errno %d\n", signal, info->si_addr, r, error);
        _exit(1);
}

static int client_run(int line, void *arg) {
        const struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
        struct client *client = arg;

        (void) line;
        sigaction(SIGBUS, &action, NULL);
        client_check_call(client, "bf_connect", bf_connect(&client->client, client->address));
        client_open(client);
        while (!atomic_load(&client->stage->is_over))
                client_step(client);
        op_commit(client);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                uint64_t word;

                client_read_file(client, page, &word, sizeof(word));
                if (word != word_of(client->now[page], 0))
                        client_fail(client, "in the end", page, word, word_of(client->now[page], 0));
        }
        bf_disconnect(client->client);
        return 0;
}

static void client_make_file(struct client *client) {
        uint64_t words[WORDS];

        if (!client->is_sharing || client->number == N_CLIENTS - N_SHARING)
                assert_int_equal(tempfile_make_sparse(client->path, client_file_pages(client) * RIG_PAGE), 0);
        for (uint64_t page = 0; page < N_PAGES; page++) {
                client->now[page] = client->stored[page] = (page + 1) * 100000;
                for (size_t word = 0; word < WORDS; word++)
                        words[word] = word_of(client->now[page], word);
                assert_int_equal(tempfile_write(client->path, client_page(client, page) * RIG_PAGE, words, sizeof(words)), 0);
        }
}

static unsigned setting(const char *name, unsigned otherwise) {
        const char *text = getenv(name);

        return text ? (unsigned) strtoul(text, NULL, 0) : otherwise;
}

/* --- restarts ------------------------------------------------------------------------------------------------------------------------------------- */

static void pause_usec(unsigned usec) {
        const struct timespec pause = { .tv_sec = usec / 1000000, .tv_nsec = (long) (usec % 1000000) * 1000 };

        nanosleep(&pause, NULL);
}

/* One in eight is ended in order; one in four of the new ones is killed while it takes up what there is. */
static void restart(struct rig *rig, unsigned *seed) {
        if (rand_r(seed) % 8 == 0)
                assert_int_equal(daemonproc_stop(&rig->daemon), 0);
        else
                daemonproc_kill(&rig->daemon);
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        if (rand_r(seed) % 4 == 0) {
                pause_usec((unsigned) rand_r(seed) % 20000);
                daemonproc_kill(&rig->daemon);
                rig_daemon(rig, RIG_SMALL_POOL, NULL);
        }
}

/* Says what a client ended with that should not have ended. */
static void assert_running(struct child *child) {
        siginfo_t info = { .si_pid = 0 };

        assert_int_equal(waitid(P_PID, (id_t) child->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        if (info.si_pid != 0)
                fail_msg("a client ended: %d", child_wait(child));
}

/* Until each client has done something since the last restart. Shorter than a watchdog's time: so a fault that makes them hang is found soon. */
static void let_them_work(struct stage *stage, struct child *children[static N_CLIENTS], unsigned *seed) {
        uint64_t latest = now_usec() + setting("BF_HANG", 30) * UINT64_C(1000000);
        unsigned long goals[N_CLIENTS];

        for (unsigned i = 0; i < N_CLIENTS; i++)
                goals[i] = atomic_load(&stage->n_ops[i]) + 1 + (unsigned) rand_r(seed) % 300;
        for (unsigned i = 0; i < N_CLIENTS; i++)
                while (atomic_load(&stage->n_ops[i]) < goals[i]) {
                        assert_running(children[i]);
                        if (now_usec() > latest)
                                fail_msg("client %u hangs", i);
                        pause_usec(500);
                }
}

static int compare_pauses(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static void report(struct stage *stage, unsigned n_restarts, unsigned seed) {
        size_t n = (size_t) n_restarts * N_CLIENTS;
        uint64_t *pauses = calloc(n, sizeof(*pauses)), *gaps = stage->gaps + 1, n_ops = 0;

        assert_non_null(pauses);
        for (size_t i = 0; i < n; i++)
                pauses[i] = stage->pauses[1 + i / N_CLIENTS][i % N_CLIENTS];
        for (unsigned i = 0; i < N_CLIENTS; i++)
                n_ops += stage->n_ops[i];
        qsort(pauses, n, sizeof(*pauses), compare_pauses);
        qsort(gaps, n_restarts, sizeof(*gaps), compare_pauses);
        print_message("no daemon for %.1f ms (median), %.1f ms (p99), %.1f ms (worst)\n", (double) gaps[n_restarts / 2] / 1000,
                      (double) gaps[n_restarts * 99 / 100] / 1000, (double) gaps[n_restarts - 1] / 1000);
        print_message("%u restarts, %" PRIu64 " operations, seed %u: clients were held up %.1f ms (median), %.1f ms (p99), %.1f ms (worst)\n", n_restarts,
                      n_ops, seed, (double) pauses[n / 2] / 1000, (double) pauses[n * 99 / 100] / 1000, (double) pauses[n - 1] / 1000);
        free(pauses);
}

static void stage_init(struct stage *stage) {
        pthread_rwlockattr_t attributes;

        pthread_rwlockattr_init(&attributes);
        pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_rwlock_init(&stage->undoing, &attributes);
        pthread_rwlockattr_destroy(&attributes);
}

static void test_killed_under_load(void **state) {
        unsigned n_restarts = setting("BF_RESTARTS", 40), seed = setting("BF_SEED", (unsigned) time(NULL)), order = seed;
        static struct client clients[N_CLIENTS];
        struct rig *rig = rig_here(state);
        struct child *children[N_CLIENTS];
        struct stage *stage;

        assert_in_range(n_restarts, 1, RESTARTS_MAX);
        watchdog_arm("killed under load", 60 + n_restarts);
        print_message("seed %u\n", seed);
        stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(stage, MAP_FAILED);
        stage_init(stage);
        rig_daemon(rig, RIG_SMALL_POOL, NULL);
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                char name[16];

                clients[i] = (struct client) {
                        .stage = stage, .number = i, .seed = seed + i, .is_sharing = i >= N_CLIENTS - N_SHARING, .n_dirty_max = setting("BF_DIRTY", N_DIRTY_MAX)
                };
                snprintf(name, sizeof(name), "data%u", clients[i].is_sharing ? N_CLIENTS - N_SHARING : i);
                snprintf(clients[i].path, sizeof(clients[i].path), "%s", rig_path(rig, name));
                snprintf(clients[i].address, sizeof(clients[i].address), "%s", rig_address(rig));
                client_make_file(&clients[i]);
                children[i] = rig_child(rig, client_run, &clients[i]);
        }
        for (unsigned i = 0; i < n_restarts; i++) {
                uint64_t begin;

                let_them_work(stage, children, &order);
                atomic_fetch_add(&stage->n_restarts, 1);
                begin = now_usec();
                restart(rig, &order);
                stage->gaps[i + 1] = now_usec() - begin;
        }
        let_them_work(stage, children, &order);
        atomic_store(&stage->is_over, true);
        for (unsigned i = 0; i < N_CLIENTS; i++)
                assert_int_equal(child_wait(children[i]), 0);
        report(stage, n_restarts, seed);
        munmap(stage, sizeof(*stage));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed_under_load),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("restart under load", tests, NULL, NULL);
}
