/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_LEDGER_H
#define BF_LEDGER_H

/*
 * The ledger: the page states of one fileh in shared memory. The daemon writes it; clients have it read-only, and look up a page without a round
 * trip. It outlives the daemon in its clients' hands.
 *
 * It is a header and one hash table of 64-bit words, open addressing with linear probing, so that it costs what is resident and not what the file
 * could hold. A table of capacity C (a power of two, at least LEDGER_CAPACITY_MIN) lies at byte 8 * C, so each size of table has a place of its
 * own: to grow, the daemon fills the next table and only then names it in the header. One store of a word changes one page's state, never half.
 *
 * A reader takes header.seq, probes, and takes it again: odd or changed means that entries moved meanwhile; it starts over.
 */

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_MAGIC UINT64_C(0x3372656764656c62) /* "bledger3" */
#define LEDGER_CAPACITY_MIN UINT64_C(512)         /* words: 4096 bytes, behind the header */

struct ledger_header {
        uint64_t magic;
        uint64_t seq;      /* even: at rest. Odd: entries are being moved */
        uint64_t capacity; /* of the table in force, in words */
        uint64_t n_used;   /* words that are not 0 */
        uint64_t block_size;
        uint64_t size;         /* of the file, bytes */
        uint64_t memory_inode; /* of the memory it belongs to; 0: the daemon has closed the fileh and drops its pages */
        uint64_t file_device;  /* of the file */
        uint64_t file_inode;
        uint64_t is_shared;  /* 1: of a fileh that clients share */
        uint64_t generation; /* how many daemons have had it, the one that made it included */
        uint64_t writer;     /* uid + 1 of who has or had it open for writing; 0: nobody */
        uint64_t sync_under_way; /* 1: a flush of the file was asked for, and what came of it is not in the states yet */
        uint64_t spill_device; /* of the file that dirty pages go to when RAM is short; both 0: there is none */
        uint64_t spill_inode;
};

/*
 * Pages that are called dirty, and can be written, though nobody has asked to write them yet: as a thread writes pages in order, it will soon. Each with what its
 * content was then: if it still is, the page was not written. In the header's page, from this byte on; clients need not know.
 */
#define LEDGER_GUESSES_OFFSET 2048
#define LEDGER_GUESSES_MAX 120u

struct ledger_guess {
        uint64_t block; /* + 1; 0: the place is free */
        uint64_t hash;  /* the daemon's, of the block's content */
};

/* Page states, as they are in a word. The numbers are part of the protocol. */
enum page_state {
        PAGE_EMPTY = 0,           /* not in RAM; a page in this state has no word */
        PAGE_LOADING = 1,         /* being loaded */
        PAGE_LOADED = 2,          /* in RAM, clean, write-protected in every mapping */
        PAGE_DIRTY = 3,           /* in RAM, changed, writable where it was written */
        PAGE_STORING = 4,         /* dirty, write-protected, its content on the way to the file */
        PAGE_STORING_DIRTIED = 5, /* the same, but written again since */
        PAGE_STORING_DROPPED = 6, /* dropped while its content was on the way to the file: not in RAM, not to be loaded before the store has ended */
        PAGE_FAILED = 7,          /* its load failed: not in RAM, poisoned where it was touched; the word holds the errno */
        PAGE_SPILLING = 8,          /* dirty, write-protected, its content on the way to the spill file */
        PAGE_SPILLING_DIRTIED = 9,  /* the same, but written again since */
        PAGE_SPILLING_DROPPED = 10, /* dropped while its content was on the way there: not in RAM, and its place there not to be written before that has ended */
        PAGE_SPILLED = 11,          /* dirty, in the spill file, not in RAM; the word holds the errno if bringing it back failed */
        PAGE_UNSPILLING = 12,       /* dirty, in the spill file, being brought back */
        PAGE_STORING_SPILLED = 13,  /* dirty, in the spill file, its content on the way from there to the file */
        PAGE_UNSYNCED = 14,       /* as LOADED, but was stored since the file was last flushed */
        N_PAGE_STATES,
};

/* word: block + 1 in bits 16 to 63, a positive errno in bits 4 to 15, the state in bits 0 to 3. 0: a free place. */
#define LEDGER_BLOCK_MASK ((UINT64_C(1) << 48) - 1)
#define LEDGER_BLOCK_MAX (LEDGER_BLOCK_MASK - 1)
#define LEDGER_ERROR_MAX 4095

static inline uint64_t ledger_word(uint64_t block, enum page_state state, int error) {
        return (block + 1) << 16 | (uint64_t) (error & LEDGER_ERROR_MAX) << 4 | (uint64_t) state;
}

static inline uint64_t ledger_word_block(uint64_t word) {
        return (word >> 16) - 1;
}

static inline bool ledger_word_is(uint64_t word, uint64_t block) {
        return word >> 16 == block + 1;
}

static inline enum page_state ledger_word_state(uint64_t word) {
        return (enum page_state) (word & 0xf);
}

static inline int ledger_word_error(uint64_t word) {
        return (int) (word >> 4 & LEDGER_ERROR_MAX);
}

/* Where the search for a block begins, in a table of this capacity. */
static inline uint64_t ledger_home(uint64_t block, uint64_t capacity) {
        uint64_t h = block * UINT64_C(0x9e3779b97f4a7c15);

        return (h >> 32 ^ h >> 11) & (capacity - 1);
}

/* Where the table of this capacity lies in the ledger, in bytes. */
static inline uint64_t ledger_table_offset(uint64_t capacity) {
        return capacity * sizeof(uint64_t);
}

#endif
