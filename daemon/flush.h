/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_FLUSH_H
#define BF_FLUSH_H

/*
 * What a flush of the file means for the pages that were stored since the one before it. The kernel tells an error of a store that it carried out later at
 * the next flush, once, and not of which bytes: after a flush that failed all of them are in doubt, and dirty again.
 *
 * A fileh has one flush at a time, and stores nothing meanwhile: those of its pages that are UNSYNCED are of before it.
 */

#include <stdbool.h>

struct fileh;

/* To be called before the file is asked. The kernel tells an error once: a daemon that ends with the answer in its hands must not have the next one believe that all
 * is well. */
void flush_begin(struct fileh *fileh);

/* Says in the log what a flush that failed means. To be called once, before the pages are. */
void flush_report(const struct fileh *fileh, int error);

/* Carries out what came of it, 0 or a negative errno, on so many pages. True: there are more. */
bool flush_settle(struct fileh *fileh, int error, unsigned n_max);

/* All is in the ledger. */
void flush_end(struct fileh *fileh);

#endif
