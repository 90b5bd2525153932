/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PLACE_H
#define BF_PLACE_H

/* The end of a load, for those pages that are still its own: content goes into the memory and is shown to who waits, failure becomes SIGBUS. */

#include <stdbool.h>
#include <stdint.h>

#include "stream.h"
#include "waiter.h"

struct fileh;
struct mapping;

struct place_load {
        struct fileh *fileh;
        uint32_t id; /* of the load */
        struct waiters *waiters;
        struct mapping *ahead_of; /* pages that nobody waits for are shown there; NULL: nowhere */
        struct stream_traps traps; /* but for these */
};

/* n blocks of content were loaded. A negative errno: some of it could be placed nowhere, which has been told to who waits in a fault. */
int place_content(const struct place_load *load, uint64_t block, uint64_t n, const void *buf);

/* The same blocks are in the memory already, and were shown where they were to be, but for the traps. */
void place_filled(const struct place_load *load, uint64_t block, uint64_t n);

/* n EMPTY blocks were read at once, for threads that touched some of them or soon will: their pages are made, of room that was taken for them. write: the first, and
 * only one, is to be written. A negative errno: that did not work, and nothing has changed. */
int place_now(struct mapping *mapping, uint64_t block, uint64_t n, const void *buf, bool write);

/* n blocks could not be loaded. */
void place_failure(const struct place_load *load, uint64_t block, uint64_t n, int error);

#endif
