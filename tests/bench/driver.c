/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "driver.h"

#define DRIVER_SUBJECTS_MAX 16
#define DRIVER_GROUP_MAX 4

/* One workload's turn. */
struct driver_turn {
        const struct driver *driver;
        const char *placement;
        const struct workload *workload;
        struct setup setup;
        size_t n_subjects;
        struct subject *subjects[DRIVER_SUBJECTS_MAX]; /* NULL: it cannot be had */
        struct workload_run run;
        struct results *results;
};

/* One name of n characters. A workload's own comes first: another may begin with it. */
static bool driver_name_means(const char *name, size_t n, const struct workload *workload) {
        for (size_t i = 0; workloads[i]; i++)
                if (strlen(workloads[i]->name) == n && memcmp(workloads[i]->name, name, n) == 0)
                        return workload == workloads[i];
        return strncmp(workload->name, name, n) == 0 && workload->name[n] == '-';
}

static bool driver_means(const char *only, const struct workload *workload) {
        for (size_t n; *only; only += n + (only[n] == ',')) {
                n = strcspn(only, ",");
                if (driver_name_means(only, n, workload))
                        return true;
        }
        return false;
}

static bool driver_name_is_known(const char *name, size_t n) {
        for (size_t i = 0; workloads[i]; i++)
                if (driver_name_means(name, n, workloads[i]))
                        return true;
        return false;
}

bool driver_knows(const char *only) {
        for (size_t n; *only; only += n + (only[n] == ',')) {
                n = strcspn(only, ",");
                if (!driver_name_is_known(only, n))
                        return false;
        }
        return true;
}

static void driver_turn_free_subjects(struct driver_turn *turn) {
        for (size_t i = turn->n_subjects; i-- > 0;) {
                if (turn->subjects[i])
                        turn->subjects[i]->kind->free(turn->subjects[i]);
                turn->subjects[i] = NULL;
        }
}

static int driver_turn_say_why(struct driver_turn *turn, size_t i, const struct reason *reason) {
        struct result *result = results_get(turn->results, turn->placement, turn->workload, turn->workload->subjects[i]);

        if (!result)
                return -ENOMEM;
        result->reason = *reason;
        return 0;
}

static int driver_turn_new_subject(struct driver_turn *turn, size_t i) {
        const struct subject_kind *kind = turn->workload->subjects[i];
        struct reason reason = { 0 };
        int r;

        r = kind->new(kind, &turn->setup, &reason, &turn->subjects[i]);
        if (r == SUBJECT_HAS_NONE)
                r = driver_turn_say_why(turn, i, &reason);
        if (r < 0)
                fprintf(stderr, "workload %s: no subject %s: %s\n", turn->workload->name, kind->name, strerror(-r));
        return r;
}

static void driver_turn_fini(struct driver_turn *turn) {
        driver_turn_free_subjects(turn);
        free(turn->run.order);
        free(turn->run.seen);
        free(turn->run.latencies);
}

static int driver_turn_init(struct driver_turn *turn, const struct driver *driver, const char *placement, const struct workload *workload,
                            struct results *results) {
        size_t n = driver->setup->n_accesses;

        *turn = (struct driver_turn){
                .driver = driver,
                .placement = placement,
                .workload = workload,
                .setup = *driver->setup,
                .run = { .workload = workload,
                         .order = calloc(n, sizeof(uint64_t)),
                         .seen = calloc(n, sizeof(uint64_t)),
                         .latencies = calloc(n, sizeof(uint64_t)) },
                .results = results,
        };
        turn->run.setup = &turn->setup;
        while (workload->subjects[turn->n_subjects] && turn->n_subjects < DRIVER_SUBJECTS_MAX)
                turn->n_subjects++;
        if (workload->pool_percent)
                turn->setup.pool_bytes = driver->setup->content->n_blocks * workload->pool_percent / 100 * CONTENT_BLOCK;
        if (turn->run.order && turn->run.seen && turn->run.latencies)
                return 0;
        driver_turn_fini(turn);
        return -ENOMEM;
}

/* The subject is left even if the run failed. What it has in memory is dropped after the run, too: others may want the file out of the page cache. */
static int driver_run_entered(struct driver_turn *turn, struct subject *subject) {
        const struct subject_kind *kind = subject->kind;
        int r, r_after;

        r = kind->drop(subject);
        if (r == 0 && kind->enter)
                r = kind->enter(subject);
        if (r < 0)
                return r;
        r = turn->workload->run(&turn->run);
        r_after = kind->leave ? kind->leave(subject) : 0;
        if (r_after == 0)
                r_after = kind->drop(subject);
        return r < 0 ? r : r_after < 0 ? r_after : r;
}

/* Each run has its own tag, over all workloads too: what is in the file of others must not look like it. */
static uint64_t driver_next_tag(void) {
        static uint64_t tag;

        return ++tag;
}

/* counts: whether the result is kept. */
static int driver_run_one(struct driver_turn *turn, size_t i, bool counts) {
        struct subject *subject = turn->subjects[i];
        struct result *result;
        int r;

        turn->run.subject = subject;
        turn->run.reason = (struct reason){ 0 };
        turn->run.tag = driver_next_tag();
        turn->run.ns = turn->run.bytes = turn->run.n_touches = 0;
        turn->run.cpu_ns = UINT64_MAX;
        turn->run.hits = NAN;
        r = driver_run_entered(turn, subject);
        if (r < 0) {
                fprintf(stderr, "workload %s failed on subject %s: %s\n", turn->workload->name, subject->kind->name, strerror(-r));
                return r;
        }
        if (r == WORKLOAD_SKIPPED && *turn->run.reason.text) {
                r = driver_turn_say_why(turn, i, &turn->run.reason);
                if (r < 0)
                        return r;
        } else if (r == 0 && counts) {
                result = results_get(turn->results, turn->placement, turn->workload, subject->kind);
                if (!result)
                        return -ENOMEM;
                result_add(result, &turn->run);
        }
        return content_settle(turn->setup.content);
}

static int driver_run_all(struct driver_turn *turn, size_t run, bool counts) {
        bool is_fresh = turn->workload->flags & WORKLOAD_FRESH;
        int r = 0;

        turn->run.seed = run;
        for (size_t i = 0; is_fresh && r == 0 && i < turn->n_subjects; i++)
                r = driver_turn_new_subject(turn, i);
        for (size_t i = 0; r == 0 && i < turn->n_subjects; i++)
                if (turn->subjects[i])
                        r = driver_run_one(turn, i, counts);
        if (is_fresh)
                driver_turn_free_subjects(turn);
        return r;
}

/* Workloads that are run in turns. */
struct driver_group {
        struct driver_turn turns[DRIVER_GROUP_MAX];
        size_t n;
};

/* The first subject of all of them first, and so on: the first ones fork. */
static int driver_group_new_subjects(struct driver_group *group) {
        int r = 0;

        for (size_t i = 0; i < DRIVER_SUBJECTS_MAX; i++)
                for (size_t j = 0; r == 0 && j < group->n; j++)
                        if (i < group->turns[j].n_subjects && !(group->turns[j].workload->flags & WORKLOAD_FRESH))
                                r = driver_turn_new_subject(&group->turns[j], i);
        return r;
}

static int driver_group_run_all(struct driver_group *group, size_t run, size_t n_runs) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < group->n; i++) {
                struct driver_turn *turn = &group->turns[i];

                if (run == 0 && turn->workload->flags & WORKLOAD_NO_WARM_UP)
                        continue;
                turn->driver->on_progress(turn->placement, turn->workload->name, run, n_runs);
                r = driver_run_all(turn, run, run > 0);
        }
        return r;
}

/* All of the group have the same number of runs. */
static int driver_group_run(struct driver_group *group) {
        const struct workload *workload = group->turns[0].workload;
        size_t n_runs = group->turns[0].driver->n_runs;
        int r;

        if (workload->n_runs_max && workload->n_runs_max < n_runs)
                n_runs = workload->n_runs_max;
        r = driver_group_new_subjects(group);
        for (size_t run = 0; r == 0 && run <= n_runs; run++)
                r = driver_group_run_all(group, run, n_runs);
        return r;
}

static void driver_group_fini(struct driver_group *group) {
        while (group->n > 0)
                driver_turn_fini(&group->turns[--group->n]);
}

static bool driver_is_wanted(const struct driver *driver, const struct workload *workload) {
        if (driver->only && !driver_means(driver->only, workload))
                return false;
        return !(driver->is_pinned && workload->flags & WORKLOAD_ANY_CPU);
}

static bool driver_are_together(const struct workload *one, const struct workload *other) {
        return one == other || (one->group && other->group && strcmp(one->group, other->group) == 0);
}

/* *i is the first of them, and afterwards the first that is not one. */
static int driver_group_init(struct driver_group *group, const struct driver *driver, const char *placement, size_t *i, struct results *results) {
        const struct workload *first = workloads[*i];
        int r = 0;

        group->n = 0;
        for (; r == 0 && workloads[*i] && driver_are_together(first, workloads[*i]) && group->n < DRIVER_GROUP_MAX; (*i)++)
                if (driver_is_wanted(driver, workloads[*i])) {
                        r = driver_turn_init(&group->turns[group->n], driver, placement, workloads[*i], results);
                        group->n += r == 0;
                }
        if (r < 0)
                driver_group_fini(group);
        return r;
}

int driver_run(const struct driver *driver, const char *placement, struct results *results) {
        struct driver_group group;
        int r = 0;

        for (size_t i = 0; r == 0 && workloads[i];) {
                r = driver_group_init(&group, driver, placement, &i, results);
                if (r == 0 && group.n > 0)
                        r = driver_group_run(&group);
                driver_group_fini(&group);
        }
        return r;
}
