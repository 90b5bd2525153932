/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FILEH_H
#define BF_FILEH_H

/*
 * A fileh: a view of one file, with its memory, its pages and who uses it. Here page states are assigned, and with them everything that follows
 * from a state: the ledger, the lists, the counters, the room in the pool. What to do to the memory and the mappings is up to the callers.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "directory.h"
#include "ledger_file.h"
#include "memory.h"
#include "page.h"
#include "pagemap.h"
#include "pager.h"
#include "spill_file.h"
#include "state.h"
#include "waiter.h"
#include "wire.h"

struct account;
struct ahead;
struct guess;
struct handle;
struct load;
struct pager;
struct served;
struct store;
struct writeout;

struct fileh {
        struct pager *pager;
        uint32_t id; /* in pager->filehs */

        struct file_identity identity;
        struct directory_entry entry;
        struct directory_route *route; /* of a shared one */
        bool is_shared;
        bool has_writer; /* a read-write handle joined it at some time, also under an earlier daemon */
        uid_t uid;       /* of the first handle, and of all that write */
        struct account *account; /* his, which the dirty pages are counted in */
        uint64_t n_counted;      /* bytes of them */
        uint64_t n_woken;        /* quota.c: promised to those just woken */
        uint64_t n_failed;       /* pages whose failure is remembered */
        uint64_t size;   /* of the file, bytes */
        bool is_truncated; /* it was seen to end before that, and that was said */
        uint64_t block_size;
        unsigned block_shift;

        struct memory memory;
        uint64_t memory_inode;
        struct ledger_file ledger;
        struct pagemap map;
        struct store *store;
        bool is_served;         /* by a client process */
        bool is_direct;         /* its reads and writes pass the page cache by */
        bool is_direct_refused; /* they were to */
        struct spill_file spill;
        enum wire_advice advice;
        struct ahead *ahead; /* ahead.c; NULL: nothing was read ahead yet */
        struct guess *guess; /* guess.c; NULL: nothing was guessed yet */
        unsigned n_guesses;  /* pages that are dirty, but perhaps not written */

        TAILQ_HEAD(, handle) handles; /* -> handle->entry */
        unsigned n_refs;              /* handles, also closed ones until freed; jobs; loads and stores under way */
        bool is_closing;              /* the last handle is closed, and nobody is absent */
        bool is_counted;              /* as a handle of its user: so is a closed one that loads or stores still hold on to */
        bool is_broken;               /* its pages could not be taken up */
        unsigned n_awaited;           /* what has to end before handles are answered and listened to (opening.h) */
        struct job predecessor;       /* one of them: another fileh of the file, which is closed and still storing */
        struct directory_waiter predecessor_waiter;
        struct pager_call predecessor_call;

        uint32_t n_places;         /* given to handles so far (claim.h) */
        unsigned n_hidden_writers; /* handles whose mappings are not all known yet */
        bool may_miss_somebody;    /* users may be absent: it is to be looked at */
        bool is_lingering;         /* no handle is open, or none was for a while, and users were absent (closing.c) */
        struct job linger;
        struct absent_waiter linger_waiter;

        struct pagelist dirty;   /* what is dirty and not being stored, in RAM or spilled, in order of becoming so -> page->dirty */
        struct pagelist storing; /* STORING, STORING_DIRTIED and STORING_SPILLED -> page->dirty */
        struct pagelist unsynced; /* UNSYNCED -> page->dirty */
        uint64_t n_unsynced_gone; /* pages that were stored, and are not here any more, since the file was last flushed */
        uint64_t n_resident;
        uint64_t n_spilled;      /* whose content is in the spill file alone */

        /* The spill file (spill.c, sweep.c). */
        struct ring_op spill_op; /* its making */
        bool is_unfit;           /* it takes no such large offsets */
        bool has_failed;         /* a page could not be brought back once, and may be poisoned where it was touched */
        bool is_sweeping;
        uint64_t punch_first; /* places being given back, where nothing may be written meanwhile: so many blocks from there */
        uint64_t punch_n;
        bool in_sweep_queue;
        TAILQ_ENTRY(fileh) sweep_entry; /* pager->sweep_queue -> fileh->sweep_entry */

        TAILQ_HEAD(, load) loads;            /* all that are under way or wait -> load->fileh_entry */
        TAILQ_HEAD(, admission) turn_queue;  /* loads that wait for their turn (admission.h) -> admission->entry */
        uint64_t loading_bytes;              /* of the loads that have had their turn */
        bool is_in_line;
        TAILQ_ENTRY(fileh) turn_entry;       /* pager->turn_line -> fileh->turn_entry */
        struct waiters store_waiters;        /* who waits for a page that is being stored or spilled */
        struct writeout *writeout;           /* the one under way */
        STAILQ_HEAD(, writeout) writeouts;   /* those that wait for it -> writeout->entry */

        uint64_t n_loads, n_stores, n_evictions, n_faults;
        uint64_t since; /* by latency_now(): they are of the time from then on */
};

/* A block of some fileh; in order, neighbours stand together. */
struct fileh_block {
        struct fileh *fileh;
        uint64_t block;
};

int fileh_block_compare(const void *a, const void *b); /* for qsort() */

void fileh_ref(struct fileh *fileh);
void fileh_unref(struct fileh *fileh);

/* Is a user of a shared fileh absent (claim.h)? */
bool fileh_misses_anyone(struct fileh *fileh);

/*
 * May pages be write-protected, so that they can be copied out and count as clean? Not while somebody may have them mapped writable where it is not known:
 * after the daemon came anew, until every user's mappings are shown. Who has to wait for it does so with absent_wait(). Taking pages out of the memory
 * is safe at any time: that unmaps them everywhere, and who touches them asks.
 */
bool fileh_may_protect(struct fileh *fileh);

int fileh_resize(struct fileh *fileh, uint64_t size);

static inline uint64_t fileh_round_up(uint64_t size, uint64_t block_size) {
        return (size + block_size - 1) & ~(block_size - 1);
}

uint64_t fileh_n_blocks(const struct fileh *fileh);

/* The page of a block, or 0; and its state. */
uint32_t fileh_page(const struct fileh *fileh, uint64_t block);
enum page_state fileh_state(const struct fileh *fileh, uint64_t block);

/* Makes the page of an empty block, LOADING by that load; the most recently used. -ENOMEM. */
int fileh_add_page(struct fileh *fileh, uint64_t block, uint32_t load);

/* Makes the page of an empty block whose content is about to be placed; in a state that is resident. Its room was taken by the caller. -ENOMEM. */
int fileh_add_resident(struct fileh *fileh, uint64_t block, enum page_state state);

/* Makes the page of an empty block, as a daemon that is gone had it. -ENOMEM. */
int fileh_adopt_page(struct fileh *fileh, uint64_t block, enum page_state state, int error);

/* The page, SPILLED, is brought back by that load. */
void fileh_unspill_page(struct fileh *fileh, uint32_t id, uint32_t load);

/* The number of the load that brings a page, which is LOADING or UNSPILLING. */
uint32_t fileh_load_of(const struct fileh *fileh, uint32_t id);

/* Is there a page of that block, LOADING or UNSPILLING by that load? */
bool fileh_is_loaded_by(const struct fileh *fileh, uint64_t block, uint32_t load);

/*
 * Moves a page along: the one place where a state is assigned. The ledger says it before this returns, so a caller that makes a page writable does
 * so after. A page that becomes EMPTY is freed. Returns what is to be done now.
 */
enum page_action fileh_page_event(struct fileh *fileh, uint32_t id, enum page_event event, int error);

/* How a page fails that a thread waits for: EVENT_LOAD_FAILED, and the failure is remembered; or, when its user has too many such pages, as if nobody waited. */
enum page_event fileh_failure(const struct fileh *fileh);

/* The page was touched: it is the most recently used. */
void fileh_touch(struct fileh *fileh, uint32_t id);

/* A dirty page at the end of the order of use steps out of it: it is the next to be spilled, if it can be. */
void fileh_park(struct fileh *fileh, uint32_t id);

/* Closes its spill file. */
void fileh_free_spill_file(struct fileh *fileh);

/* Is there a file to spill its pages to? */
bool fileh_can_spill(const struct fileh *fileh);

/* A page is to be dropped for want of room: that is remembered. */
void fileh_forget_page(struct fileh *fileh, uint32_t id);

/* A parked page is not to be spilled after all, until it was touched. */
void fileh_unpark(struct fileh *fileh, uint32_t id);

/* Gives it its spill file: takes fd if it succeeds. */
int fileh_set_spill_file(struct fileh *fileh, int fd);

/* Counts what the spill file takes of the disk by now. */
void fileh_look_at_spill_file(struct fileh *fileh);

/* Has its spill file more than a few places that are in use no more? */
bool fileh_has_stale_places(const struct fileh *fileh);

/* Its spill file may have room to give back. */
void fileh_queue_sweep(struct fileh *fileh);

/* Takes the page's room out of its hands: the caller gives it back to the pool. Returns bytes. */
uint64_t fileh_take_room(struct fileh *fileh, uint32_t id);

#endif
