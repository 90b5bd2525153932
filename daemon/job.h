/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_JOB_H
#define BF_JOB_H

/*
 * Work of the pager that takes longer than a moment: a writeout, a range to load. It is done in steps of bounded length, in turn with all other
 * jobs and with faults, so that no client's request makes another wait.
 */

#include <stdbool.h>
#include <sys/queue.h>

/* Pages that one step may handle: about a millisecond. */
#define JOB_STEP_PAGES 512u

enum job_result {
        JOB_MORE, /* call step() again, when the others had their turn */
        JOB_WAIT, /* until job_wake() */
        JOB_DONE, /* step() has freed it */
};

struct job {
        TAILQ_ENTRY(job) entry; /* jobs->runnable -> job->entry */
        enum job_result (*step)(struct job *job);
        bool is_runnable; /* in the queue */
        bool is_stepping;
        bool is_woken; /* while it was stepping */
};

struct jobs {
        TAILQ_HEAD(job_queue, job) runnable;
};

void jobs_init(struct jobs *jobs);

/* Its step() will be called soon. */
void job_wake(struct jobs *jobs, struct job *job);

/* One step of each that was runnable. */
void jobs_run(struct jobs *jobs);

bool jobs_is_idle(const struct jobs *jobs);

#endif
