/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_GUESS_H
#define BF_GUESS_H

/*
 * A thread that writes pages in order faults on each one. Of who says that he does (BF_ADVICE_SEQUENTIAL), the next ones are made writable ahead of him, and called
 * dirty for that, with a hash of what is in them: a guess. When he has come to their end, before a writeout, or a while later, it is looked at which of them were
 * written: the others are clean, as before. So what nobody has written is never stored. A page in which all that was written is what was there before counts as
 * not written: that is why he has to say so.
 */

#include <stdbool.h>
#include <stdint.h>

struct fileh;
struct mapping;
struct pager;

/* A page was made writable for a thread that wrote to it, through that mapping. */
void guess_on_write(struct mapping *mapping, uint64_t block);

/* Looks at all guesses. False: of some it cannot be said now, as they may be written by somebody whose mappings are not known (fileh_may_protect()). */
bool guess_settle(struct fileh *fileh);

/* What a daemon that is gone has guessed, once its pages are taken up. */
void guess_adopt(struct fileh *fileh);

/* It is not looked at any more: everything is closing. */
void guess_stop(struct pager *pager);

#endif
