/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>

#include "state.h"

/*
 * What is not here is ACTION_IMPOSSIBLE. Some points are easy to miss.
 *   - A page that was dropped while its store was under way (STORING_DROPPED) must not be loaded before that store has ended, or the load could read
 *     the file as it was. And one dropped on its way to the spill file (SPILLING_DROPPED) waits for that to end, as its place there could be written
 *     once more, and two writes of one place end in any order. For the same reason a writeout waits for pages that are being spilled.
 *   - A failed page (FAILED) stays so until it is invalidated, in every mapping alike. A page that cannot be brought back from the spill file is
 *     spilled as before: its changes are not lost.
 *   - A writeout takes a page that is being brought back (UNSPILLING) out of that load's hands: the load may wait for room that only the writeout makes.
 *   - A page that was stored is UNSYNCED until the file has been flushed, for only then is it known that the store went well. It can be evicted all the same.
 */
static const struct page_transition transitions[N_PAGE_STATES][N_PAGE_EVENTS] = {
        [PAGE_EMPTY] = {
                [EVENT_READ] = { PAGE_LOADING, ACTION_LOAD },
                [EVENT_WRITE] = { PAGE_LOADING, ACTION_LOAD },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_NONE },
        },
        [PAGE_LOADING] = {
                [EVENT_READ] = { PAGE_LOADING, ACTION_WAIT_LOAD },
                [EVENT_WRITE] = { PAGE_LOADING, ACTION_WAIT_LOAD },
                [EVENT_LOADED] = { PAGE_LOADED, ACTION_PLACE },
                [EVENT_LOADED_WRITE] = { PAGE_DIRTY, ACTION_PLACE },
                [EVENT_LOAD_FAILED] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_LOAD_ENDED] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_ABANDON },
        },
        [PAGE_LOADED] = {
                [EVENT_READ] = { PAGE_LOADED, ACTION_MAP_RO },
                [EVENT_WRITE] = { PAGE_DIRTY, ACTION_MAP_RW },
                [EVENT_LOAD_FAILED] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_LOAD_ENDED] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_EVICT] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_EMPTY, ACTION_DROP },
        },
        [PAGE_UNSYNCED] = {
                [EVENT_READ] = { PAGE_UNSYNCED, ACTION_MAP_RO },
                [EVENT_WRITE] = { PAGE_DIRTY, ACTION_MAP_RW },
                [EVENT_LOAD_FAILED] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_LOAD_ENDED] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_SYNCED] = { PAGE_LOADED, ACTION_NONE },
                [EVENT_SYNC_FAILED] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_EVICT] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_EMPTY, ACTION_DROP },
        },
        [PAGE_DIRTY] = {
                [EVENT_READ] = { PAGE_DIRTY, ACTION_MAP_RW },
                [EVENT_WRITE] = { PAGE_DIRTY, ACTION_MAP_RW },
                [EVENT_LOAD_FAILED] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_LOAD_ENDED] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_STORE] = { PAGE_STORING, ACTION_PROTECT },
                [EVENT_SPILL] = { PAGE_SPILLING, ACTION_PROTECT },
                [EVENT_MARK] = { PAGE_UNSYNCED, ACTION_PROTECT },
                [EVENT_DISCARD] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_DROP },
                [EVENT_UNWRITTEN] = { PAGE_LOADED, ACTION_NONE },
                [EVENT_VANISHED] = { PAGE_EMPTY, ACTION_DROP },
        },
        [PAGE_STORING] = {
                [EVENT_READ] = { PAGE_STORING, ACTION_MAP_RO },
                [EVENT_WRITE] = { PAGE_STORING_DIRTIED, ACTION_MAP_RW },
                [EVENT_STORED] = { PAGE_DIRTY, ACTION_UNPROTECT },
                [EVENT_MARK] = { PAGE_UNSYNCED, ACTION_NONE },
                [EVENT_MARK_SYNCED] = { PAGE_LOADED, ACTION_NONE },
                [EVENT_DISCARD] = { PAGE_STORING_DROPPED, ACTION_DROP },
                [EVENT_INVALIDATE] = { PAGE_STORING_DROPPED, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_STORING_DROPPED, ACTION_DROP },
        },
        [PAGE_STORING_DIRTIED] = {
                [EVENT_READ] = { PAGE_STORING_DIRTIED, ACTION_MAP_RW },
                [EVENT_WRITE] = { PAGE_STORING_DIRTIED, ACTION_MAP_RW },
                [EVENT_STORED] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_MARK] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_MARK_SYNCED] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_DISCARD] = { PAGE_STORING_DROPPED, ACTION_DROP },
                [EVENT_INVALIDATE] = { PAGE_STORING_DROPPED, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_STORING_DROPPED, ACTION_DROP },
        },
        [PAGE_STORING_DROPPED] = {
                [EVENT_READ] = { PAGE_STORING_DROPPED, ACTION_WAIT_STORE },
                [EVENT_WRITE] = { PAGE_STORING_DROPPED, ACTION_WAIT_STORE },
                [EVENT_STORED] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_MARK] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_MARK_SYNCED] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_DISCARD] = { PAGE_STORING_DROPPED, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_STORING_DROPPED, ACTION_NONE },
        },
        [PAGE_FAILED] = {
                [EVENT_READ] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_WRITE] = { PAGE_FAILED, ACTION_POISON },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_NONE },
        },
        [PAGE_SPILLING] = {
                [EVENT_READ] = { PAGE_SPILLING, ACTION_MAP_RO },
                [EVENT_WRITE] = { PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
                [EVENT_SPILLED] = { PAGE_SPILLED, ACTION_DROP },
                [EVENT_SPILL_FAILED] = { PAGE_DIRTY, ACTION_UNPROTECT },
                [EVENT_DISCARD] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
                [EVENT_INVALIDATE] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
        },
        [PAGE_SPILLING_DIRTIED] = {
                [EVENT_READ] = { PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
                [EVENT_WRITE] = { PAGE_SPILLING_DIRTIED, ACTION_MAP_RW },
                [EVENT_SPILLED] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_SPILL_FAILED] = { PAGE_DIRTY, ACTION_NONE },
                [EVENT_DISCARD] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
                [EVENT_INVALIDATE] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
                [EVENT_VANISHED] = { PAGE_SPILLING_DROPPED, ACTION_DROP },
        },
        [PAGE_SPILLING_DROPPED] = {
                [EVENT_READ] = { PAGE_SPILLING_DROPPED, ACTION_WAIT_STORE },
                [EVENT_WRITE] = { PAGE_SPILLING_DROPPED, ACTION_WAIT_STORE },
                [EVENT_SPILLED] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_SPILL_FAILED] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_DISCARD] = { PAGE_SPILLING_DROPPED, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_SPILLING_DROPPED, ACTION_NONE },
        },
        [PAGE_SPILLED] = {
                [EVENT_READ] = { PAGE_UNSPILLING, ACTION_LOAD },
                [EVENT_WRITE] = { PAGE_UNSPILLING, ACTION_LOAD },
                [EVENT_STORE] = { PAGE_STORING_SPILLED, ACTION_NONE },
                [EVENT_MARK] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_DISCARD] = { PAGE_EMPTY, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_NONE },
        },
        [PAGE_UNSPILLING] = {
                [EVENT_READ] = { PAGE_UNSPILLING, ACTION_WAIT_LOAD },
                [EVENT_WRITE] = { PAGE_UNSPILLING, ACTION_WAIT_LOAD },
                [EVENT_LOADED] = { PAGE_DIRTY, ACTION_PLACE },
                [EVENT_LOAD_FAILED] = { PAGE_SPILLED, ACTION_POISON },
                [EVENT_LOAD_ENDED] = { PAGE_SPILLED, ACTION_NONE },
                [EVENT_STORE] = { PAGE_STORING_SPILLED, ACTION_ABANDON },
                [EVENT_MARK] = { PAGE_EMPTY, ACTION_ABANDON },
                [EVENT_DISCARD] = { PAGE_EMPTY, ACTION_ABANDON },
                [EVENT_INVALIDATE] = { PAGE_EMPTY, ACTION_ABANDON },
        },
        [PAGE_STORING_SPILLED] = {
                [EVENT_READ] = { PAGE_STORING_SPILLED, ACTION_WAIT_STORE },
                [EVENT_WRITE] = { PAGE_STORING_SPILLED, ACTION_WAIT_STORE },
                [EVENT_STORED] = { PAGE_SPILLED, ACTION_WAKE },
                [EVENT_MARK] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_MARK_SYNCED] = { PAGE_EMPTY, ACTION_WAKE },
                [EVENT_DISCARD] = { PAGE_STORING_DROPPED, ACTION_NONE },
                [EVENT_INVALIDATE] = { PAGE_STORING_DROPPED, ACTION_NONE },
        },
};

struct page_transition state_transition(enum page_state state, enum page_event event) {
        struct page_transition t;

        assert(state < N_PAGE_STATES && event < N_PAGE_EVENTS);
        t = transitions[state][event];
        assert(t.action != ACTION_IMPOSSIBLE);
        return t;
}

const char *state_name(enum page_state state) {
        static const char *const names[N_PAGE_STATES] = {
                [PAGE_EMPTY] = "EMPTY",
                [PAGE_LOADING] = "LOADING",
                [PAGE_LOADED] = "LOADED",
                [PAGE_DIRTY] = "DIRTY",
                [PAGE_STORING] = "STORING",
                [PAGE_STORING_DIRTIED] = "STORING_DIRTIED",
                [PAGE_STORING_DROPPED] = "STORING_DROPPED",
                [PAGE_FAILED] = "FAILED",
                [PAGE_SPILLING] = "SPILLING",
                [PAGE_SPILLING_DIRTIED] = "SPILLING_DIRTIED",
                [PAGE_SPILLING_DROPPED] = "SPILLING_DROPPED",
                [PAGE_SPILLED] = "SPILLED",
                [PAGE_UNSPILLING] = "UNSPILLING",
                [PAGE_STORING_SPILLED] = "STORING_SPILLED",
                [PAGE_UNSYNCED] = "UNSYNCED",
        };

        return names[state];
}

const char *state_event_name(enum page_event event) {
        static const char *const names[N_PAGE_EVENTS] = {
                [EVENT_READ] = "READ",
                [EVENT_WRITE] = "WRITE",
                [EVENT_LOADED] = "LOADED",
                [EVENT_LOADED_WRITE] = "LOADED_WRITE",
                [EVENT_LOAD_FAILED] = "LOAD_FAILED",
                [EVENT_LOAD_ENDED] = "LOAD_ENDED",
                [EVENT_STORE] = "STORE",
                [EVENT_STORED] = "STORED",
                [EVENT_SPILL] = "SPILL",
                [EVENT_SPILLED] = "SPILLED",
                [EVENT_SPILL_FAILED] = "SPILL_FAILED",
                [EVENT_MARK] = "MARK",
                [EVENT_MARK_SYNCED] = "MARK_SYNCED",
                [EVENT_SYNCED] = "SYNCED",
                [EVENT_SYNC_FAILED] = "SYNC_FAILED",
                [EVENT_DISCARD] = "DISCARD",
                [EVENT_INVALIDATE] = "INVALIDATE",
                [EVENT_EVICT] = "EVICT",
                [EVENT_UNWRITTEN] = "UNWRITTEN",
                [EVENT_VANISHED] = "VANISHED",
        };

        return names[event];
}

/* What a state means to those who do not ask for one in particular. */
static const struct {
        bool resident, dirty, storing, spilling, spilled, loading;
} state_traits[N_PAGE_STATES] = {
        [PAGE_LOADING] = { .loading = true },
        [PAGE_LOADED] = { .resident = true },
        [PAGE_DIRTY] = { .resident = true, .dirty = true },
        [PAGE_STORING] = { .resident = true, .dirty = true, .storing = true },
        [PAGE_STORING_DIRTIED] = { .resident = true, .dirty = true, .storing = true },
        [PAGE_STORING_DROPPED] = { .storing = true },
        [PAGE_UNSYNCED] = { .resident = true },
        [PAGE_SPILLING] = { .resident = true, .dirty = true, .spilling = true },
        [PAGE_SPILLING_DIRTIED] = { .resident = true, .dirty = true, .spilling = true },
        [PAGE_SPILLING_DROPPED] = { .spilling = true },
        [PAGE_SPILLED] = { .dirty = true, .spilled = true },
        [PAGE_UNSPILLING] = { .dirty = true, .spilled = true, .loading = true },
        [PAGE_STORING_SPILLED] = { .dirty = true, .storing = true, .spilled = true },
};

bool state_is_resident(enum page_state state) {
        return state_traits[state].resident;
}

bool state_is_clean(enum page_state state) {
        return state_is_resident(state) && !state_is_dirty(state);
}

bool state_is_dirty(enum page_state state) {
        return state_traits[state].dirty;
}

bool state_is_storing(enum page_state state) {
        return state_traits[state].storing;
}

bool state_is_spilling(enum page_state state) {
        return state_traits[state].spilling;
}

bool state_is_spilled(enum page_state state) {
        return state_traits[state].spilled;
}

/* A page that was dropped while it was stored may have come from the spill file. */
bool state_has_place(enum page_state state) {
        return state_is_spilled(state) || state_is_spilling(state) || state == PAGE_STORING_DROPPED;
}

bool state_is_loading(enum page_state state) {
        return state_traits[state].loading;
}
