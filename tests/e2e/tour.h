/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_TOUR_H
#define BF_TEST_TOUR_H

/*
 * A client that goes through all that a daemon does, always in the same order, and knows from a model what every page must hold: opening, loading one
 * by one and in runs, tables that grow and shrink, first writes, each kind of writeout, discard, invalidate, reclaim, growing, a load that fails, large
 * blocks, closing. It looks at each value it reads, and at the file after each commit.
 */

#include <stdbool.h>

#include "rig.h"

/* Said to the parent half way, when pages of each kind are there; the tour goes on when it is answered. */
#define TOUR_HALF 1

struct tour {
        unsigned number; /* tours at the same time have different ones */
        char address[128];
        char path[96];       /* identity blocks, TOUR_PAGES of them */
        char large_path[96]; /* the same of TOUR_LARGE_BLOCKS blocks of 64 KiB */
        char short_path[96]; /* the same of TOUR_SHORT_PAGES */
        bool is_tolerant;    /* calls and touches may fail, and are tried again; a client that is lost for good has been told so */
};

#define TOUR_PAGES 640
#define TOUR_LARGE_BLOCKS 8
#define TOUR_SHORT_PAGES 8
#define TOUR_SERVED_PAGES 16
#define TOUR_POOL "--pool", "3M", "--spill-dir", "/var/tmp" /* less than is dirty once */

/* Makes its files. */
void tour_prepare(struct rig *rig, struct tour *tour);

/* For rig_child(): arg is a struct tour. Exit status: 0; TOUR_LOST a tolerant one ended early; another: what it met was wrong, and is said. */
#define TOUR_LOST 77
int tour_run(int line, void *arg);

#endif
