/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "admission.h"
#include "fileh.h"
#include "pager.h"
#include "reclaim.h"
#include "standing.h"
#include "turn.h"

/* --- room --------------------------------------------------------------------------------------------------------------------------------------- */

/* Without room it reclaims; while others wait for room it does not overtake them. */
static bool admission_find_room(struct admission *admission) {
        struct pager *pager = admission->fileh->pager;

        if (!TAILQ_EMPTY(&pager->room_queue))
                return false;
        do
                if (admission->take_room(admission))
                        return true;
        while (reclaim_batch(pager, admission->n_bytes) > 0);
        return false;
}

static void admission_on_room_timer(struct ring_op *op, int result) {
        struct pager *pager = (struct pager *) ((char *) op - offsetof(struct pager, room_timer));

        (void) result;
        pager->room_timer_is_set = false;
        admission_room_changed(pager);
}

static void admission_set_room_timer(struct pager *pager) {
        struct admission *first = TAILQ_FIRST(&pager->room_queue);

        if (!first || pager->room_timer_is_set)
                return;
        pager->room_timer_is_set = true;
        pager->room_timer.done = admission_on_room_timer;
        ring_timer(pager->ring, &pager->room_timer, first->deadline);
}

/* What the others are to make room for. */
static void admission_publish_awaited(struct pager *pager) {
        const struct admission *first = TAILQ_FIRST(&pager->room_queue);

        atomic_store(&pager->commons->pagers[pager->index].n_awaited, first ? first->n_bytes : 0);
}

/* That somebody waits is known before it is looked a last time whether there is room: who gives some looks who waits after that. */
static void admission_wait_for_room(struct admission *admission) {
        struct pager *pager = admission->fileh->pager;

        admission->queued = ring_now();
        admission->deadline = admission->queued + pager->options.room_timeout_usec;
        TAILQ_INSERT_TAIL(&pager->room_queue, admission, entry);
        admission_publish_awaited(pager);
        atomic_fetch_or(&pager->commons->room_waiters, pager_bit(pager));
        pager->room_is_news = true;
        admission_set_room_timer(pager);
}

void admission_room_changed(struct pager *pager) {
        struct admission *admission;

        while ((admission = TAILQ_FIRST(&pager->room_queue))) {
                bool has_room = admission->take_room(admission) || (reclaim_batch(pager, admission->n_bytes) > 0 && admission->take_room(admission));

                if (!has_room && ring_now() < admission->deadline)
                        break;
                TAILQ_REMOVE(&pager->room_queue, admission, entry);
                admission->decided(admission, has_room ? 0 : -ENOMEM);
        }
        admission_publish_awaited(pager);
        if (!admission)
                atomic_fetch_and(&pager->commons->room_waiters, ~pager_bit(pager));
        else if (pager->room_is_news)
                standing_ask_others(pager);
        pager->room_is_news = false;
        admission_set_room_timer(pager);
}

/* --- turn --------------------------------------------------------------------------------------------------------------------------------------- */

static bool admission_take_turn(struct admission *admission) {
        admission->has_turn = turn_take(admission->fileh, admission->n_bytes);
        return admission->has_turn;
}

static void admission_go_on(struct admission *admission) {
        if (admission_find_room(admission))
                admission->decided(admission, 0);
        else
                admission_wait_for_room(admission);
}

/* One that ends at once gives its turn to the next, and comes by here again before it is gone. */
static void admission_start_queued(struct fileh *fileh) {
        struct admission *admission;

        while ((admission = TAILQ_FIRST(&fileh->turn_queue)) && admission_take_turn(admission)) {
                TAILQ_REMOVE(&fileh->turn_queue, admission, entry);
                admission_go_on(admission);
        }
        if (!admission)
                turn_leave_line(fileh);
}

void admission_ask(struct admission *admission) {
        struct fileh *fileh = admission->fileh;

        if (!fileh->is_in_line && admission_take_turn(admission))
                admission_go_on(admission);
        else
                TAILQ_INSERT_TAIL(&fileh->turn_queue, admission, entry);
}

void admission_end(struct admission *admission) {
        struct fileh *fileh = admission->fileh;

        if (!admission->has_turn)
                return;
        admission->has_turn = false;
        turn_give(fileh, admission->n_bytes);
        if (!fileh->is_in_line)
                admission_start_queued(fileh);
}

/* Of those that share the first begins what it may, then the next, until there is one that may not begin all that it could: it is the first the next time. */
void admission_turns_changed(struct pager *pager) {
        const struct fileh *unserved = NULL;
        struct fileh *fileh, *next;

        pager->turn_is_news = false;
        for (fileh = TAILQ_FIRST(&pager->turn_line); fileh; fileh = next) {
                next = TAILQ_NEXT(fileh, turn_entry);
                if (unserved && turn_is_of_one_share(fileh, unserved))
                        continue;
                admission_start_queued(fileh);
                if (fileh->is_in_line)
                        unserved = fileh;
        }
}

void admission_cancel_waiting(struct fileh *fileh) {
        struct admission *admission, *next;

        while ((admission = TAILQ_FIRST(&fileh->turn_queue))) { /* before those with a turn: theirs would go to these */
                TAILQ_REMOVE(&fileh->turn_queue, admission, entry);
                admission->decided(admission, -ECANCELED);
        }
        turn_leave_line(fileh);
        for (admission = TAILQ_FIRST(&fileh->pager->room_queue); admission; admission = next) {
                next = TAILQ_NEXT(admission, entry);
                if (admission->fileh != fileh)
                        continue;
                TAILQ_REMOVE(&fileh->pager->room_queue, admission, entry);
                admission->decided(admission, -ECANCELED);
        }
}
