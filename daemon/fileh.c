/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "account.h"
#include "claim.h"
#include "fileh.h"
#include "inject.h"
#include "log.h"
#include "mutant.h"
#include "roster.h"
#include "store.h"

/* So many bytes of a spill file may be stale before it is looked at whether it is half of them. */
#define FILEH_STALE_MAX (UINT64_C(16) << 20)

/* When there is no more room on the disk, this share must be stale to be looked for; the file system's own bookkeeping counts, too. */
#define FILEH_STALE_SHARE 16

/* Names of blocks of one file lie together in groups of so many, for the order of pages. */
#define FILEH_NAME_STEP 64

void fileh_free_spill_file(struct fileh *fileh) {
        if (fileh->in_sweep_queue)
                TAILQ_REMOVE(&fileh->pager->sweep_queue, fileh, sweep_entry);
        pager_count(fileh->pager, COUNTER_SPILL_FILE_BYTES, -(int64_t) fileh->spill.n_bytes);
        spill_file_fini(&fileh->spill);
}

static void fileh_free(struct fileh *fileh) {
        struct commons *commons = fileh->pager->commons;

        assert(fileh->map.n_used == 0 && TAILQ_EMPTY(&fileh->handles) && TAILQ_EMPTY(&fileh->loads) && !fileh->is_in_line);
        log_debug("fileh %u: freed", fileh->id);
        idtable_remove(&fileh->pager->filehs, fileh->id);
        if (fileh->is_shared)
                roster_remove(&commons->roster, fileh->memory_inode);
        store_free(fileh->store);
        free(fileh->ahead);
        free(fileh->guess);
        fileh_free_spill_file(fileh);
        pagemap_fini(&fileh->map);
        ledger_file_fini(&fileh->ledger);
        memory_fini(&fileh->memory);
        if (!fileh->is_closing)
                pager_count(fileh->pager, COUNTER_FILEHS, -1);
        if (fileh->is_counted)
                account_sub(fileh->account, ACCOUNT_HANDLES, 1);
        account_put(fileh->account);
        directory_leave(&commons->directory, &fileh->entry);
        directory_release(&commons->directory, fileh->route);
        free(fileh);
}

void fileh_ref(struct fileh *fileh) {
        fileh->n_refs++;
}

void fileh_unref(struct fileh *fileh) {
        if (--fileh->n_refs == 0)
                fileh_free(fileh);
}

/* Once none is absent, none will be: but for those this daemon loses sight of, which sets may_miss_somebody again. */
bool fileh_misses_anyone(struct fileh *fileh) {
        if (fileh->may_miss_somebody)
                fileh->may_miss_somebody = claim_is_anyone_absent(fileh->memory.fd, fileh->ledger.memory.header->generation, CLAIM_ANY);
        return fileh->may_miss_somebody;
}

bool fileh_may_protect(struct fileh *fileh) {
        if (BF_MUTANT == MUTANT_NO_WAITING)
                return true;
        if (fileh->n_hidden_writers > 0)
                return false;
        return !fileh_misses_anyone(fileh) || !claim_is_anyone_absent(fileh->memory.fd, fileh->ledger.memory.header->generation, CLAIM_WRITER);
}

/* Bytes behind the end of the file, which a program may have written in its last block, become part of it: they are zero there. */
static int fileh_clear_tail(struct fileh *fileh) {
        uint64_t length = fileh_round_up(fileh->size, fileh->block_size) - fileh->size;
        void *zeros;
        int r;

        if (length == 0 || !state_is_resident(fileh_state(fileh, fileh->size >> fileh->block_shift)))
                return 0;
        zeros = calloc(1, length);
        if (!zeros)
                return -ENOMEM;
        r = memory_write(&fileh->memory, fileh->size, zeros, length);
        free(zeros);
        return r;
}

int fileh_resize(struct fileh *fileh, uint64_t size) {
        int r;

        if (size < fileh->size)
                return -EINVAL;
        r = size > fileh->size ? fileh_clear_tail(fileh) : 0;
        if (r < 0)
                return r;
        r = memory_grow(&fileh->memory, fileh_round_up(size, fileh->block_size));
        if (r < 0)
                return r;
        INJECT(FILEH_GROWN);
        fileh->size = size;
        ledger_file_set_size(&fileh->ledger, size);
        return 0;
}

int fileh_block_compare(const void *a, const void *b) {
        const struct fileh_block *x = a, *y = b;

        if (x->fileh != y->fileh)
                return x->fileh->id < y->fileh->id ? -1 : 1;
        return x->block < y->block ? -1 : x->block > y->block;
}

uint64_t fileh_n_blocks(const struct fileh *fileh) {
        return fileh_round_up(fileh->size, fileh->block_size) >> fileh->block_shift;
}

uint32_t fileh_page(const struct fileh *fileh, uint64_t block) {
        return pagemap_get(&fileh->map, block);
}

enum page_state fileh_state(const struct fileh *fileh, uint64_t block) {
        uint32_t id = fileh_page(fileh, block);

        return id ? (enum page_state) pages_get(&fileh->pager->pages, id)->state : PAGE_EMPTY;
}

static void fileh_trace(const struct fileh *fileh, uint64_t block, enum page_state before, enum page_state after) {
        struct report_event event = {
                .kind = REPORT_EVENT_STATE,
                .file = commons_number(fileh->pager->index, fileh->id),
                .device = fileh->identity.device,
                .inode = fileh->identity.inode,
                .offset = block << fileh->block_shift,
                .before = (uint8_t) before,
                .after = (uint8_t) after,
        };

        pager_trace(fileh->pager, &event);
}

static int fileh_new_page(struct fileh *fileh, uint64_t block, enum page_state state, uint32_t *ret_id) {
        struct pager *pager = fileh->pager;
        struct page *page;
        uint32_t id;
        int r;

        id = pages_new(&pager->pages);
        if (!id)
                return -ENOMEM;
        r = pagemap_add(&fileh->map, block, id, state);
        if (r < 0) {
                pages_free(&pager->pages, id);
                return r;
        }
        page = pages_get(&pager->pages, id);
        page->block = block & LEDGER_BLOCK_MASK;
        page->fileh = fileh->id;
        page->state = (uint8_t) state;
        if (pager_is_traced(pager, REPORT_EVENT_STATE))
                fileh_trace(fileh, block, PAGE_EMPTY, state);
        *ret_id = id;
        return 0;
}

static uint16_t fileh_age(const struct fileh *fileh) {
        return (uint16_t) pool_clock(fileh->pager->pool);
}

/* What the order remembers a block by, also when the file is opened anew. */
static uint64_t fileh_name(const struct fileh *fileh, uint64_t block) {
        return ((fileh->identity.inode * UINT64_C(0x9e3779b97f4a7c15)) ^ fileh->identity.device << 32) / FILEH_NAME_STEP * FILEH_NAME_STEP + block;
}

static void fileh_order_load(struct fileh *fileh, uint32_t id, uint64_t block) {
        const struct pool *pool = fileh->pager->pool;
        const struct order_room room = { .bytes = pool->bytes, .free = pool_free(pool) };

        order_load(&fileh->pager->order, id, fileh_name(fileh, block), (uint32_t) fileh->block_size, fileh_age(fileh), &room);
}

int fileh_add_page(struct fileh *fileh, uint64_t block, uint32_t load) {
        uint32_t id;
        int r;

        r = fileh_new_page(fileh, block, PAGE_LOADING, &id);
        if (r < 0)
                return r;
        pages_get(&fileh->pager->pages, id)->load = load;
        fileh_order_load(fileh, id, block);
        order_begin_loading(&fileh->pager->order, id);
        return 0;
}

void fileh_unspill_page(struct fileh *fileh, uint32_t id, uint32_t load) {
        enum page_action action = fileh_page_event(fileh, id, EVENT_READ, 0);

        assert(action == ACTION_LOAD);
        (void) action;
        pages_get(&fileh->pager->pages, id)->unspill = load;
}

uint32_t fileh_load_of(const struct fileh *fileh, uint32_t id) {
        const struct page *page = pages_get(&fileh->pager->pages, id);

        assert(state_is_loading(page->state));
        return page->state == PAGE_LOADING ? page->load : page->unspill;
}

bool fileh_is_loaded_by(const struct fileh *fileh, uint64_t block, uint32_t load) {
        uint32_t id = fileh_page(fileh, block);

        return id && state_is_loading(pages_get(&fileh->pager->pages, id)->state) && fileh_load_of(fileh, id) == load;
}

/* The list of the pages in a state, or NULL. Being spilled and brought back does not change a dirty page's place in it: whoever goes through the list step by
 * step misses none. */
static struct pagelist *fileh_list(struct fileh *fileh, enum page_state state) {
        if (state == PAGE_UNSYNCED)
                return &fileh->unsynced;
        if (!state_is_dirty(state))
                return NULL;
        return state_is_storing(state) ? &fileh->storing : &fileh->dirty;
}

static void fileh_count_dirty(struct fileh *fileh, bool more) {
        int64_t change = more ? (int64_t) fileh->block_size : -(int64_t) fileh->block_size;

        fileh->n_counted += (uint64_t) change;
        pager_count(fileh->pager, COUNTER_DIRTY_BYTES, change);
        pager_count_dirty(fileh->pager, fileh->account, change);
}

static void fileh_change_list(struct fileh *fileh, uint32_t id, enum page_state state_before, enum page_state state_after) {
        struct pagelist *before = fileh_list(fileh, state_before), *after = fileh_list(fileh, state_after);
        struct pages *pages = &fileh->pager->pages;

        if (before != after && before)
                pagelist_remove(before, pages, id);
        if (before != after && after)
                pagelist_push_last(after, pages, id);
        if (state_is_dirty(state_before) != state_is_dirty(state_after))
                fileh_count_dirty(fileh, state_is_dirty(state_after));
        if (state_before == PAGE_UNSYNCED && state_after == PAGE_EMPTY)
                fileh->n_unsynced_gone++;
}

static void fileh_count_failed(struct fileh *fileh, enum page_state before, enum page_state after) {
        if (before == PAGE_FAILED && after != PAGE_FAILED) {
                fileh->n_failed--;
                account_sub(fileh->account, ACCOUNT_FAILED_PAGES, 1);
        }
        if (before != PAGE_FAILED && after == PAGE_FAILED) {
                fileh->n_failed++;
                account_add(fileh->account, ACCOUNT_FAILED_PAGES, 1);
        }
}

enum page_event fileh_failure(const struct fileh *fileh) {
        return account_left(fileh->account, ACCOUNT_FAILED_PAGES) > 0 ? EVENT_LOAD_FAILED : EVENT_LOAD_ENDED;
}

bool fileh_has_stale_places(const struct fileh *fileh) {
        uint64_t n_used = fileh->n_spilled << fileh->block_shift;

        return fileh->spill.n_bytes > n_used + n_used / FILEH_STALE_SHARE;
}

/* A sweep is due when all that the spill file has is stale, or so much of it that going through its pages pays; where the disk has no more room, sooner. */
static bool fileh_is_sweep_due(const struct fileh *fileh) {
        const struct spill *spill = &fileh->pager->spill;

        if (!spill_file_is_there(&fileh->spill))
                return false;
        if (fileh->n_spilled == 0 || fileh->spill.n_bytes > 2 * (fileh->n_spilled << fileh->block_shift) + FILEH_STALE_MAX)
                return true;
        return (spill->is_full || spill->is_failing) && fileh_has_stale_places(fileh);
}

static void fileh_change_spilled(struct fileh *fileh, enum page_state before, enum page_state after) {
        int change = state_is_spilled(after) - state_is_spilled(before);

        if (change != 0) {
                fileh->n_spilled += (uint64_t) (int64_t) change;
                pager_count(fileh->pager, COUNTER_SPILLED_BYTES, change * (int64_t) fileh->block_size);
        }
        if (state_has_place(before) && !state_has_place(after) && fileh_is_sweep_due(fileh))
                fileh_queue_sweep(fileh);
}

static int fileh_new_resident(struct fileh *fileh, uint64_t block, enum page_state state, uint32_t *ret_id) {
        int r = fileh_new_page(fileh, block, state, ret_id);

        if (r < 0)
                return r;
        fileh_change_list(fileh, *ret_id, PAGE_EMPTY, state);
        fileh->n_resident++;
        pages_get(&fileh->pager->pages, *ret_id)->has_room = true;
        return 0;
}

int fileh_add_resident(struct fileh *fileh, uint64_t block, enum page_state state) {
        uint32_t id;
        int r;

        r = fileh_new_resident(fileh, block, state, &id);
        if (r == 0)
                fileh_order_load(fileh, id, block);
        return r;
}

int fileh_adopt_page(struct fileh *fileh, uint64_t block, enum page_state state, int error) {
        uint32_t id;
        int r;

        if (state_is_resident(state)) {
                r = fileh_new_resident(fileh, block, state, &id);
                if (r < 0)
                        return r;
                pool_force(fileh->pager->pool, fileh->block_size);
                order_enter(&fileh->pager->order, id, (uint32_t) fileh->block_size, fileh_age(fileh));
                return 0;
        }
        r = fileh_new_page(fileh, block, state, &id);
        if (r < 0)
                return r;
        if (error != 0) {
                pagemap_set(&fileh->map, block, state, error);
                pages_get(&fileh->pager->pages, id)->error = (uint16_t) error;
                fileh->has_failed |= state == PAGE_SPILLED;
        }
        fileh_change_list(fileh, id, PAGE_EMPTY, state);
        fileh_count_failed(fileh, PAGE_EMPTY, state);
        fileh_change_spilled(fileh, PAGE_EMPTY, state);
        return 0;
}

static void fileh_leave_order(struct fileh *fileh, uint32_t id) {
        order_remove(&fileh->pager->order, id, (uint32_t) fileh->block_size);
}

static void fileh_enter_parked(struct fileh *fileh, uint32_t id, bool is_oldest) {
        if (fileh_can_spill(fileh))
                order_park(&fileh->pager->order, id, (uint32_t) fileh->block_size, is_oldest);
}

void fileh_park(struct fileh *fileh, uint32_t id) {
        fileh_leave_order(fileh, id);
        if (pages_get(&fileh->pager->pages, id)->state == PAGE_DIRTY)
                fileh_enter_parked(fileh, id, false);
}

void fileh_unpark(struct fileh *fileh, uint32_t id) {
        fileh_leave_order(fileh, id);
}

void fileh_forget_page(struct fileh *fileh, uint32_t id) {
        order_evict(&fileh->pager->order, id, fileh_name(fileh, pages_get(&fileh->pager->pages, id)->block), (uint32_t) fileh->block_size);
}

/* What follows for the order of pages. One that was dirty for so long that it left it comes back when it is clean; one that is parked, and not DIRTY for a
 * while, as the oldest of those. */
static void fileh_change_order(struct fileh *fileh, uint32_t id, struct page *page, enum page_state before, enum page_state after) {
        if (page->list == ORDER_PARKED && after != PAGE_DIRTY)
                fileh_leave_order(fileh, id);
        if (page->list != ORDER_NOWHERE)
                return;
        if (before == PAGE_UNSPILLING && after == PAGE_DIRTY)
                order_touch(&fileh->pager->order, id, (uint32_t) fileh->block_size, fileh_age(fileh));
        else if (after == PAGE_DIRTY)
                fileh_enter_parked(fileh, id, true);
        else if (state_is_clean(after))
                order_return(&fileh->pager->order, id, (uint32_t) fileh->block_size);
}

/* What follows from being in RAM or not. */
static void fileh_change_residence(struct fileh *fileh, uint32_t id, struct page *page, enum page_state before, enum page_state after) {
        struct pager *pager = fileh->pager;

        if (state_is_resident(after) && !state_is_resident(before))
                fileh->n_resident++;
        if (!state_is_resident(after) && state_is_resident(before))
                fileh->n_resident--;
        if (state_is_resident(after))
                fileh_change_order(fileh, id, page, before, after);
        else if (!state_is_loading(after)) {
                fileh_leave_order(fileh, id);
                pager_give_room(pager, fileh_take_room(fileh, id));
        }
}

/* Whatever became of it, it is no guess any more. */
static void fileh_forget_guess(struct fileh *fileh, struct page *page) {
        const struct ledger_guess *guesses = ledger_file_guesses(&fileh->ledger);

        page->is_guess = false;
        fileh->n_guesses--;
        for (unsigned i = 0; i < LEDGER_GUESSES_MAX; i++)
                if (guesses[i].block == (uint64_t) page->block + 1)
                        ledger_file_forget_guess(&fileh->ledger, i);
}

static void fileh_set_state(struct fileh *fileh, uint32_t id, enum page_state state, int error) {
        struct page *page = pages_get(&fileh->pager->pages, id);
        enum page_state before = page->state;

        log_debug("fileh %u block %llu: %s -> %s", fileh->id, (unsigned long long) page->block, state_name(before), state_name(state));
        if (pager_is_traced(fileh->pager, REPORT_EVENT_STATE))
                fileh_trace(fileh, page->block, before, state);
        if (state == PAGE_EMPTY)
                pagemap_remove(&fileh->map, page->block);
        else
                pagemap_set(&fileh->map, page->block, state, -error);
        page->state = (uint8_t) state;
        page->error = (uint16_t) -error;
        if (page->is_guess && before == PAGE_DIRTY)
                fileh_forget_guess(fileh, page);
        fileh_change_list(fileh, id, before, state);
        fileh_count_failed(fileh, before, state);
        if (before == PAGE_LOADING)
                order_end_loading(&fileh->pager->order, id);
        fileh_change_spilled(fileh, before, state);
        fileh_change_residence(fileh, id, page, before, state);
        if (state == PAGE_EMPTY)
                pages_free(&fileh->pager->pages, id);
}

enum page_action fileh_page_event(struct fileh *fileh, uint32_t id, enum page_event event, int error) {
        enum page_state before = pages_get(&fileh->pager->pages, id)->state;
        struct page_transition t = state_transition(before, event);

        if (t.next != before)
                fileh_set_state(fileh, id, t.next, error);
        return t.action;
}

void fileh_touch(struct fileh *fileh, uint32_t id) {
        if (pages_get(&fileh->pager->pages, id)->state != PAGE_UNSPILLING) /* which has not come yet */
                order_touch(&fileh->pager->order, id, (uint32_t) fileh->block_size, fileh_age(fileh));
}

uint64_t fileh_take_room(struct fileh *fileh, uint32_t id) {
        struct page *page = pages_get(&fileh->pager->pages, id);
        bool had_room = page->has_room;

        page->has_room = false;
        return had_room ? fileh->block_size : 0;
}

/* --- the spill file ----------------------------------------------------------------------------------------------------------------------------- */

bool fileh_can_spill(const struct fileh *fileh) {
        return spill_file_is_there(&fileh->spill) && !fileh->is_unfit && !fileh->is_closing;
}

int fileh_set_spill_file(struct fileh *fileh, int fd) {
        int r = spill_file_init(&fileh->spill, fileh->pager->ring, fd, fileh->size);

        if (r == 0)
                ledger_file_set_spill(&fileh->ledger, fileh->spill.device, fileh->spill.inode);
        return r;
}

void fileh_look_at_spill_file(struct fileh *fileh) {
        pager_count(fileh->pager, COUNTER_SPILL_FILE_BYTES, spill_file_look(&fileh->spill));
}

void fileh_queue_sweep(struct fileh *fileh) {
        if (fileh->in_sweep_queue || fileh->is_closing)
                return;
        fileh->in_sweep_queue = true;
        TAILQ_INSERT_TAIL(&fileh->pager->sweep_queue, fileh, sweep_entry);
}
