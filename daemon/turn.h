/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TURN_H
#define BF_TURN_H

/*
 * How many bytes may be on their way into the memory. What a load has room for cannot be dropped until its read ends, and a read may hang: so a fileh has a share of
 * the pool for that, and a user, over all his filehs and all pagers, a larger one; the first load of each may be as large as it likes. Loads beyond that wait
 * (admission.h). Where it is the user's share that is used up, their fileh stands in line for it.
 *
 * Of files that processes serve a user has a share apart: who serves one may touch other files to do so, whose loads must not wait for those that wait for him.
 */

#include <stdbool.h>
#include <stdint.h>

struct account;
struct fileh;

/* A load of so many bytes begins. False: not yet. It is worth trying again when another one of the fileh ends, or, if the fileh is in line now, as
 * admission_turns_changed() does. */
bool turn_take(struct fileh *fileh, uint64_t bytes);

/* It has ended. */
void turn_give(struct fileh *fileh, uint64_t bytes);

/* None of the fileh's loads waits any more for its user's. */
void turn_leave_line(struct fileh *fileh);

/* Do they take from the same share? */
bool turn_is_of_one_share(const struct fileh *a, const struct fileh *b);

/* The fileh is about to be another user's, and what it has under way with it. */
void turn_change_account(struct fileh *fileh, struct account *account);

#endif
