/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A list of slots that are used again but never freed, so that a reader needs no lock: it looks at each slot, copies the one that fits, and takes
 * the copy only if the slot's sequence number was even and the same before and after. A slot under change is passed over: who touches memory that is
 * being mapped or unmapped at that moment gets no answer either way.
 *
 * A search looks at every slot, 64 bytes each: far less than the exchange with the daemon that goes with every mapping.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "process.h"
#include "registry.h"

#define CHUNK_SLOTS 64

struct registry_slot {
        _Atomic uint64_t seq; /* odd: under change */
        _Atomic uint64_t process;
        _Atomic uintptr_t address;
        _Atomic size_t length; /* 0: the slot is free */
        _Atomic uint64_t offset;
        _Atomic uint64_t block_size;
        _Atomic(void *) owner;
        _Atomic int ledger;
        _Atomic int error;
        _Atomic bool is_claimed;         /* changed under registry_lock */
        struct registry_slot *next_free; /* registry_free -> slot->next_free; guarded by registry_lock */
};

struct registry_chunk {
        struct registry_chunk *next; /* registry_chunks -> chunk->next; never changes once the chunk is in the list */
        struct registry_slot slots[CHUNK_SLOTS];
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER; /* for every change */
static _Atomic(struct registry_chunk *) registry_chunks;
static struct registry_slot *registry_free;

/* Goes over all slots, also while chunks are added. */
struct registry_cursor {
        struct registry_chunk *chunk;
        size_t i;
};

static struct registry_cursor cursor_start(void) {
        return (struct registry_cursor) { .chunk = atomic_load_explicit(&registry_chunks, memory_order_acquire) };
}

static struct registry_slot *cursor_next(struct registry_cursor *cursor) {
        if (cursor->chunk && cursor->i == CHUNK_SLOTS)
                *cursor = (struct registry_cursor) { .chunk = cursor->chunk->next };
        return cursor->chunk ? &cursor->chunk->slots[cursor->i++] : NULL;
}

/* Around fork(): else a child forked while another thread is in here would inherit the lock taken, with nobody to release it. */
static void registry_before_fork(void) {
        pthread_mutex_lock(&registry_lock);
}

static void registry_after_fork(void) {
        pthread_mutex_unlock(&registry_lock);
}

static int registry_grow(void) {
        struct registry_chunk *chunk;

        if (!atomic_load(&registry_chunks) && pthread_atfork(registry_before_fork, registry_after_fork, registry_after_fork) != 0)
                return -ENOMEM;
        chunk = calloc(1, sizeof(*chunk));
        if (!chunk)
                return -ENOMEM;
        for (size_t i = CHUNK_SLOTS; i-- > 0;) {
                chunk->slots[i].next_free = registry_free;
                registry_free = &chunk->slots[i];
        }
        chunk->next = atomic_load(&registry_chunks);
        atomic_store_explicit(&registry_chunks, chunk, memory_order_release);
        return 0;
}

static void slot_begin_change(struct registry_slot *slot) {
        atomic_fetch_add_explicit(&slot->seq, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_release);
}

static void slot_end_change(struct registry_slot *slot) {
        atomic_fetch_add_explicit(&slot->seq, 1, memory_order_release);
}

static void slot_fill(struct registry_slot *slot, const struct registry_entry *entry) {
        slot_begin_change(slot);
        atomic_store_explicit(&slot->process, entry->process, memory_order_relaxed);
        atomic_store_explicit(&slot->address, entry->address, memory_order_relaxed);
        atomic_store_explicit(&slot->length, entry->length, memory_order_relaxed);
        atomic_store_explicit(&slot->offset, entry->offset, memory_order_relaxed);
        atomic_store_explicit(&slot->block_size, entry->block_size, memory_order_relaxed);
        atomic_store_explicit(&slot->owner, entry->owner, memory_order_relaxed);
        atomic_store_explicit(&slot->ledger, entry->ledger, memory_order_relaxed);
        atomic_store_explicit(&slot->error, entry->error, memory_order_relaxed);
        slot_end_change(slot);
}

static void slot_copy(struct registry_slot *slot, struct registry_entry *ret_entry) {
        *ret_entry = (struct registry_entry) {
                .process = atomic_load_explicit(&slot->process, memory_order_relaxed),
                .address = atomic_load_explicit(&slot->address, memory_order_relaxed),
                .length = atomic_load_explicit(&slot->length, memory_order_relaxed),
                .offset = atomic_load_explicit(&slot->offset, memory_order_relaxed),
                .block_size = atomic_load_explicit(&slot->block_size, memory_order_relaxed),
                .owner = atomic_load_explicit(&slot->owner, memory_order_relaxed),
                .ledger = atomic_load_explicit(&slot->ledger, memory_order_relaxed),
                .error = atomic_load_explicit(&slot->error, memory_order_relaxed),
        };
}

int registry_add(const struct registry_entry *entry, struct registry_slot **ret_slot) {
        struct registry_slot *slot;
        int r = 0;

        pthread_mutex_lock(&registry_lock);
        if (!registry_free)
                r = registry_grow();
        if (r == 0) {
                slot = registry_free;
                registry_free = slot->next_free;
                atomic_store(&slot->is_claimed, false);
                slot_fill(slot, entry);
                *ret_slot = slot;
        }
        pthread_mutex_unlock(&registry_lock);
        return r;
}

void registry_remove(struct registry_slot *slot) {
        const struct registry_entry none = { .ledger = -1 };

        pthread_mutex_lock(&registry_lock);
        slot_fill(slot, &none);
        slot->next_free = registry_free;
        registry_free = slot;
        pthread_mutex_unlock(&registry_lock);
}

void registry_set_error(struct registry_slot *slot, int error) {
        atomic_store_explicit(&slot->error, error, memory_order_relaxed);
}

/* The slot not claimed that begins at this address and is of this process; else one that is inherited; else NULL. Under the lock. */
static struct registry_slot *slot_at(uintptr_t address) {
        struct registry_cursor cursor = cursor_start();
        struct registry_slot *slot, *inherited = NULL;

        while ((slot = cursor_next(&cursor))) {
                if (atomic_load(&slot->length) == 0 || atomic_load(&slot->address) != address || atomic_load(&slot->is_claimed))
                        continue;
                if (atomic_load(&slot->process) == process_id())
                        return slot;
                inherited = slot;
        }
        return inherited;
}

int registry_claim(uintptr_t address, void **ret_owner) {
        struct registry_slot *slot;
        int r = 0;

        pthread_mutex_lock(&registry_lock);
        slot = slot_at(address);
        if (!slot)
                r = -EINVAL;
        else if (atomic_load(&slot->process) != process_id())
                r = -ENOTCONN;
        if (r == 0) {
                atomic_store(&slot->is_claimed, true);
                *ret_owner = atomic_load(&slot->owner);
        }
        pthread_mutex_unlock(&registry_lock);
        return r;
}

void registry_unclaim(struct registry_slot *slot) {
        pthread_mutex_lock(&registry_lock);
        atomic_store(&slot->is_claimed, false);
        pthread_mutex_unlock(&registry_lock);
}

/* Copies the slot if it holds the address, and nothing changes meanwhile. */
static bool slot_look(struct registry_slot *slot, uintptr_t address, struct registry_entry *ret_entry, struct registry_ticket *ret_ticket) {
        struct registry_ticket ticket = { .slot = slot, .seq = atomic_load_explicit(&slot->seq, memory_order_acquire) };
        struct registry_entry entry;

        if (address - atomic_load_explicit(&slot->address, memory_order_relaxed) >= atomic_load_explicit(&slot->length, memory_order_relaxed))
                return false;
        slot_copy(slot, &entry);
        if (ticket.seq & 1 || !registry_is_current(&ticket) || address - entry.address >= entry.length)
                return false;
        *ret_entry = entry;
        *ret_ticket = ticket;
        return true;
}

bool registry_find(uintptr_t address, struct registry_entry *ret_entry, struct registry_ticket *ret_ticket) {
        struct registry_cursor cursor = cursor_start();
        struct registry_slot *slot;
        bool found = false;

        while ((slot = cursor_next(&cursor))) {
                if (!slot_look(slot, address, ret_entry, ret_ticket))
                        continue;
                found = true;
                if (ret_entry->process == process_id() && !atomic_load(&slot->is_claimed))
                        break;
        }
        return found;
}

bool registry_is_current(const struct registry_ticket *ticket) {
        atomic_thread_fence(memory_order_acquire);
        return atomic_load_explicit(&ticket->slot->seq, memory_order_relaxed) == ticket->seq;
}
