/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "account.h"
#include "fileh.h"
#include "log.h"
#include "mapping.h"
#include "pager.h"
#include "quota.h"

struct quota_waiter {
        TAILQ_ENTRY(quota_waiter) entry; /* pager->quota_queue -> waiter->entry */
        struct mapping *mapping;
        uint64_t block;
        uint64_t since;
        uint64_t deadline;
};

static void quota_set_timer(struct pager *pager);

bool quota_has_left(const struct fileh *fileh) {
        return quota_has_left_for(fileh, 1);
}

bool quota_has_left_for(const struct fileh *fileh, uint64_t n_pages) {
        return account_left(fileh->account, ACCOUNT_DIRTY_BYTES) >= n_pages << fileh->block_shift;
}

bool quota_holds(const struct fileh *fileh, uint32_t id) {
        enum page_state state = pages_get(&fileh->pager->pages, id)->state;

        return state_is_resident(state) && !state_is_dirty(state) && !quota_has_left(fileh);
}

static struct account *quota_account(const struct quota_waiter *waiter) {
        return waiter->mapping->fileh->account;
}

/* The other pagers of the user need not tell this one any more when something is stored. */
static void quota_remove(struct pager *pager, struct quota_waiter *waiter) {
        struct account *account = quota_account(waiter);
        const struct quota_waiter *other;

        TAILQ_REMOVE(&pager->quota_queue, waiter, entry);
        free(waiter);
        TAILQ_FOREACH(other, &pager->quota_queue, entry)
                if (quota_account(other) == account)
                        return;
        atomic_fetch_and(&account->waiting[ACCOUNT_DIRTY_BYTES], ~pager_bit(pager));
}

/* It counts as failed, as if its load had: the thread gets SIGBUS, and is told EDQUOT. What was in the memory is as in the file. */
static void quota_fail(struct fileh *fileh, struct mapping *mapping, uint64_t block) {
        uint32_t id = fileh_page(fileh, block);

        if (!id || !quota_holds(fileh, id)) {
                mapping_wake(mapping, block); /* things have changed: it asks again */
                return;
        }
        (void) fileh_page_event(fileh, id, fileh_failure(fileh), -EDQUOT);
        (void) memory_punch(&fileh->memory, block << fileh->block_shift, fileh->block_size);
        mapping_poison(mapping, block);
}

static void quota_expire(struct pager *pager) {
        struct quota_waiter *waiter;

        while ((waiter = TAILQ_FIRST(&pager->quota_queue)) && waiter->deadline <= ring_now()) {
                struct mapping *mapping = waiter->mapping;
                uint64_t block = waiter->block, since = waiter->since;

                quota_remove(pager, waiter);
                quota_fail(mapping->fileh, mapping, block);
                (void) pager_record(pager, REPORT_FAULT, since);
        }
        quota_set_timer(pager);
}

static void quota_on_timer(struct ring_op *op, int result) {
        struct pager *pager = (struct pager *) ((char *) op - offsetof(struct pager, quota_timer));

        pager->quota_timer_is_set = false;
        if (result == -ETIME)
                quota_expire(pager);
}

/* All wait equally long, so the first in the queue is the first whose time is up. */
static void quota_set_timer(struct pager *pager) {
        struct quota_waiter *first = TAILQ_FIRST(&pager->quota_queue);

        if (!first || pager->quota_timer_is_set)
                return;
        pager->quota_timer_is_set = true;
        pager->quota_timer.done = quota_on_timer;
        ring_timer(pager->ring, &pager->quota_timer, first->deadline);
}

int quota_wait(struct mapping *mapping, uint64_t block) {
        struct fileh *fileh = mapping->fileh;
        struct pager *pager = fileh->pager;
        struct quota_waiter *waiter;

        TAILQ_FOREACH(waiter, &pager->quota_queue, entry)
                if (waiter->mapping == mapping && waiter->block == block)
                        return 0;
        waiter = malloc(sizeof(*waiter));
        if (!waiter)
                return -ENOMEM;
        *waiter = (struct quota_waiter) { .mapping = mapping, .block = block, .since = pager->fault_began, .deadline = ring_now() + pager->options.room_timeout_usec };
        TAILQ_INSERT_TAIL(&pager->quota_queue, waiter, entry);
        atomic_fetch_or(&fileh->account->waiting[ACCOUNT_DIRTY_BYTES], pager_bit(pager));
        pager->quota_is_freed |= quota_has_left(fileh); /* something may have been stored just before others knew */
        if (account_may_warn(fileh->account, ACCOUNT_DIRTY_BYTES))
                log_about(LOG_LEVEL_WARNING, &(struct log_about) { .has_uid = true, .uid = fileh->account->uid },
                          "uid %u has all the dirty bytes that he may have: his writes wait until he stores or discards some (see --uid-dirty)",
                          (unsigned) fileh->account->uid);
        quota_set_timer(pager);
        return 0;
}

void quota_forget_mapping(struct pager *pager, const struct mapping *mapping) {
        struct quota_waiter *waiter, *next;

        for (waiter = TAILQ_FIRST(&pager->quota_queue); waiter; waiter = next) {
                next = TAILQ_NEXT(waiter, entry);
                if (waiter->mapping == mapping)
                        quota_remove(pager, waiter);
        }
}

/* Of each fileh as many are woken as there is something left for: what one takes when it comes again, another does not get, and waits again. */
void quota_changed(struct pager *pager) {
        struct quota_waiter *waiter, *next;

        pager->quota_is_freed = false;
        TAILQ_FOREACH(waiter, &pager->quota_queue, entry)
                waiter->mapping->fileh->n_woken = 0;
        for (waiter = TAILQ_FIRST(&pager->quota_queue); waiter; waiter = next) {
                struct mapping *mapping = waiter->mapping;
                struct fileh *fileh = mapping->fileh;

                next = TAILQ_NEXT(waiter, entry);
                if (account_left(fileh->account, ACCOUNT_DIRTY_BYTES) < fileh->n_woken + fileh->block_size)
                        continue;
                fileh->n_woken += fileh->block_size;
                mapping_wake_waiter(mapping, waiter->block, waiter->since);
                quota_remove(pager, waiter);
        }
}
