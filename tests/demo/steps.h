/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DEMO_STEPS_H
#define DEMO_STEPS_H

/* What the demonstration does with a mapped big file. Each step says in a line what it did, or gives the verdict and returns -1. */

#include <bfclient.h>
#include <stdint.h>

#include "model.h"

struct steps {
        struct bf_fileh *fileh;
        uint8_t *memory; /* the whole file */
        int fd;          /* the same file, for pread */
        struct model model;
        uint64_t n_commits;
        uint64_t n_discards;
};

/* Reads every byte through memory and from the file, compares, and fills the model. */
int steps_read(struct steps *steps);

/* Changes n pages at random in memory, and sees that the file does not have it yet. */
int steps_change(struct steps *steps, uint64_t n);

/* Stores the changes, and sees that the file has them. */
int steps_commit(struct steps *steps);

/* Drops the changes, and sees that neither file nor memory has them. */
int steps_discard(struct steps *steps);

/* Reads every byte again, and compares with what was committed. */
int steps_check(struct steps *steps);

#endif
