/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TEST_OPSSERVER_H
#define BF_TEST_OPSSERVER_H

/* A process of its own that serves a file of the name "table" (opsfile.h), and does what the test asks of it. */

#include <stdint.h>
#include <sys/types.h>

#include "rig.h"

#define OPSSERVER_PAGES 64 /* of the file */

/* What it is asked to do: a page in the upper bits, and one of these. It answers each with a number. */
enum opsserver_wish {
        OPSSERVER_PEEK,    /* word 1 of the page as it is in the file */
        OPSSERVER_HOLD,    /* loads of that page are held */
        OPSSERVER_WAIT,    /* until one is */
        OPSSERVER_CLOSE,   /* serves no more */
        OPSSERVER_REOPEN,  /* serves the same again */
        OPSSERVER_N_CALLS, /* since it was last asked */
        OPSSERVER_FORK,    /* a child that stays: its number */
        OPSSERVER_END,
        N_OPSSERVER_WISHES,
};

struct opsserver {
        struct rig *rig;
        const char *address;
        uid_t uid; /* 0: as it is */
        uint64_t block_size; /* 0: pages */
};

/* It is made before the test has threads, and connects when it is told to. server is the caller's, as long as the child lives. */
struct child *opsserver_new(struct rig *rig, struct opsserver *server);

/* It connects and serves now. */
void opsserver_begin(const struct child *child);

/* Its answer. */
uint64_t opsserver_ask(const struct child *child, enum opsserver_wish wish, uint64_t page);

#endif
