/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_SPILL_H
#define BF_SPILL_H

/*
 * Spilling: when dirty pages fill the pool, the least recently used of them go to the spill files of their filehs, and leave RAM. A touch brings them back
 * (load.h), a writeout stores them from there (writeout.c).
 */

#include <stdbool.h>

struct pager;

/* Begins to spill a batch, if the pool is short of room and has nothing clean. True: there is more to be done at once. */
bool spill_continue(struct pager *pager);

/* It may go on, whatever kept it from that: room was given back on the disk. */
void spill_resume(struct pager *pager);

/* What it waits for ends soon: the pager ends. */
void spill_stop(struct pager *pager);

#endif
