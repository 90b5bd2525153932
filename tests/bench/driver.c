/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "driver.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* The floor is first: it forks, and is compared with. */
static const struct subject_kind *const driver_subjects[] = {
        &subject_floor,
        &subject_mmap_normal,
        &subject_mmap_random,
        &subject_bigfile,
};

static const struct workload *const driver_workloads[] = {
        &workload_random_read, &workload_random_read_full,    &workload_first_write,    &workload_sequential_read,
        &workload_writeout,    &workload_writeout_scattered, &workload_writeout_sync, &workload_writeout_scattered_sync,
};

/* One placement's turn. */
struct driver_turn {
        const struct driver *driver;
        const char *placement;
        struct subject *subjects[N_ELEMENTS(driver_subjects)];
        struct workload_run run;
        struct results *results;
};

const char *driver_workload(size_t i) {
        return i < N_ELEMENTS(driver_workloads) ? driver_workloads[i]->name : NULL;
}

bool driver_knows(const char *workload) {
        for (size_t i = 0; i < N_ELEMENTS(driver_workloads); i++)
                if (strcmp(driver_workloads[i]->name, workload) == 0)
                        return true;
        return false;
}

static void driver_turn_fini(struct driver_turn *turn) {
        for (size_t i = 0; i < N_ELEMENTS(driver_subjects); i++)
                if (turn->subjects[i])
                        turn->subjects[i]->kind->free(turn->subjects[i]);
        free(turn->run.order);
        free(turn->run.seen);
        free(turn->run.latencies);
}

static int driver_turn_init(struct driver_turn *turn, const struct driver *driver, const char *placement, struct results *results) {
        size_t n = driver->setup->n_accesses;
        int r = 0;

        *turn = (struct driver_turn){
                .driver = driver,
                .placement = placement,
                .run = { .setup = driver->setup,
                         .order = calloc(n, sizeof(uint64_t)),
                         .seen = calloc(n, sizeof(uint64_t)),
                         .latencies = calloc(n, sizeof(uint64_t)) },
                .results = results,
        };
        if (!turn->run.order || !turn->run.seen || !turn->run.latencies)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < N_ELEMENTS(driver_subjects); i++)
                r = driver_subjects[i]->new(driver->setup, &turn->subjects[i]);
        if (r < 0)
                driver_turn_fini(turn);
        return r;
}

/* counts: whether the result is kept. */
static int driver_run_one(struct driver_turn *turn, const struct workload *workload, struct subject *subject, bool counts) {
        struct result *result;
        int r;

        turn->run.subject = subject;
        turn->run.tag++;
        r = workload->run(&turn->run);
        if (r < 0) {
                fprintf(stderr, "workload %s failed on subject %s: %s\n", workload->name, subject->kind->name, strerror(-r));
                return r;
        }
        if (r == 0 && counts) {
                result = results_get(turn->results, turn->placement, workload, subject->kind);
                if (!result)
                        return -ENOMEM;
                result_add(result, &turn->run);
        }
        return content_settle(turn->driver->setup->content);
}

static int driver_run_all(struct driver_turn *turn, bool counts) {
        const char *only = turn->driver->only;
        int r;

        for (size_t i = 0; i < N_ELEMENTS(driver_workloads); i++)
                for (size_t j = 0; j < N_ELEMENTS(driver_subjects); j++) {
                        if (only && strcmp(driver_workloads[i]->name, only) != 0)
                                continue;
                        r = driver_run_one(turn, driver_workloads[i], turn->subjects[j], counts);
                        if (r < 0)
                                return r;
                }
        return 0;
}

int driver_run(const struct driver *driver, const char *placement, struct results *results) {
        struct driver_turn turn;
        int r;

        r = driver_turn_init(&turn, driver, placement, results);
        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i <= driver->n_runs; i++) {
                driver->on_progress(placement, i, driver->n_runs);
                turn.run.seed = i;
                r = driver_run_all(&turn, i > 0);
        }
        driver_turn_fini(&turn);
        return r;
}
