/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way of a fault: fault_on_ready() takes events from the kernel, fault_handle() finds page and action, and then either the page is shown
 * (fault_show), or it is loaded: at once where that can be done (load_now), or by a load that it waits for (fault_load). Both end in place.c. The kind of event is only a hint: what is in the page table decides.
 */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "ahead.h"
#include "drop.h"
#include "fault.h"
#include "fileh.h"
#include "guess.h"
#include "handle.h"
#include "inject.h"
#include "load.h"
#include "load_now.h"
#include "pager.h"
#include "quota.h"
#include "remap.h"
#include "store.h"
#include "stray.h"

/* Blocks that are shown together: so many, aligned. */
#define FAULT_AROUND 16u

/* What is read at once takes no more than this share of the pool. */
#define FAULT_GRAIN_POOL_SHARE 8

/* The EMPTY blocks around one that are read with it anyway, if the pool is not small. */
static void fault_grain(const struct fileh *fileh, uint64_t block, uint64_t *ret_first, uint64_t *ret_n) {
        uint64_t n = fileh->store->grain >> fileh->block_shift, begin, end, first = block, last = block;

        *ret_first = block;
        *ret_n = 1;
        if (n <= 1 || fileh_page(fileh, block) || fileh->store->grain > fileh->pager->pool->bytes / FAULT_GRAIN_POOL_SHARE)
                return;
        begin = block - block % n;
        end = begin + n < fileh_n_blocks(fileh) ? begin + n : fileh_n_blocks(fileh);
        while (first > begin && !fileh_page(fileh, first - 1))
                first--;
        while (last + 1 < end && !fileh_page(fileh, last + 1))
                last++;
        *ret_first = first;
        *ret_n = last - first + 1;
}

static void fault_wait(struct waiters *waiters, struct mapping *mapping, uint64_t block, bool write) {
        struct pager *pager = mapping->fileh->pager;

        if (waiters_add_fault(waiters, mapping, block, write, pager->fault_began) < 0)
                mapping_wake(mapping, block); /* it asks again: the page may be mapped, and write-protected */
        else
                pager->fault_waits = true;
}

static void fault_load(struct mapping *mapping, uint64_t block, bool write) {
        struct fileh *fileh = mapping->fileh;
        struct load *load;
        uint64_t first, n;

        fault_grain(fileh, block, &first, &n);
        if (load_new(fileh, first, n, &load) < 0) {
                mapping_poison(mapping, block); /* no memory even for the bookkeeping */
                return;
        }
        load->ahead_of = n > 1 ? mapping : NULL;
        fault_wait(&load->waiters, mapping, block, write);
        load_start(load);
}

/* Who has to wait waits for his own block alone, and not for its neighbours as well. */
static void fault_on_empty(struct mapping *mapping, uint64_t block, bool write) {
        struct ahead_plan plan;
        bool is_loaded;

        ahead_on_miss(mapping, block, write, &plan);
        is_loaded = load_now(mapping, plan.first, plan.n, write);
        if (!is_loaded)
                fault_load(mapping, block, write);
        ahead_begin(mapping, &plan, !is_loaded);
        if (write)
                guess_on_write(mapping, block);
}

/* The page should be in the memory and is not: its client took it away, and with it what was written there. */
static void fault_on_vanished(struct mapping *mapping, uint64_t block, uint32_t id) {
        struct drop drop;

        drop_init(&drop, mapping->fileh->pager);
        drop_add(&drop, mapping->fileh, id, EVENT_VANISHED, 0);
        drop_flush(&drop);
        mapping_wake(mapping, block); /* it asks again */
}

/* Is the block in RAM, and to be shown like that to who reads it? */
static bool fault_is_alike(const struct mapping *mapping, uint64_t block, bool writable) {
        const struct fileh *fileh = mapping->fileh;
        uint32_t id = fileh_page(fileh, block);
        enum page_state state;

        if (!id || !mapping_shows(mapping, block))
                return false;
        state = pages_get(&fileh->pager->pages, id)->state;
        return state_is_resident(state) && state_transition(state, EVENT_READ).action == (writable ? ACTION_MAP_RW : ACTION_MAP_RO);
}

/* A page that is in RAM is shown with its neighbours that are: each would cost a fault, and showing it with the others next to nothing. */
static int fault_show_around(struct mapping *mapping, uint64_t block, bool writable) {
        uint64_t begin = block & ~(uint64_t) (FAULT_AROUND - 1), first = block, end = block + 1;

        if (mapping->fileh->advice != WIRE_ADVICE_RANDOM) {
                while (first > begin && fault_is_alike(mapping, first - 1, writable) && !ahead_is_trap(mapping->fileh, first - 1))
                        first--;
                while (end < begin + FAULT_AROUND && fault_is_alike(mapping, end, writable) && !ahead_is_trap(mapping->fileh, end))
                        end++;
        }
        if (end - first > 1 && mapping_show(mapping, first, end - first, writable) == 0)
                return 0;
        return mapping_show(mapping, block, 1, writable); /* of the others one is not there, perhaps */
}

static void fault_show(struct mapping *mapping, uint64_t block, uint32_t id, bool writable, bool is_mapped) {
        int r;

        if (writable && is_mapped)
                r = mapping_protect(mapping, block, 1, false);
        else
                r = fault_show_around(mapping, block, writable);
        if (r == -EFAULT)
                fault_on_vanished(mapping, block, id);
        else if (r < 0)
                mapping_wake(mapping, block);
}

static void fault_wait_for_quota(struct mapping *mapping, uint64_t block) {
        if (quota_wait(mapping, block) < 0)
                mapping_wake(mapping, block);
        else
                mapping->fileh->pager->fault_waits = true;
}

static void fault_on_page(struct mapping *mapping, uint64_t block, uint32_t id, bool write, bool is_mapped) {
        struct fileh *fileh = mapping->fileh;
        enum page_action action = fileh_page_event(fileh, id, write ? EVENT_WRITE : EVENT_READ, 0);
        struct load *load;

        switch (action) {
        case ACTION_WAIT_LOAD:
                fileh_touch(fileh, id);
                load = load_of_page(fileh, id);
                fault_wait(&load->waiters, mapping, block, write);
                load_hurry(load);
                break;
        case ACTION_MAP_RO:
        case ACTION_MAP_RW:
                fileh_touch(fileh, id);
                if (action == ACTION_MAP_RW)
                        INJECT(FAULT_DIRTY);
                fault_show(mapping, block, id, action == ACTION_MAP_RW, is_mapped);
                if (action == ACTION_MAP_RW) {
                        INJECT(FAULT_WRITABLE);
                        guess_on_write(mapping, block);
                }
                break;
        case ACTION_WAIT_STORE:
                fault_wait(&fileh->store_waiters, mapping, block, write);
                break;
        case ACTION_POISON:
                mapping_poison(mapping, block);
                break;
        default:
                assert(false);
        }
}

/*
 * A thread that serves the file would have to wait for itself, or for others that do the same: all of them may be where it is. It is told, and so is who else touches
 * the page until it is invalidated.
 */
static void fault_refuse_itself(struct mapping *mapping, uint64_t block, bool write) {
        struct fileh *fileh = mapping->fileh;
        uint32_t id = fileh_page(fileh, block);
        struct load *load;

        if (id)
                load = load_of_page(fileh, id);
        else if (load_new(fileh, block, 1, &load) < 0) {
                mapping_poison(mapping, block);
                return;
        }
        fault_wait(&load->waiters, mapping, block, write);
        if (id)
                load_refuse_block(load, block, -EDEADLK);
        else
                load_refuse(load, -EDEADLK);
}

static bool fault_waits_for_itself(const struct handle *handle, uint64_t block, uint32_t thread) {
        const struct fileh *fileh = handle->fileh;
        enum page_state state = fileh_state(fileh, block);

        if (state == PAGE_LOADING && load_of_page(handle->fileh, fileh_page(fileh, block))->fill)
                return false; /* it has been served already */
        return (state == PAGE_EMPTY || state == PAGE_LOADING) && store_is_served_by(fileh->store, &(struct store_thread){ handle->peer, handle->pid, thread });
}

/*
 * The thread touched a page of a large block while that was being shown, and before its turn: by now it is there. To show all the others once more would take as long
 * as there are pages.
 */
static bool fault_is_over(struct mapping *mapping, uint64_t block, const struct uffd_fault *fault) {
        const struct fileh *fileh = mapping->fileh;

        return fileh->block_size > memory_page_size(&fileh->memory) && !fault->write_protected && fault_is_alike(mapping, block, fault->write) &&
               mapping_showed_page(mapping, fault->address, fault->write);
}

static void fault_handle(struct handle *handle, const struct uffd_fault *fault) {
        struct mapping *mapping = handle_find(handle, fault->address);
        uint64_t block = mapping ? mapping_block(mapping, fault->address) : 0;
        struct fileh *fileh = handle->fileh;
        bool write = fault->write && !handle->readonly, is_trap;
        uint32_t id;

        if (!mapping || !mapping_shows(mapping, block)) {
                stray_fault(handle, fault);
                fileh->pager->fault_waits = true;
                return;
        }
        fileh->n_faults++;
        handle->n_faults++;
        pager_count(fileh->pager, COUNTER_FAULTS, 1);
        id = fileh_page(fileh, block);
        is_trap = id && ahead_is_trap(fileh, block);
        if (fault_waits_for_itself(handle, block, fault->thread))
                fault_refuse_itself(mapping, block, write);
        else if (!id)
                fault_on_empty(mapping, block, write);
        else if (fileh_state(fileh, block) == PAGE_SPILLED)
                fault_load(mapping, block, write);
        else if (fault_is_over(mapping, block, fault))
                fileh_touch(fileh, id);
        else if (write && quota_holds(fileh, id))
                fault_wait_for_quota(mapping, block);
        else
                fault_on_page(mapping, block, id, write, fault->write_protected);
        if (is_trap)
                ahead_on_trap(mapping, block);
}

static void fault_trace(const struct handle *handle, const struct uffd_fault *fault, uint64_t ended) {
        const struct mapping *mapping = handle_find(handle, fault->address);

        if (mapping)
                mapping_trace_fault(mapping, mapping_block(mapping, fault->address), fault->write, handle->fileh->pager->fault_began, ended);
}

/* Where one ends the next begins: so the clock is read once for each. */
static void fault_time(struct handle *handle, const struct uffd_fault *fault) {
        struct pager *pager = handle->fileh->pager;
        uint64_t ended;

        pager->fault_waits = false;
        fault_handle(handle, fault);
        if (pager->fault_waits) {
                pager->fault_began = latency_now();
                return;
        }
        ended = pager_record(pager, REPORT_FAULT, pager->fault_began);
        if (pager_is_traced(pager, REPORT_EVENT_FAULT))
                fault_trace(handle, fault, ended);
        pager->fault_began = ended;
}

static void fault_on_events(struct handle *handle, unsigned n_bytes) {
        struct pager *pager = handle->fileh->pager;
        struct uffd_event event;

        pager->fault_began = latency_now();
        for (unsigned i = 0; i + UFFD_EVENT_BYTES <= n_bytes; i += UFFD_EVENT_BYTES) {
                uffd_event_parse(handle->events + i, &event);
                if (event.kind == UFFD_FAULT)
                        fault_time(handle, &event.fault);
                else if (event.kind == UFFD_MOVE && remap_follow(handle, &event.move) < 0)
                        pager->drop_peer(pager, handle->peer, "it has moved its mappings where they cannot be followed");
        }
}

static void fault_poll(struct handle *handle) {
        handle->is_reading = true;
        handle->is_polling = true;
        ring_poll(handle->fileh->pager->ring, &handle->read_op, handle->uffd);
}

/*
 * Where the kernel says EAGAIN instead of waiting for an event, a poll waits. So it does after EINTR, which a read ends with when this thread has other
 * work of the kernel's to do just then. A client that makes its userfaultfd blocking shows itself by POLLERR: it cannot be served any more, and is dropped.
 */
static void fault_on_ready(struct ring_op *op, int result) {
        struct handle *handle = (struct handle *) ((char *) op - offsetof(struct handle, read_op));
        struct pager *pager = handle->fileh->pager;
        bool was_poll = handle->is_polling;

        handle->is_reading = false;
        if (handle->is_closed) {
                handle_freed(handle);
                return;
        }
        if (!was_poll && result > 0)
                fault_on_events(handle, (unsigned) result);
        if (!was_poll && (result == -EAGAIN || result == -EINTR))
                fault_poll(handle);
        else if (result > 0 && !(was_poll && result & (POLLERR | POLLNVAL)))
                fault_listen(handle);
        else
                pager->drop_peer(pager, handle->peer, "its userfaultfd cannot be read without blocking");
}

void fault_listen(struct handle *handle) {
        handle->is_reading = true;
        handle->is_polling = false;
        handle->read_op.done = fault_on_ready;
        ring_read_events(handle->fileh->pager->ring, &handle->read_op, handle->uffd, handle->events, sizeof(handle->events));
}
