/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "job.h"

void jobs_init(struct jobs *jobs) {
        TAILQ_INIT(&jobs->runnable);
}

void job_wake(struct jobs *jobs, struct job *job) {
        if (job->is_stepping)
                job->is_woken = true;
        if (job->is_stepping || job->is_runnable)
                return;
        job->is_runnable = true;
        TAILQ_INSERT_TAIL(&jobs->runnable, job, entry);
}

static void job_step(struct jobs *jobs, struct job *job) {
        enum job_result result;

        TAILQ_REMOVE(&jobs->runnable, job, entry);
        job->is_runnable = false;
        job->is_stepping = true;
        job->is_woken = false;
        result = job->step(job);
        if (result == JOB_DONE)
                return;
        job->is_stepping = false;
        if (result == JOB_MORE || job->is_woken)
                job_wake(jobs, job);
}

void jobs_run(struct jobs *jobs) {
        struct job *last = TAILQ_LAST(&jobs->runnable, job_queue), *job = NULL;

        while (job != last) {
                job = TAILQ_FIRST(&jobs->runnable);
                job_step(jobs, job);
        }
}

bool jobs_is_idle(const struct jobs *jobs) {
        return TAILQ_EMPTY(&jobs->runnable);
}
