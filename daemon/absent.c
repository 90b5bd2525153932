/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>

#include "absent.h"
#include "pager.h"

#define ABSENT_LOOK_USEC 25000u

static void absent_on_timer(struct ring_op *op, int result) {
        struct pager *pager = (struct pager *) ((char *) op - offsetof(struct pager, absent_timer));

        pager->absent_timer_is_set = false;
        if (result == -ETIME)
                absent_wake_all(pager);
}

static void absent_set_timer(struct pager *pager) {
        if (pager->absent_timer_is_set)
                return;
        pager->absent_timer_is_set = true;
        pager->absent_timer.done = absent_on_timer;
        ring_timer(pager->ring, &pager->absent_timer, ring_now() + ABSENT_LOOK_USEC);
}

void absent_wait(struct pager *pager, struct absent_waiter *waiter, struct job *job) {
        if (!waiter->job)
                TAILQ_INSERT_TAIL(&pager->absent_waiters, waiter, entry);
        waiter->job = job;
        absent_set_timer(pager);
}

void absent_forget(struct pager *pager, struct absent_waiter *waiter) {
        if (waiter->job)
                TAILQ_REMOVE(&pager->absent_waiters, waiter, entry);
        waiter->job = NULL;
}

void absent_wake_all(struct pager *pager) {
        struct absent_waiter *waiter;

        while ((waiter = TAILQ_FIRST(&pager->absent_waiters))) {
                struct job *job = waiter->job;

                absent_forget(pager, waiter);
                job_wake(&pager->jobs, job);
        }
}

void absent_end(struct pager *pager) {
        struct absent_waiter *waiter;

        while ((waiter = TAILQ_FIRST(&pager->absent_waiters)))
                absent_forget(pager, waiter);
        if (pager->absent_timer_is_set)
                ring_cancel(pager->ring, &pager->absent_timer);
}
