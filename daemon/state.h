/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_STATE_H
#define BF_STATE_H

/* The life of a page as one pure table: state x event -> next state, action. Who carries the actions out is pager business. */

#include <stdbool.h>

#include "ledger.h"

enum page_event {
        EVENT_READ,         /* a thread wants to read it */
        EVENT_WRITE,        /* a thread wants to write it */
        EVENT_LOADED,       /* its load ended well, and only readers wait */
        EVENT_LOADED_WRITE, /* the same, and a writer waits */
        EVENT_LOAD_FAILED,  /* its load failed, or what was loaded could be placed nowhere; and a thread waits in a fault */
        EVENT_LOAD_ENDED,   /* the same, and none waits */
        EVENT_STORE,        /* a writeout takes its content */
        EVENT_STORED,       /* its store ended; it is not to be marked, or failed */
        EVENT_SPILL,        /* the pool wants its room, and it is dirty */
        EVENT_SPILLED,      /* its content is in the spill file */
        EVENT_SPILL_FAILED, /* it is not, or not whole */
        EVENT_MARK,         /* it is to count as stored: at the end of its store, or without one */
        EVENT_MARK_SYNCED,  /* the same, and the file was flushed since */
        EVENT_SYNCED,       /* the file was flushed */
        EVENT_SYNC_FAILED,  /* flushing the file failed: nobody knows what became of all that was stored since it last succeeded */
        EVENT_DISCARD,      /* a transaction is undone */
        EVENT_INVALIDATE,   /* its content is stale */
        EVENT_EVICT,        /* the pool wants its room */
        EVENT_UNWRITTEN,    /* it was called dirty as it was to be written, and was not */
        EVENT_VANISHED,     /* it is not in the memory though it should be: the client took it away */
        N_PAGE_EVENTS,
};

enum page_action {
        ACTION_IMPOSSIBLE, /* the pager asks no such thing: an assert catches it */
        ACTION_NONE,
        ACTION_LOAD,       /* begin a load, from the file or from the spill file; the thread waits for it */
        ACTION_WAIT_LOAD,  /* the thread waits for the load under way */
        ACTION_WAIT_STORE, /* the thread waits for the store, or the spilling, under way, then asks again */
        ACTION_MAP_RO,     /* show it, write-protected */
        ACTION_MAP_RW,     /* show it writable */
        ACTION_PLACE,      /* put what was loaded into the memory and show it to who waits */
        ACTION_POISON,     /* the thread gets SIGBUS */
        ACTION_PROTECT,    /* write-protect it in every mapping */
        ACTION_UNPROTECT,  /* make it writable again where it is mapped */
        ACTION_DROP,       /* out of the memory, and so out of every mapping */
        ACTION_ABANDON,    /* the load under way is no longer for it; who waits asks again */
        ACTION_WAKE,       /* who waits for the store, or the spilling, asks again */
};

struct page_transition {
        enum page_state next;
        enum page_action action;
};

struct page_transition state_transition(enum page_state state, enum page_event event);

const char *state_name(enum page_state state);
const char *state_event_name(enum page_event event);

/* Is its content in the memory? */
bool state_is_resident(enum page_state state);

/* Is it in the memory, and may be dropped at any time? */
bool state_is_clean(enum page_state state);

/* Is its content lost if it is dropped? In RAM or spilled. */
bool state_is_dirty(enum page_state state);

/* Is its content on the way to the file? */
bool state_is_storing(enum page_state state);

/* Is its content on the way to the spill file? */
bool state_is_spilling(enum page_state state);

/* Is its content in the spill file alone? */
bool state_is_spilled(enum page_state state);

/* Is its place in the spill file in use: is its content there, on its way there, or perhaps being read from there? */
bool state_has_place(enum page_state state);

/* Does a load wait for its end? */
bool state_is_loading(enum page_state state);

#endif
