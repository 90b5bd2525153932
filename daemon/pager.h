/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGER_H
#define BF_PAGER_H

/*
 * What one pager owns: its ring, the pages of its filehs in order of use, the filehs themselves, and the queues of what waits. All of it belongs to
 * the pager's thread (pager_thread.h); only the pool is shared with other threads. Nothing of it needs a lock.
 */

#include <stdint.h>
#include <sys/queue.h>

#include "account.h"
#include "bufs.h"
#include "idtable.h"
#include "job.h"
#include "page.h"
#include "pool.h"
#include "ring.h"
#include "wire.h"

struct fileh;
struct load;
struct request_hold;
struct roster;
struct quota_waiter;
struct stray;

/* A job that waits for absent users (absent.c). */
struct absent_waiter {
        TAILQ_ENTRY(absent_waiter) entry; /* pager->absent_waiters -> waiter->entry */
        struct job *job;                  /* NULL: it does not wait */
};

struct pager_options {
        struct roster *roster; /* borrowed; NULL: none */
        uint64_t room_timeout_usec; /* how long a load waits for room */
        unsigned reclaim_batch;     /* pages */
        struct account_limits limits;
        const char *spill_dir;      /* folder of the spill files; NULL: none are made */
        int spill_dir_fd;           /* the same, borrowed */
        uint64_t spill_bytes;       /* what they may take of the disk */
};

/* How it goes with spilling (spill.c). */
struct spill {
        uint64_t n_bytes; /* on their way to the disk */
        bool is_full;     /* the files have reached their limit */
        bool is_failing;  /* what was written last failed */
        uint64_t pause_usec;  /* after the next failure */
        uint64_t paused_till; /* monotonic, microseconds */
        bool timer_is_set;
        struct ring_op timer;
        int create_error; /* of the last file that could not be made */
};

/* Whom to answer. */
struct reply_to {
        uint64_t peer;
        uint32_t serial;
        uint16_t id;
};

struct pager {
        struct ring *ring;
        struct pool *pool; /* borrowed */
        struct pager_options options;
        struct bufs bufs;
        struct pages pages;
        struct pagelist lru;    /* most recently used first -> page->lru */
        struct pagelist parked; /* dirty pages that can be spilled, the least recently used first -> page->lru */
        struct idtable filehs;  /* struct fileh */
        struct idtable handles; /* struct handle */
        struct idtable loads;   /* struct load */
        struct jobs jobs;
        TAILQ_HEAD(, load) room_queue; /* loads that wait for room, the longest first -> load->queue_entry */
        struct ring_op room_timer;
        bool room_timer_is_set;
        struct accounts accounts;   /* of dirty bytes; the server has its own of what it counts */
        TAILQ_HEAD(, quota_waiter) quota_queue; /* who waits to write, the longest first -> waiter->entry */
        struct ring_op quota_timer;
        bool quota_timer_is_set;
        bool quota_is_freed;        /* some account has fewer dirty bytes than when the queue was last looked at */
        TAILQ_HEAD(, absent_waiter) absent_waiters;
        struct ring_op absent_timer;
        bool absent_timer_is_set;
        TAILQ_HEAD(, request_hold) holds; /* OPENs of shared files that wait for their users -> hold->entry */
        TAILQ_HEAD(, stray) strays; /* faults nobody knows -> stray->entry */
        struct ring_op stray_timer;
        bool stray_timer_is_set;
        bool is_reclaiming; /* between the low and the high mark */
        struct spill spill;
        TAILQ_HEAD(, fileh) sweep_queue; /* whose spill files may have room to give back -> fileh->sweep_entry */

        /* Set by the thread that runs it: how to answer a peer, and how to be rid of one. fds are taken. */
        void (*reply)(struct pager *pager, uint64_t peer, union wire_msg *msg, const int *fds, unsigned n_fds);
        void (*drop_peer)(struct pager *pager, uint64_t peer, const char *why);
};

int pager_init(struct pager *pager, struct pool *pool, const struct pager_options *options);
void pager_fini(struct pager *pager);

/* The plain reply: 0 or a negative errno. */
void pager_reply_error(struct pager *pager, const struct reply_to *to, int error);

#endif
