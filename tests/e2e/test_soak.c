/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Clients on tours (tour.h), several at a time, over and over, in a pool that is too small for them: each looks at every value. Eras alternate. In one the
 * daemon is killed, and clients are, at random moments. In the other, at least as long, only clients are killed: in its end the daemon must have
 * no more descriptors, and hardly more memory, than when it had seen the first tours of that era.
 *
 * BF_SOAK_SECONDS: how long (10); BF_SEED: another order of things.
 */

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tour.h"
#include "watchdog.h"

#define N_CLIENTS 3
#define ERA_SECONDS_MAX 60
#define GROWTH_MAX (UINT64_C(20) << 20) /* bytes: buffers that are kept (bufs.h), of two pagers, and other caches, which have their bounds, too */
#define POOL "--pool", "4M"

struct soak {
        struct rig *rig;
        unsigned seed;
        struct child children[N_CLIENTS];
        struct tour tours[N_CLIENTS];
        uint64_t n_tours;
        uint64_t n_daemon_kills;
        uint64_t n_client_kills;
        bool kills_daemon; /* in this era */
        struct daemonproc_usage begin;
        uint64_t growth_max;
};

static double seconds_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static unsigned any(struct soak *soak, unsigned n) {
        return (unsigned) rand_r(&soak->seed) % n;
}

/* Its files are made anew: who was killed left changes in them. */
static void begin_tour(struct soak *soak, unsigned i) {
        soak->tours[i].number = i;
        tour_prepare(soak->rig, &soak->tours[i]);
        assert_int_equal(child_start(&soak->children[i], tour_run, &soak->tours[i]), 0);
}

static void end_tour(struct soak *soak, unsigned i) {
        assert_int_equal(child_wait(&soak->children[i]), 0);
        soak->n_tours++;
}

/* One is half way, or has ended, or none of it for a moment. */
static void hear(struct soak *soak, int msec) {
        struct pollfd fds[N_CLIENTS];

        for (unsigned i = 0; i < N_CLIENTS; i++)
                fds[i] = (struct pollfd) { .fd = soak->children[i].pid ? soak->children[i].line : -1, .events = POLLIN };
        assert_true(poll(fds, N_CLIENTS, msec) >= 0);
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                if (!fds[i].revents)
                        continue;
                if (child_hear(soak->children[i].line) == TOUR_HALF)
                        child_say(soak->children[i].line, 0);
                else
                        end_tour(soak, i);
        }
}

static void kill_something(struct soak *soak) {
        unsigned i = any(soak, N_CLIENTS);

        if (soak->kills_daemon && any(soak, 2) == 0) {
                daemonproc_kill(&soak->rig->daemon);
                rig_daemon(soak->rig, POOL, NULL);
                soak->n_daemon_kills++;
        } else if (soak->children[i].pid && any(soak, 4) == 0) {
                child_kill(&soak->children[i]);
                soak->n_client_kills++;
        }
}

/* Tours until that time. */
static void work(struct soak *soak, double until) {
        while (seconds_now() < until) {
                for (unsigned i = 0; i < N_CLIENTS; i++)
                        if (!soak->children[i].pid)
                                begin_tour(soak, i);
                hear(soak, (int) any(soak, 100));
                kill_something(soak);
        }
        for (unsigned i = 0; i < N_CLIENTS; i++)
                while (soak->children[i].pid)
                        hear(soak, -1);
}

/* When nobody has anything any more. */
static struct daemonproc_usage usage_at_rest(struct soak *soak) {
        struct bf_client *client = rig_client(soak->rig);
        struct daemonproc_usage usage;

        rig_wait_resident(client, 0);
        while (rig_pool_stat(client).peers > 1 || rig_pool_stat(client).filehs > 0)
                ;
        assert_int_equal(daemonproc_usage(&soak->rig->daemon, &usage), 0);
        rig_disconnect(soak->rig, client);
        soak->rig->n_clients--;
        return usage;
}

static void check_growth(struct soak *soak) {
        struct daemonproc_usage end = usage_at_rest(soak);
        uint64_t growth = end.rss_bytes > soak->begin.rss_bytes ? end.rss_bytes - soak->begin.rss_bytes : 0;

        if (growth > soak->growth_max)
                soak->growth_max = growth;
        assert_int_equal(end.n_fds, soak->begin.n_fds);
        assert_in_range(growth, 0, GROWTH_MAX);
}

static void era_of_kills(struct soak *soak, double seconds) {
        soak->kills_daemon = true;
        work(soak, seconds_now() + seconds);
}

static void era_of_growth(struct soak *soak, double seconds) {
        soak->kills_daemon = false;
        work(soak, seconds_now() + seconds / 4);
        soak->begin = usage_at_rest(soak);
        work(soak, seconds_now() + seconds * 3 / 4);
        check_growth(soak);
}

static void test_soak(void **state) {
        const char *seconds_text = getenv("BF_SOAK_SECONDS"), *seed_text = getenv("BF_SEED");
        double seconds = seconds_text ? strtod(seconds_text, NULL) : 10, end, era;
        struct soak soak = { .rig = rig_here(state), .seed = seed_text ? (unsigned) strtoul(seed_text, NULL, 0) : (unsigned) time(NULL) };

        print_message("BF_SEED=%u BF_SOAK_SECONDS=%g\n", soak.seed, seconds);
        watchdog_arm("soak", (unsigned) (seconds * 2 + 120));
        rig_daemon(soak.rig, POOL, NULL);
        end = seconds_now() + seconds;
        era = seconds / 2 < ERA_SECONDS_MAX ? seconds / 2 : ERA_SECONDS_MAX;
        while (seconds_now() < end) {
                era_of_kills(&soak, era);
                era_of_growth(&soak, era);
        }
        print_message("%" PRIu64 " tours, %" PRIu64 " daemons and %" PRIu64 " clients killed; in an era without kills of the daemon its memory grew by %" PRIu64
                      " KiB at most, its descriptors by none\n",
                      soak.n_tours, soak.n_daemon_kills, soak.n_client_kills, soak.growth_max >> 10);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                RIG_TEST(test_soak),
        };

        watchdog_start();
        return cmocka_run_group_tests_name("soak", tests, NULL, NULL);
}
