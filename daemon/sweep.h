/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SWEEP_H
#define BF_SWEEP_H

/*
 * Spill files give back to the disk what they need no more: the places of pages that were brought back, stored or dropped. In the background, and only when it pays
 * (fileh_queue_sweep()).
 */

struct pager;

/* Begins to sweep the files that are due. */
void sweep_continue(struct pager *pager);

#endif
