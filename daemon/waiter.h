/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_WAITER_H
#define BF_WAITER_H

/* Who waits for a page: threads of clients that touched it, known by their mapping; and jobs of the pager. What a mapping is, it does not know. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct job;
struct mapping;

/* Told when what a job waits for has ended; error: 0 or a negative errno. */
struct job_waiter {
        struct job *job;
        void (*ended)(struct job *job, int error);
};

struct waiter {
        STAILQ_ENTRY(waiter) entry;   /* waiters -> waiter->entry */
        uint64_t block;
        struct mapping *mapping;      /* NULL: a job */
        bool write;                   /* it touched the page to write */
        uint64_t since;               /* the first touch, by whatever clock */
        struct job_waiter job_waiter;
};

STAILQ_HEAD(waiters, waiter);

/* A second touch of the same page through the same mapping is the same waiter. -ENOMEM. */
int waiters_add_fault(struct waiters *waiters, struct mapping *mapping, uint64_t block, bool write, uint64_t since);
int waiters_add_job(struct waiters *waiters, uint64_t block, struct job_waiter job_waiter);

/* Where the first of those that wait in a fault touched it; NULL: none does. */
struct mapping *waiters_mapping(const struct waiters *waiters);

/* Forgets those that wait through that mapping. */
void waiters_remove_mapping(struct waiters *waiters, const struct mapping *mapping);

/* Moves those that wait for the blocks from first to last in a fault to another list. */
void waiters_take_faults(struct waiters *waiters, uint64_t first, uint64_t last, struct waiters *to);

/* Counts those in a fault; *oldest becomes the time since when one of them waits, if that is less. */
uint64_t waiters_count_faults(const struct waiters *waiters, uint64_t *oldest);

/* Those in a fault are woken and ask again, jobs are told; the list is empty then. */
void waiters_end(struct waiters *waiters, int error, void (*wake)(struct mapping *mapping, uint64_t block, uint64_t since));

#endif
