/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients are killed, at random moments of a busy life and at their system calls one by one; afterwards the daemon has nothing left of any of them: no handle, no
 * mapping, no byte, no descriptor. Beside them somebody honest measures each of his faults and looks at what he reads. Prints his latencies with and without
 * the deaths.
 *
 * BF_CLIENT_KILLS: how many clients are killed in each test (20); BF_SEED: another order of things.
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "watchdog.h"

#define N_PAGES 64
#define HONEST_PAGES 128
#define HONEST_SAMPLES_ALONE 2000u
#define LOOKS_BEFORE_WORDS 50000u
#define SAMPLES_MAX 2000000u

enum phase {
        PHASE_ALONE,
        PHASE_BESIDE, /* others die */
        N_PHASES,
};

/* What all processes share. */
struct stage {
        atomic_uint phase;
        atomic_uint n_ops; /* that the client to be killed has done */
        atomic_uint n_samples[N_PHASES];
        uint32_t samples[N_PHASES][SAMPLES_MAX]; /* microseconds */
};

struct scene {
        struct rig *rig;
        struct stage *stage;
        char address[128];
        char path[96];  /* of those that are killed */
        char honest[96];
        unsigned seed;
        unsigned n_kills;
        uint64_t kill_at; /* stop of system calls; 0: none */
};

static unsigned any(unsigned *seed, unsigned n) {
        return (unsigned) rand_r(seed) % n;
}

static unsigned environment(const char *name, unsigned otherwise) {
        const char *text = getenv(name);

        return text ? (unsigned) strtoul(text, NULL, 0) : otherwise;
}

/* --- somebody honest ---------------------------------------------------------------------------------------------------------------------------- */

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void be_honest_once(struct stage *stage, uint64_t *map, uint64_t page) {
        unsigned phase = atomic_load(&stage->phase), n = atomic_load(&stage->n_samples[phase]);
        uint64_t begin = now_usec();

        CHILD_CHECK(*rig_word(map, page, 0) == page);
        if (n < SAMPLES_MAX) {
                stage->samples[phase][n] = (uint32_t) (now_usec() - begin);
                atomic_store(&stage->n_samples[phase], n + 1);
        }
}

static int be_honest(int line, void *arg) {
        const struct scene *scene = arg;
        struct bf_client *client;
        struct bf_fileh *fileh;
        uint64_t *map;

        (void) line;
        CHILD_CHECK(bf_connect(&client, scene->address) == 0);
        CHILD_CHECK(bf_open(client, scene->honest, O_RDWR, NULL, &fileh) == 0);
        CHILD_CHECK(bf_advise(fileh, 0, 0, BF_ADVICE_RANDOM) == 0);
        CHILD_CHECK(bf_mmap(fileh, 0, HONEST_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &map) == 0);
        for (;;) {
                for (uint64_t page = 0; page < HONEST_PAGES; page++)
                        be_honest_once(scene->stage, map, page * 37 % HONEST_PAGES);
                CHILD_CHECK(bf_invalidate(fileh, 0, HONEST_PAGES * RIG_PAGE) == 0);
        }
}

static int compare_samples(const void *a, const void *b) {
        const uint32_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static void print_samples(struct stage *stage, enum phase phase, const char *words) {
        unsigned n = atomic_load(&stage->n_samples[phase]);
        uint32_t *samples = stage->samples[phase];

        if (n == 0)
                return;
        qsort(samples, n, sizeof(samples[0]), compare_samples);
        print_message("  faults of another client, %s: %u, p50 %u us, p99 %u us, max %u us\n", words, n, samples[n / 2], samples[n - 1 - n / 100], samples[n - 1]);
}

/* --- those that are killed ---------------------------------------------------------------------------------------------------------------------- */

struct life {
        struct bf_client *client;
        struct bf_fileh *filehs[2]; /* one of its own, one shared */
        uint64_t *maps[2];
};

static void life_begin(struct life *life, const struct scene *scene) {
        struct bf_open_opts opts = { .size = sizeof(opts) };

        CHILD_CHECK(bf_connect(&life->client, scene->address) == 0);
        for (unsigned i = 0; i < 2; i++) {
                opts.flags = i == 1 ? BF_SHARED : 0;
                CHILD_CHECK(bf_open(life->client, scene->path, O_RDWR, &opts, &life->filehs[i]) == 0);
                CHILD_CHECK(bf_mmap(life->filehs[i], 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &life->maps[i]) == 0);
        }
}

static void life_end(struct life *life) {
        for (unsigned i = 0; i < 2; i++) {
                CHILD_CHECK(bf_munmap(life->maps[i]) == 0);
                CHILD_CHECK(bf_close(life->filehs[i]) == 0);
        }
        bf_disconnect(life->client);
}

/* One thing of many; what is stored are the words that the file has already. */
static void life_go_on(struct life *life, unsigned what, unsigned i, uint64_t page) {
        switch (what) {
        case 0:
        case 1:
                CHILD_CHECK(*rig_word(life->maps[i], page, 0) == page);
                break;
        case 2:
        case 3:
                *rig_word(life->maps[i], page, 0) = page;
                break;
        case 4:
                CHILD_CHECK(bf_writeout(life->filehs[i], RIG_STORE_MARK | BF_WRITEOUT_SYNC) == 0);
                break;
        case 5:
                CHILD_CHECK(bf_discard(life->filehs[i]) == 0);
                break;
        case 6:
                CHILD_CHECK(bf_invalidate(life->filehs[i], page * RIG_PAGE, 16 * RIG_PAGE) == 0);
                break;
        case 7:
                CHILD_CHECK(bf_load(life->filehs[i], 0, N_PAGES * RIG_PAGE) == 0);
                break;
        case 8:
                CHILD_CHECK(bf_advise(life->filehs[i], 0, N_PAGES * RIG_PAGE, BF_ADVICE_WILLNEED) == 0);
                break;
        case 9:
                CHILD_CHECK(bf_munmap(life->maps[i]) == 0);
                CHILD_CHECK(bf_mmap(life->filehs[i], 0, N_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE, (void **) &life->maps[i]) == 0);
                break;
        }
}

static int live(int line, void *arg) {
        struct scene scene = *(struct scene *) arg;
        struct life life;

        (void) line;
        for (;;) {
                life_begin(&life, &scene);
                for (unsigned n = 5 + any(&scene.seed, 50); n > 0; n--) {
                        life_go_on(&life, any(&scene.seed, 10), any(&scene.seed, 2), any(&scene.seed, N_PAGES));
                        atomic_fetch_add(&scene.stage->n_ops, 1);
                }
                life_end(&life);
        }
        return 0;
}

/* Everything once, for killing it at each of its system calls. */
static void live_once(const struct scene *scene) {
        struct life life;

        life_begin(&life, scene);
        for (unsigned what = 0; what < 10; what++)
                for (unsigned i = 0; i < 2; i++)
                        life_go_on(&life, what, i, what * 3 + i);
        life_end(&life);
}

/* --- the scene ---------------------------------------------------------------------------------------------------------------------------------- */

static struct scene start(struct rig *rig, const char *path) {
        struct scene scene = { .rig = rig, .seed = environment("BF_SEED", 1), .n_kills = environment("BF_CLIENT_KILLS", 20) };
        struct utsname host;

        watchdog_arm("clients are killed", 60 + scene.n_kills);
        uname(&host);
        print_message("BF_CLIENT_KILLS=%u BF_SEED=%u, Linux %s\n", scene.n_kills, scene.seed, host.release);
        scene.stage = mmap(NULL, sizeof(*scene.stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert_ptr_not_equal(scene.stage, MAP_FAILED);
        snprintf(scene.address, sizeof(scene.address), "%s", rig_address(rig));
        snprintf(scene.path, sizeof(scene.path), "%s", path);
        snprintf(scene.honest, sizeof(scene.honest), "%s", rig_identity(rig, "honest", HONEST_PAGES));
        return scene;
}

/* The daemon as it is when it serves only the rig's own client. */
struct baseline {
        struct bf_pool_stat stat;
        unsigned n_fds;
};

static struct baseline take_baseline(struct rig *rig) {
        struct baseline baseline = { .stat = rig_pool_stat(rig->clients[0]) };
        struct daemonproc_usage usage;

        assert_int_equal(daemonproc_usage(&rig->daemon, &usage), 0); /* after an answer: what was sent before is closed by then */
        baseline.n_fds = usage.n_fds;
        return baseline;
}

/* That all counts come back to what they were is what is promised; the watchdog's patience is its limit. */
static void wait_for_baseline(struct rig *rig, const struct baseline *baseline) {
        struct baseline now;
        unsigned n = 0;

        do {
                sched_yield();
                now = take_baseline(rig);
                if (++n % LOOKS_BEFORE_WORDS == 0)
                        print_message("  left: %" PRIu64 " peers, %" PRIu64 " filehs, %" PRIu64 " mappings, %" PRIu64 " bytes, %" PRIu64 " dirty, %u descriptors\n",
                                      now.stat.peers, now.stat.filehs, now.stat.mappings, now.stat.resident_bytes, now.stat.dirty_bytes, now.n_fds);
        } while (now.stat.peers != baseline->stat.peers || now.stat.filehs != baseline->stat.filehs || now.stat.mappings != baseline->stat.mappings ||
                 now.stat.resident_bytes != baseline->stat.resident_bytes || now.stat.dirty_bytes != baseline->stat.dirty_bytes || now.n_fds != baseline->n_fds);
}

static void finish(struct scene *scene, struct child *honest, const struct baseline *baseline) {
        child_kill(honest);
        wait_for_baseline(scene->rig, baseline);
        for (uint64_t page = 0; page < N_PAGES; page++)
                assert_int_equal(rig_file_word(scene->path, page), page);
        print_message("  nothing is left\n");
        print_samples(scene->stage, PHASE_ALONE, "alone");
        print_samples(scene->stage, PHASE_BESIDE, "beside those killed");
        munmap(scene->stage, sizeof(*scene->stage));
}

static struct child *start_honest(struct scene *scene) {
        struct child *honest = rig_child(scene->rig, be_honest, scene);

        while (atomic_load(&scene->stage->n_samples[PHASE_ALONE]) < HONEST_SAMPLES_ALONE)
                sched_yield();
        atomic_store(&scene->stage->phase, PHASE_BESIDE);
        return honest;
}

/* As soon as it has done so many things, or some moments after it began. */
static void kill_at_random(struct scene *scene) {
        unsigned n_ops = any(&scene->seed, 4) == 0 ? 0 : any(&scene->seed, 100);
        volatile unsigned spin = any(&scene->seed, 3000000);
        struct child child;

        atomic_store(&scene->stage->n_ops, 0);
        assert_int_equal(child_start(&child, live, scene), 0);
        while (atomic_load(&scene->stage->n_ops) < n_ops && waitpid(child.pid, NULL, WNOHANG | WNOWAIT) == 0)
                sched_yield();
        while (n_ops == 0 && spin > 0)
                spin--;
        assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0); /* else it ended by itself, as something was wrong with what it saw */
        child_kill(&child);
}

static void test_killed_at_random(void **state) {
        struct rig *rig = rig_here(state);
        struct baseline baseline;
        struct child *honest;
        struct scene scene;

        rig_daemon(rig, "--pool", "1M", NULL);
        scene = start(rig, heldfs_path(rig_heldfs(rig, N_PAGES))); /* every load and store of it takes its time */
        rig_client(rig);
        baseline = take_baseline(rig);
        honest = start_honest(&scene);
        for (unsigned i = 0; i < scene.n_kills; i++)
                kill_at_random(&scene);
        finish(&scene, honest, &baseline);
}

/* --- at each system call ------------------------------------------------------------------------------------------------------------------------ */

static int trace_step(pid_t pid, int status) {
        int signo = WSTOPSIG(status);

        if (signo == (SIGTRAP | 0x80) || signo == SIGTRAP || signo == SIGSTOP) /* a system call, a new thread, its first stop */
                signo = 0;
        return ptrace(PTRACE_SYSCALL, pid, NULL, (void *) (intptr_t) signo) < 0 ? -errno : 0;
}

/* Lets all threads go on from system call to system call; says how often they stopped, and kills the process at the stop that was named. */
static int trace(int line, void *arg) {
        const struct scene *scene = arg;
        uint64_t n_stops = 0;
        int status;
        pid_t pid, p;

        pid = fork();
        if (pid == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        _exit(2);
                raise(SIGSTOP);
                live_once(scene);
                _exit(0);
        }
        CHILD_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        CHILD_CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *) (intptr_t) (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)) == 0);
        (void) trace_step(pid, status);
        while ((p = waitpid(-1, &status, __WALL)) > 0) {
                if (p == pid && !WIFSTOPPED(status))
                        break;
                if (!WIFSTOPPED(status))
                        continue;
                if (WSTOPSIG(status) == (SIGTRAP | 0x80) && ++n_stops == scene->kill_at)
                        kill(pid, SIGKILL);
                else
                        (void) trace_step(p, status);
        }
        CHILD_CHECK(scene->kill_at > 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        child_say(line, n_stops);
        return 0;
}

static uint64_t run_traced(struct scene *scene, uint64_t kill_at) {
        struct child tracer;
        uint64_t n_stops;

        scene->kill_at = kill_at;
        assert_int_equal(child_start(&tracer, trace, scene), 0);
        n_stops = child_hear(tracer.line);
        assert_int_equal(child_wait(&tracer), 0);
        return n_stops;
}

/* Whether this process may trace its children; where it may not there is nothing to see. */
static bool can_trace(void) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
        return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_killed_at_system_calls(void **state) {
        struct rig *rig = rig_here(state);
        struct baseline baseline;
        struct child *honest;
        struct scene scene;
        uint64_t n_stops;

        if (!can_trace()) {
                print_message("skipped: no right to trace a process\n");
                skip();
        }
        rig_daemon(rig, "--pool", "1M", NULL);
        scene = start(rig, rig_identity(rig, "data", N_PAGES));
        rig_client(rig);
        baseline = take_baseline(rig);
        honest = start_honest(&scene);
        n_stops = run_traced(&scene, 0);
        print_message("  %" PRIu64 " system calls\n", n_stops / 2);
        assert_true(n_stops > 100);
        for (unsigned i = 0; i < scene.n_kills; i++)
                (void) run_traced(&scene, 1 + (n_stops * i + any(&scene.seed, (unsigned) n_stops)) / scene.n_kills);
        finish(&scene, honest, &baseline);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_killed_at_random),
                RIG_TEST(test_killed_at_system_calls),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("client kills", tests, NULL, NULL);
}
