/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The old daemon may have ended at any moment, so what the ledger says and what is in the memory may differ by what it was about to do:
 *   - a page called dirty or loaded whose content never came: it is forgotten, nobody has seen it;
 *   - content without a word in the ledger, being dropped or being loaded: it is punched out;
 *   - a word that stands twice, as it was being moved: the second is passed over.
 * Pages that were being stored are dirty: whether the store ended nobody knows. Pages that were being spilled are dirty in RAM, and those that were being brought
 * back are spilled: the old daemon called them otherwise only when that had ended.
 *
 * The new table of words is made beside the old one, which stays in force until the new one is complete: this daemon may end at any moment, too.
 */

#include <errno.h>
#include <stdlib.h>

#include "adopt.h"
#include "drop.h"
#include "fileh.h"
#include "fileh_name.h"
#include "guess.h"
#include "inject.h"
#include "mutant.h"
#include "opening.h"
#include "pager.h"

struct adopt {
        struct job job;
        struct fileh *fileh;
        enum {
                ADOPT_WORDS,
                ADOPT_CONTENT,
                ADOPT_FORGETS,
        } phase;
        uint64_t *words; /* the old table */
        uint64_t capacity;
        uint64_t n_words; /* looked at */
        uint64_t offset;  /* in the memory, looked at up to here */
        struct pagemap_cursor cursor;
        int error;
};

static enum job_result adopt_end(struct adopt *adopt) {
        struct fileh *fileh = adopt->fileh;

        if (adopt->error == 0 && !fileh->is_closing) {
                INJECT(ADOPT_COMPLETE);
                pagemap_take_over(&fileh->map);
                INJECT(ADOPT_TAKEN_OVER);
                ledger_file_set_sync(&fileh->ledger, false);
                guess_adopt(fileh);
                fileh_info(fileh, "taken up from another daemon, with %llu pages, %u of them dirty", (unsigned long long) fileh->map.n_used, fileh->dirty.n);
        }
        fileh->ledger.memory.table_put(&fileh->ledger.memory, adopt->capacity, adopt->words);
        fileh->is_broken = adopt->error < 0;
        opening_ended(fileh, adopt->error);
        fileh_unref(fileh);
        free(adopt);
        return JOB_DONE;
}

/* What becomes of a page in a state; EMPTY: nothing. is_doubtful: the old daemon may have been told that a flush failed, which nobody is told again; or what was not
 * flushed may be gone since. */
static enum page_state adopt_state(enum page_state before, bool is_doubtful) {
        static const enum page_state after[N_PAGE_STATES] = {
                [PAGE_EMPTY] = PAGE_EMPTY,
                [PAGE_LOADING] = PAGE_EMPTY,
                [PAGE_LOADED] = PAGE_LOADED,
                [PAGE_DIRTY] = BF_MUTANT == MUTANT_DIRTY_IS_CLEAN ? PAGE_LOADED : PAGE_DIRTY,
                [PAGE_STORING] = PAGE_DIRTY,
                [PAGE_STORING_DIRTIED] = PAGE_DIRTY,
                [PAGE_STORING_DROPPED] = PAGE_EMPTY,
                [PAGE_FAILED] = PAGE_FAILED,
                [PAGE_UNSYNCED] = PAGE_UNSYNCED,
                [PAGE_SPILLING] = PAGE_DIRTY,
                [PAGE_SPILLING_DIRTIED] = PAGE_DIRTY,
                [PAGE_SPILLING_DROPPED] = PAGE_EMPTY,
                [PAGE_SPILLED] = PAGE_SPILLED,
                [PAGE_UNSPILLING] = PAGE_SPILLED,
                [PAGE_STORING_SPILLED] = PAGE_SPILLED,
        };

        if (before == PAGE_UNSYNCED && is_doubtful)
                return PAGE_DIRTY;
        return before < N_PAGE_STATES ? after[before] : PAGE_EMPTY;
}

static void adopt_word(struct adopt *adopt, uint64_t word) {
        struct fileh *fileh = adopt->fileh;
        uint64_t block = ledger_word_block(word);
        bool is_doubtful = fileh->ledger.memory.header->sync_under_way || fileh->store->kind->forgets;
        enum page_state state = adopt_state(ledger_word_state(word), is_doubtful);

        if (word == 0 || state == PAGE_EMPTY || block >= fileh_n_blocks(fileh) || fileh_page(fileh, block))
                return;
        if (state_is_spilled(state) && !spill_file_is_there(&fileh->spill))
                adopt->error = -EINVAL; /* its content is not there: rather nothing than all but this */
        else if (fileh_adopt_page(fileh, block, state, ledger_word_error(word)) < 0)
                adopt->error = -ENOMEM;
        INJECT(ADOPT_WORD);
}

static enum job_result adopt_words(struct adopt *adopt) {
        for (unsigned n = 0; n < JOB_STEP_PAGES * 4 && adopt->n_words < adopt->capacity && adopt->error == 0; n++)
                adopt_word(adopt, adopt->words[adopt->n_words++]);
        if (adopt->n_words == adopt->capacity)
                adopt->phase = ADOPT_CONTENT;
        return JOB_MORE;
}

/* A block of the memory that has content from begin to end: that of its page, if it is whole; else nothing. */
static void adopt_block(struct adopt *adopt, uint64_t block, uint64_t begin, uint64_t end) {
        struct fileh *fileh = adopt->fileh;
        uint64_t offset = block << fileh->block_shift;
        uint32_t id = fileh_page(fileh, block);

        if (id && state_is_resident(pages_get(&fileh->pager->pages, id)->state) && begin <= offset && offset + fileh->block_size <= end)
                pages_get(&fileh->pager->pages, id)->is_seen = true;
        else {
                (void) memory_punch(&fileh->memory, offset, fileh->block_size);
                INJECT(ADOPT_PUNCHED);
        }
}

static enum job_result adopt_content(struct adopt *adopt) {
        struct fileh *fileh = adopt->fileh;
        unsigned n = 0;

        while (n < JOB_STEP_PAGES) {
                uint64_t begin, end;
                int r = memory_next_data(&fileh->memory, adopt->offset, &begin, &end);

                if (r < 0) {
                        adopt->error = r == -ENXIO ? 0 : r;
                        adopt->phase = ADOPT_FORGETS;
                        break;
                }
                for (uint64_t block = begin >> fileh->block_shift; block << fileh->block_shift < end && n < JOB_STEP_PAGES; block++, n++) {
                        adopt_block(adopt, block, begin, end);
                        adopt->offset = (block + 1) << fileh->block_shift;
                }
        }
        return JOB_MORE;
}

/* Pages without content. */
static enum job_result adopt_forget(struct adopt *adopt) {
        struct fileh *fileh = adopt->fileh;
        struct drop drop;
        uint32_t id = 0;

        drop_init(&drop, fileh->pager);
        for (unsigned n = 0; n < JOB_STEP_PAGES && (id = pagemap_walk(&fileh->map, &adopt->cursor)); n++) {
                struct page *page = pages_get(&fileh->pager->pages, id);

                if (state_is_resident(page->state) && !page->is_seen) {
                        drop_add(&drop, fileh, id, EVENT_VANISHED, 0);
                        INJECT(ADOPT_FORGOTTEN);
                } else
                        page->is_seen = true; /* the walk may meet it again */
        }
        drop_flush(&drop);
        return id ? JOB_MORE : adopt_end(adopt);
}

static enum job_result adopt_step(struct job *job) {
        struct adopt *adopt = (struct adopt *) job;

        if (adopt->error < 0 || adopt->fileh->is_closing)
                return adopt_end(adopt);
        switch (adopt->phase) {
        case ADOPT_WORDS:
                return adopt_words(adopt);
        case ADOPT_CONTENT:
                return adopt_content(adopt);
        case ADOPT_FORGETS:
                return adopt_forget(adopt);
        }
        return JOB_DONE;
}

int adopt_new(struct fileh *fileh) {
        struct adopt *adopt = calloc(1, sizeof(*adopt));
        int r;

        if (!adopt)
                return -ENOMEM;
        *adopt = (struct adopt) { .job = { .step = adopt_step }, .fileh = fileh, .capacity = fileh->ledger.memory.header->capacity };
        r = ledger_file_table(&fileh->ledger, &adopt->words);
        if (r < 0) {
                free(adopt);
                return r;
        }
        fileh->n_awaited++;
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &adopt->job);
        INJECT(ADOPT_BEGUN);
        return 0;
}
