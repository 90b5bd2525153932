/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The hash is in the ledger before the page is called dirty, and the page is called dirty before it becomes writable: so whoever takes up the ledger knows all that
 * may have been written, and how to tell. When a page is found as it was, it is protected and looked at once more before it is called clean.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <xxhash.h>

#include "fileh.h"
#include "guess.h"
#include "handle.h"
#include "inject.h"
#include "mapping.h"
#include "pager.h"
#include "quota.h"

/* Blocks at a time: half of what there can be, as the last ones are looked at when the next ones are made. Of larger pages a fault costs less than hashing them. */
#define GUESS_WINDOW (LEDGER_GUESSES_MAX / 2)
#define GUESS_BLOCK_MAX UINT64_C(16384)

#define GUESS_WINDOW_MIN 8
#define GUESS_STREAMS 4
#define GUESS_POOL_SHARE 8
#define GUESS_USEC UINT64_C(100000)
#define GUESS_SEEN_MIN 2 /* blocks in a row */

/* A thread that writes blocks in order. */
struct guess_stream {
        uint64_t next;   /* where it will fault next */
        uint64_t n_seen; /* faults */
        uint64_t length; /* of what was guessed last; 0: nothing was yet */
        uint64_t stamp;  /* when it last went on; 0: it is free */
};

struct guess {
        struct guess_stream streams[GUESS_STREAMS];
        uint64_t clock;
};

/* --- looking ------------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t guess_hash(const void *content, uint64_t length) {
        return XXH3_64bits(content, length);
}

/* The page is dirty by now like any other. */
static void guess_confirm(struct fileh *fileh, unsigned i) {
        uint64_t block = ledger_file_guesses(&fileh->ledger)[i].block - 1;

        pages_get(&fileh->pager->pages, fileh_page(fileh, block))->is_guess = false;
        ledger_file_forget_guess(&fileh->ledger, i);
        fileh->n_guesses--;
}

static bool guess_was_written(struct fileh *fileh, const struct ledger_guess *guess, const void *content) {
        return guess_hash(content, fileh->block_size) != guess->hash;
}

/* It seems not to have been written: it is held still, and looked at again. */
static void guess_take_back(struct fileh *fileh, unsigned i, void *buf) {
        const struct ledger_guess *guess = &ledger_file_guesses(&fileh->ledger)[i];
        uint64_t block = guess->block - 1;

        if (handles_protect(fileh, block, 1, true) < 0 || memory_read(&fileh->memory, block << fileh->block_shift, buf, fileh->block_size) < 0 ||
            guess_was_written(fileh, guess, buf)) {
                guess_confirm(fileh, i); /* and writable again with the next write to it */
                return;
        }
        INJECT(GUESS_PROTECTED);
        (void) fileh_page_event(fileh, fileh_page(fileh, block), EVENT_UNWRITTEN, 0); /* which forgets the guess */
        INJECT(GUESS_TAKEN_BACK);
}

/* How many from there on are of neighbours. */
static unsigned guess_neighbours(const struct ledger_guess *guesses, unsigned i) {
        unsigned n = 1;

        while (n < GUESS_WINDOW && i + n < LEDGER_GUESSES_MAX && guesses[i + n].block == guesses[i].block + n)
                n++;
        return n;
}

/* If their content cannot be had, they count as written. */
static void guess_settle_run(struct fileh *fileh, unsigned first, unsigned n, char *buf, bool may_protect) {
        const struct ledger_guess *guesses = ledger_file_guesses(&fileh->ledger);
        int r = memory_read(&fileh->memory, (guesses[first].block - 1) << fileh->block_shift, buf, (uint64_t) n << fileh->block_shift);

        for (unsigned i = 0; i < n; i++) {
                char *content = buf + ((uint64_t) i << fileh->block_shift);

                if (r < 0 || guess_was_written(fileh, &guesses[first + i], content))
                        guess_confirm(fileh, first + i);
                else if (may_protect)
                        guess_take_back(fileh, first + i, content);
        }
}

bool guess_settle(struct fileh *fileh) {
        const struct ledger_guess *guesses = ledger_file_guesses(&fileh->ledger);
        uint64_t n_bytes = (uint64_t) GUESS_WINDOW << fileh->block_shift;
        bool may_protect;
        char *buf;

        if (fileh->n_guesses == 0)
                return true;
        buf = bufs_get(&fileh->pager->bufs, n_bytes);
        may_protect = buf && fileh_may_protect(fileh);
        for (unsigned i = 0, n; buf && i < LEDGER_GUESSES_MAX; i += n) {
                n = 1;
                if (guesses[i].block == 0)
                        continue;
                n = guess_neighbours(guesses, i);
                guess_settle_run(fileh, i, n, buf, may_protect);
        }
        bufs_put(&fileh->pager->bufs, buf, n_bytes);
        return fileh->n_guesses == 0;
}

/* --- a while later ------------------------------------------------------------------------------------------------------------------------------ */

static void guess_set_timer(struct pager *pager);

/* Nobody is to miss for long what was guessed in vain: the room of its pages, and of what may be dirty. */
static void guess_on_timer(struct ring_op *op, int result) {
        struct pager *pager = (struct pager *) ((char *) op - offsetof(struct pager, guess_timer));
        bool has_more = false;

        pager->guess_timer_is_set = false;
        if (result == -ECANCELED)
                return;
        for (uint32_t id = idtable_next(&pager->filehs, 0); id; id = idtable_next(&pager->filehs, id))
                has_more |= !guess_settle(idtable_get(&pager->filehs, id));
        if (has_more)
                guess_set_timer(pager);
}

static void guess_set_timer(struct pager *pager) {
        if (pager->guess_timer_is_set)
                return;
        pager->guess_timer_is_set = true;
        pager->guess_timer.done = guess_on_timer;
        ring_timer(pager->ring, &pager->guess_timer, ring_now() + GUESS_USEC);
}

void guess_stop(struct pager *pager) {
        if (pager->guess_timer_is_set)
                ring_cancel(pager->ring, &pager->guess_timer);
}

void guess_adopt(struct fileh *fileh) {
        const struct ledger_guess *guesses = ledger_file_guesses(&fileh->ledger);

        for (unsigned i = 0; i < LEDGER_GUESSES_MAX; i++) {
                uint32_t id = guesses[i].block != 0 ? fileh_page(fileh, guesses[i].block - 1) : 0;

                if (guesses[i].block == 0)
                        continue;
                if (id && pages_get(&fileh->pager->pages, id)->state == PAGE_DIRTY) {
                        pages_get(&fileh->pager->pages, id)->is_guess = true;
                        fileh->n_guesses++;
                } else
                        ledger_file_forget_guess(&fileh->ledger, i);
        }
        if (fileh->n_guesses > 0)
                guess_set_timer(fileh->pager);
}

/* --- guessing ----------------------------------------------------------------------------------------------------------------------------------- */

static struct guess *guess_get(struct fileh *fileh) {
        if (fileh->guess)
                return fileh->guess;
        fileh->guess = calloc(1, sizeof(*fileh->guess));
        return fileh->guess;
}

/* Clean pages in a row that the mapping shows, from the block on. */
static uint64_t guess_run(const struct mapping *mapping, uint64_t block, uint64_t n_max) {
        uint64_t n = 0;

        while (n < n_max && mapping_shows(mapping, block + n) && fileh_state(mapping->fileh, block + n) == PAGE_LOADED)
                n++;
        return n;
}

/* Puts the hashes of the run into the ledger. Returns of how many blocks; fewer: there is no more room. */
static uint64_t guess_note(struct fileh *fileh, uint64_t block, uint64_t n, const char *content) {
        const struct ledger_guess *guesses = ledger_file_guesses(&fileh->ledger);
        uint64_t n_noted = 0;

        for (unsigned i = 0; i < LEDGER_GUESSES_MAX && n_noted < n; i++) {
                if (guesses[i].block != 0)
                        continue;
                ledger_file_set_guess(&fileh->ledger, i, block + n_noted, guess_hash(content + (n_noted << fileh->block_shift), fileh->block_size));
                n_noted++;
        }
        return n_noted;
}

/* Returns how many of them it made writable. */
static uint64_t guess_begin_run(struct mapping *mapping, uint64_t block, uint64_t n) {
        struct fileh *fileh = mapping->fileh;
        uint64_t length = n << fileh->block_shift;
        char *buf = bufs_get(&fileh->pager->bufs, length);

        if (buf && memory_read(&fileh->memory, block << fileh->block_shift, buf, length) == 0)
                n = guess_note(fileh, block, n, buf);
        else
                n = 0;
        bufs_put(&fileh->pager->bufs, buf, length);
        INJECT(GUESS_NOTED);
        for (uint64_t i = 0; i < n; i++) {
                uint32_t id = fileh_page(fileh, block + i);

                pages_get(&fileh->pager->pages, id)->is_guess = true;
                fileh->n_guesses++;
                (void) fileh_page_event(fileh, id, EVENT_WRITE, 0);
        }
        INJECT(GUESS_DIRTY);
        if (n > 0) {
                (void) mapping_protect(mapping, block, n, false); /* else each is made so when it is written */
                guess_set_timer(fileh->pager);
        }
        INJECT(GUESS_WRITABLE);
        return n;
}

static bool guess_may(const struct fileh *fileh) {
        return fileh->advice == WIRE_ADVICE_SEQUENTIAL && fileh->block_size <= GUESS_BLOCK_MAX && !fileh->memory.huge &&
               GUESS_WINDOW << fileh->block_shift <= fileh->pager->pool->bytes / GUESS_POOL_SHARE && quota_has_left_for(fileh, GUESS_WINDOW);
}

/* The stream that was to come to this block next, or else a new one in place of the oldest. */
static struct guess_stream *guess_stream(struct guess *guess, uint64_t block) {
        struct guess_stream *oldest = &guess->streams[0];

        for (unsigned i = 0; i < GUESS_STREAMS; i++) {
                struct guess_stream *stream = &guess->streams[i];

                if (stream->stamp > 0 && stream->next == block)
                        return stream;
                if (stream->stamp < oldest->stamp)
                        oldest = stream;
        }
        *oldest = (struct guess_stream) { .next = block };
        return oldest;
}

void guess_on_write(struct mapping *mapping, uint64_t block) {
        struct fileh *fileh = mapping->fileh;
        struct guess *guess = guess_may(fileh) ? guess_get(fileh) : NULL;
        struct guess_stream *stream;
        uint64_t n = 0;

        if (!guess)
                return;
        stream = guess_stream(guess, block);
        stream->stamp = ++guess->clock;
        if (++stream->n_seen >= GUESS_SEEN_MIN) {
                stream->length = stream->length == 0 ? GUESS_WINDOW_MIN : stream->length < GUESS_WINDOW / 2 ? 2 * stream->length : GUESS_WINDOW;
                (void) guess_settle(fileh);
                n = guess_run(mapping, block + 1, stream->length);
                if (n > 0)
                        n = guess_begin_run(mapping, block + 1, n);
        }
        stream->next = block + 1 + n;
}
