/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_WRITEOUT_RUN_H
#define BF_WRITEOUT_RUN_H

/* Neighbours on their way to the file: what a writeout does with them, from the moment they are protected until the file has them. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "state.h"
#include "store.h"
#include "wire.h"

struct fileh;
struct job;

/* A run is not longer than this, or one block, or what the store writes at once. */
#define WRITEOUT_RUN_BYTES (UINT64_C(1) << 20)

struct writeout_run {
        STAILQ_ENTRY(writeout_run) entry; /* writeout->runs, then writeout->stored -> run->entry */
        struct fileh *fileh;
        struct job *job; /* woken when it has ended */
        uint64_t block;
        uint64_t n;
        uint64_t n_filled;  /* of them, those whose content is in the buffer */
        int fill_error;     /* why not the others; they are not written */
        uint64_t n_good;    /* of them, those that are in the file */
        uint64_t n_alone;   /* after an error: those behind the good ones that were written one by one since */
        uint64_t n_written; /* by the write under way */
        uint64_t began;     /* by latency_now() */
        void *buf;
        struct store_loan loan; /* that buf is of; or there is none */
        bool has_ended;
        int error;
        struct store_request request;
        uint64_t n_words;
        bool has_gaps;    /* some of its blocks are not to be stored */
        uint64_t bits[]; /* twice n_words: a bit for each block that comes from the spill file; and for each that is to be stored */
};

/* A run for so many blocks at the most, with room for its bits; NULL: no memory. */
struct writeout_run *writeout_run_new(struct fileh *fileh, struct job *job, uint64_t n_max);

/* Its block i, counted from the first, is to be stored, and is the last one so far. */
void writeout_run_add(struct writeout_run *run, uint64_t i);

/* It has ended, and its content is not needed any more. */
void writeout_run_free_buf(struct writeout_run *run);

/* How many of its first n blocks are. */
uint64_t writeout_run_count(const struct writeout_run *run, uint64_t n);

STAILQ_HEAD(writeout_runs, writeout_run);

static inline uint64_t writeout_run_end(const struct writeout_run *run) {
        return run->block + run->n;
}

uint64_t writeout_run_bytes(const struct writeout_run *run);

/* No page may count as clean, or be copied, while it can be written: first it is protected, then the ledger is told. The runs are in order of offset. */
void writeout_pages_protect(struct fileh *fileh, uint64_t block, uint64_t n);
void writeout_runs_protect(const struct writeout_runs *runs);

/* Calls the pages of a run, which are protected, STORING, copies those that are in RAM, and begins to store it. */
void writeout_run_store(struct writeout_run *run);

/* Tells a page, protected and not yet on its way, that it is to be stored, or counts as stored. Returns the state it was in. */
enum page_state writeout_page_leave(struct fileh *fileh, uint64_t block, enum page_event event);

/* The store of these pages has ended; each that is still here is told so. Whoever waited because the page was dropped meanwhile asks again. */
void writeout_pages_end(struct fileh *fileh, uint64_t block, uint64_t n, enum page_event event);

#endif
