/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ADMISSION_H
#define BF_ADMISSION_H

/*
 * When a load may begin: when it has its turn (turn.h), and then room in the pool. While it waits it holds nothing that others need. Those that wait for room have it in
 * the order in which they came, over all filehs of a pager; each waits for so long, and no longer.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fileh;
struct pager;

struct admission {
        struct fileh *fileh;
        uint64_t n_bytes;
        bool (*take_room)(struct admission *admission);          /* what it needs of the pool by now; false: there is not so much */
        void (*decided)(struct admission *admission, int error); /* 0: it has both; -ENOMEM: it waited for room for too long; -ECANCELED */
        bool has_turn;
        uint64_t queued;   /* since when it has waited for room, and */
        uint64_t deadline; /* till when it does; monotonic, microseconds */
        TAILQ_ENTRY(admission) entry; /* fileh->turn_queue or pager->room_queue -> admission->entry */
};

/* It is decided in this call, or in a later one. */
void admission_ask(struct admission *admission);

/* What was admitted, or was not, has ended: its turn, if it has one, is others'. Again: nothing more. */
void admission_end(struct admission *admission);

/* Users may have fewer bytes under way than before: those that waited for that go on. */
void admission_turns_changed(struct pager *pager);

/* There may be room again: those that waited for it have it, in their order; those that waited for too long are told so. */
void admission_room_changed(struct pager *pager);

/* Nobody wants what waits of this fileh. */
void admission_cancel_waiting(struct fileh *fileh);

#endif
