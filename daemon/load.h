/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LOAD_H
#define BF_LOAD_H

/*
 * Loads: from the file, or the spill file, into the memory. A load covers a run of blocks. It waits until it is admitted (admission.h),
 * then reads, then places what it read and shows it to who waits.
 * A page whose block was invalidated meanwhile, or stored from the spill file, has left the load, which notices when it ends: what it read of that block goes nowhere.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "admission.h"
#include "state.h"
#include "store.h"
#include "stream.h"
#include "waiter.h"

/* A run is not longer than this, or one block. */
#define LOAD_RUN_BYTES (UINT64_C(256) << 10)

struct fileh;
struct fill;
struct mapping;
struct pager;

struct load {
        uint32_t id; /* in pager->loads */
        struct fileh *fileh;
        uint64_t block;
        uint64_t n_blocks;
        uint64_t n_ended;  /* of them, those that were placed or failed */
        uint64_t n_read;   /* the blocks of the read under way */
        int error;         /* the first one */
        bool is_unspill; /* from the spill file */
        struct stream_traps traps; /* blocks that are not to be shown there before they are touched */
        struct mapping *ahead_of; /* where pages that nobody waits for will be touched; NULL: nobody knows */
        struct admission admission;
        uint64_t began; /* to read, by latency_now(); 0: not yet */
        void *buf; /* of the loan, if there is one */
        struct store_loan loan;
        struct fill *fill; /* its content is being copied by another thread; else NULL */
        struct store_request request;
        struct waiters waiters;
        TAILQ_ENTRY(load) fileh_entry; /* fileh->loads -> load->fileh_entry */
};

/* Begins to load n blocks, all of them EMPTY or all SPILLED. The caller adds who waits. -ENOMEM: nothing was begun. */
int load_new(struct fileh *fileh, uint64_t block, uint64_t n, struct load **ret);

/* Sets it going, once those that wait are in its list. */
void load_start(struct load *load);

/* Instead: all of it fails. */
void load_refuse(struct load *load, int error);

/* A page that is its own fails while it goes on. */
void load_refuse_block(struct load *load, uint64_t block, int error);

/* The load a page waits for. */
struct load *load_of_page(struct fileh *fileh, uint32_t id);

/* Can what is read of these blocks be copied into that mapping by another thread? */
bool load_may_fill(const struct fileh *fileh, const struct mapping *mapping, uint64_t block, uint64_t n);

/* What other threads copy of this fileh's loads has ended, and the pages are LOADED. */
void load_settle_fills(struct fileh *fileh);

/* Somebody waits for it: if another thread is to copy it and has not begun, it is copied now, and the load ends. */
void load_hurry(struct load *load);

/* The event takes a page out of its load's hands; who waited for it asks again. */
void load_abandon(struct fileh *fileh, uint32_t id, enum page_event event);

/* Nothing waits through that mapping any more. */
void load_forget_mapping(struct fileh *fileh, const struct mapping *mapping);

#endif
