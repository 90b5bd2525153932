/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PAGER_H
#define BF_PAGER_H

/*
 * What one pager owns: its ring, the pages of its filehs in order of use, the filehs themselves, and the queues of what waits. All of it belongs to
 * the pager's thread (pager_thread.h), and nothing of it needs a lock. What pagers have in common is in commons.h.
 */

#include <stdint.h>
#include <sys/queue.h>

#include "bufs.h"
#include "commons.h"
#include "idtable.h"
#include "job.h"
#include "order.h"
#include "page.h"
#include "pool.h"
#include "ring.h"
#include "wire.h"

struct fileh;
struct filler;
struct load;
struct pager;
struct request_hold;
struct quota_waiter;
struct stray;
struct views;

/* A job that waits for absent users (absent.c). */
struct absent_waiter {
        TAILQ_ENTRY(absent_waiter) entry; /* pager->absent_waiters -> waiter->entry */
        struct job *job;                  /* NULL: it does not wait */
};

struct pager_options {
        uint64_t room_timeout_usec; /* how long a load waits for room */
        unsigned reclaim_batch;     /* pages */
        enum order_policy replacement;
        uint64_t nbd_timeout_usec;  /* how long what is asked of a server waits for a connection */
        const char *spill_dir;      /* folder of the spill files; NULL: none are made */
        int spill_dir_fd;           /* the same, borrowed */
        uint64_t spill_bytes;       /* what they may take of the disk */
};

/* How it goes with spilling (spill.c). */
struct spill {
        uint64_t n_bytes; /* on their way to the disk */
        bool is_held;     /* it cannot go on just now */
        bool is_full;     /* the files have reached their limit */
        bool is_failing;  /* what was written last failed */
        uint64_t pause_usec;  /* after the next failure */
        uint64_t paused_till; /* monotonic, microseconds */
        bool timer_is_set;
        struct ring_op timer;
        int create_error; /* of the last file that could not be made */
};

/* Something that a pager is to do, asked for by any thread. It is the pager's until run() is called, in its thread. */
struct pager_call {
        STAILQ_ENTRY(pager_call) entry; /* thread->in -> call->entry */
        void (*run)(struct pager *pager, struct pager_call *call);
};

/* Whom to answer. */
struct reply_to {
        uint64_t peer;
        uint32_t serial;
        uint16_t id;
};

/* That clean pages be dropped, of whatever fileh: it goes from one pager to the next. */
struct reclaim_ask {
        struct reply_to to;
        uint64_t n_wanted; /* bytes */
        uint64_t n_done;
        unsigned n_pagers; /* that have done what they can */
};

struct pager {
        unsigned index; /* in commons->pagers */
        struct commons *commons; /* borrowed */
        struct pool *pool;       /* commons->pool */
        struct ring *ring;
        struct views *views; /* NULL: none */
        struct pager_options options;
        struct bufs bufs;
        struct pages pages;
        struct order order; /* of pages: which leaves first */
        struct idtable filehs;  /* struct fileh */
        struct idtable handles; /* struct handle */
        struct idtable loads;   /* struct load */
        struct jobs jobs;
        TAILQ_HEAD(, admission) room_queue; /* loads that wait for room, the longest first -> admission->entry */
        struct ring_op room_timer;
        bool room_timer_is_set;
        TAILQ_HEAD(, fileh) turn_line; /* filehs whose loads wait until their user has fewer under way -> fileh->turn_entry */
        bool turn_is_news;             /* some may begin, perhaps */
        uint64_t turn_others;          /* pagers where somebody waits for what was given back here */
        TAILQ_HEAD(, quota_waiter) quota_queue; /* who waits to write, the longest first -> waiter->entry */
        struct ring_op quota_timer;
        bool quota_timer_is_set;
        bool quota_is_freed;        /* some account has fewer dirty bytes than when the queue was last looked at */
        uint64_t quota_others;      /* pagers where somebody waits for that */
        bool room_is_given;         /* to the pool, in this turn */
        bool room_is_news;          /* somebody has given some since those that wait here last asked for it */
        TAILQ_HEAD(, absent_waiter) absent_waiters;
        struct ring_op absent_timer;
        bool absent_timer_is_set;
        TAILQ_HEAD(, request_hold) holds; /* OPENs that wait: of shared files, for their users; of servers', to be connected -> hold->entry */
        uint32_t published;        /* the page to leave first when the others were last told of it; 0: there was none */
        uint32_t published_parked; /* the same of the one to be spilled first; 0: nothing could be */
        TAILQ_HEAD(, stray) strays; /* faults nobody knows -> stray->entry */
        struct ring_op stray_timer;
        bool stray_timer_is_set;
        LIST_HEAD(, provider) providers; /* files that are served by processes, as far as this pager talks to them -> provider->entry */
        struct spill spill;
        struct ring_op guess_timer;
        bool guess_timer_is_set;
        struct filler *filler; /* NULL: it has none, not yet or (has_no_filler) never (fill.h) */
        bool has_no_filler;
        atomic_int awaited_tid; /* it sleeps until its filler has done something; 0: it does not */
        unsigned n_leaving; /* stores that were freed, and whose threads have not ended */
        struct latencies latencies; /* the main thread looks at them */
        uint64_t fault_began;       /* nanoseconds: the fault that is dealt with */
        bool fault_waits;           /* and it is not answered yet */
        TAILQ_HEAD(, fileh) sweep_queue; /* whose spill files may have room to give back -> fileh->sweep_entry */

        /* Set by the thread that runs it: how to answer a peer, fds are taken; how to be rid of one; how any thread calls this one; and how a request goes on to
         * the next pager, which answers it. */
        void (*reply)(struct pager *pager, uint64_t peer, union wire_msg *msg, const int *fds, unsigned n_fds);
        void (*drop_peer)(struct pager *pager, uint64_t peer, const char *why);
        void (*post)(struct pager *pager, struct pager_call *call);
        void (*post_to)(struct pager *pager, unsigned index, struct pager_call *call); /* to the pager of that number */
        void (*pass_on)(struct pager *pager, const struct reclaim_ask *ask);
};

int pager_init(struct pager *pager, struct commons *commons, unsigned index, const struct pager_options *options);
void pager_fini(struct pager *pager);

/* Where each pager has a bit. */
static inline uint64_t pager_bit(const struct pager *pager) {
        return UINT64_C(1) << pager->index;
}

static inline void pager_count(struct pager *pager, enum counter counter, int64_t n) {
        counters_add(&pager->commons->pagers[pager->index].counters, counter, n);
}

/* What began then, by latency_now(), has ended. Returns now. */
static inline uint64_t pager_record(struct pager *pager, enum report_latency which, uint64_t began) {
        uint64_t now = latency_now();

        latency_record(&pager->latencies, which, now - began);
        return now;
}

/* Does anybody want to hear of such events? */
static inline bool pager_is_traced(const struct pager *pager, enum report_event_kind kind) {
        return atomic_load_explicit(&pager->commons->traced, memory_order_relaxed) >> kind & 1;
}

/* Tells one of them; its time is set here. */
void pager_trace(struct pager *pager, struct report_event *event);

/* Room is free. */
void pager_give_room(struct pager *pager, uint64_t bytes);

/* How much is dirty of a user's has changed: he may have waited for that. */
void pager_count_dirty(struct pager *pager, struct account *account, int64_t bytes);

/* The plain reply: 0 or a negative errno. */
void pager_reply_error(struct pager *pager, const struct reply_to *to, int error);

#endif
