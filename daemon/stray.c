/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "fileh.h"
#include "pager.h"
#include "stray.h"

#define STRAY_PAUSE_USEC UINT64_C(100000)

/* Of one handle. Who has more of them than that keeps threads waiting until they are killed, and its own alone. */
#define STRAY_HANDLE_MAX 64u

struct stray {
        TAILQ_ENTRY(stray) entry; /* pager->strays -> stray->entry */
        struct handle *handle;
        uint64_t page;
        uint64_t first; /* when it was first met */
        uint64_t next;  /* when its thread is woken, or, once it is, was */
        bool is_waiting;
};

static void stray_remove(struct pager *pager, struct stray *stray) {
        TAILQ_REMOVE(&pager->strays, stray, entry);
        stray->handle->n_strays--;
        free(stray);
}

/* One that was woken and did not come again has found what it wanted, or its end. */
static void stray_look_at(struct pager *pager, struct stray *stray, uint64_t now) {
        if (stray->next > now)
                return;
        if (!stray->is_waiting) {
                stray_remove(pager, stray);
                return;
        }
        stray->is_waiting = false;
        stray->next = now + STRAY_PAUSE_USEC;
        (void) uffd_wake(stray->handle->uffd, stray->page, memory_page_size(&stray->handle->fileh->memory));
}

static void stray_on_timer(struct ring_op *op, int result);

static void stray_set_timer(struct pager *pager) {
        if (TAILQ_EMPTY(&pager->strays) || pager->stray_timer_is_set)
                return;
        pager->stray_timer_is_set = true;
        pager->stray_timer.done = stray_on_timer;
        ring_timer(pager->ring, &pager->stray_timer, ring_now() + STRAY_PAUSE_USEC);
}

static void stray_on_timer(struct ring_op *op, int result) {
        struct pager *pager = (struct pager *) ((char *) op - offsetof(struct pager, stray_timer));
        struct stray *stray, *next;
        uint64_t now = ring_now();

        pager->stray_timer_is_set = false;
        if (result != -ETIME)
                return;
        for (stray = TAILQ_FIRST(&pager->strays); stray; stray = next) {
                next = TAILQ_NEXT(stray, entry);
                stray_look_at(pager, stray, now);
        }
        stray_set_timer(pager);
}

static struct stray *stray_find(const struct handle *handle, uint64_t page) {
        struct stray *stray;

        TAILQ_FOREACH(stray, &handle->fileh->pager->strays, entry)
                if (stray->handle == handle && stray->page == page)
                        return stray;
        return NULL;
}

static struct stray *stray_new(struct handle *handle, uint64_t page) {
        struct stray *stray = handle->n_strays < STRAY_HANDLE_MAX ? malloc(sizeof(*stray)) : NULL;

        if (!stray)
                return NULL;
        *stray = (struct stray) { .handle = handle, .page = page, .first = ring_now() };
        handle->n_strays++;
        TAILQ_INSERT_TAIL(&handle->fileh->pager->strays, stray, entry);
        return stray;
}

static bool stray_is_hopeless(const struct stray *stray, const struct uffd_fault *fault) {
        if (!stray->handle->is_shown || fault->write_protected) /* a page that is there cannot be poisoned */
                return false;
        return ring_now() - stray->first >= stray->handle->fileh->pager->options.room_timeout_usec;
}

void stray_fault(struct handle *handle, const struct uffd_fault *fault) {
        uint64_t page_size = memory_page_size(&handle->fileh->memory), page = fault->address & ~(page_size - 1);
        struct pager *pager = handle->fileh->pager;
        struct stray *stray = stray_find(handle, page);

        if (!stray)
                stray = stray_new(handle, page);
        if (!stray)
                return;
        if (stray_is_hopeless(stray, fault)) {
                stray_remove(pager, stray);
                (void) uffd_poison(handle->uffd, page, page_size, page_size);
                return;
        }
        stray->is_waiting = true;
        stray->next = ring_now() + STRAY_PAUSE_USEC;
        stray_set_timer(pager);
}

void stray_forget_handle(struct handle *handle) {
        struct pager *pager = handle->fileh->pager;
        struct stray *stray, *next;

        for (stray = TAILQ_FIRST(&pager->strays); stray && handle->n_strays > 0; stray = next) {
                next = TAILQ_NEXT(stray, entry);
                if (stray->handle == handle)
                        stray_remove(pager, stray);
        }
}

void stray_end(struct pager *pager) {
        if (pager->stray_timer_is_set)
                ring_cancel(pager->ring, &pager->stray_timer);
}
