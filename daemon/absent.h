/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ABSENT_H
#define BF_ABSENT_H

/*
 * Jobs that wait until the absent users of a shared fileh (claim.h) are back or gone. Who comes back is heard of; that one is gone the kernel tells only who
 * asks: so the jobs are woken again and again, as long as there are any, to look for themselves.
 */

struct absent_waiter;
struct job;
struct pager;

/* The job is woken soon, once. Waiting already is fine. */
void absent_wait(struct pager *pager, struct absent_waiter *waiter, struct job *job);

/* It does not wait any more, or never did. */
void absent_forget(struct pager *pager, struct absent_waiter *waiter);

/* Somebody came back, or went: all are woken now. */
void absent_wake_all(struct pager *pager);

/* The pager ends: nobody is woken any more. */
void absent_end(struct pager *pager);

#endif
