/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_PROVIDER_LINE_H
#define BF_PROVIDER_LINE_H

/* A connection with a process that serves a file: the socket, the area, and which of its slots are in use. It knows the layout, not what is asked. */

#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "provide.h"
#include "ring.h"

struct provider;
struct provider_ask;

struct provider_slot {
        struct provider_ask *ask; /* NULL: nothing is asked */
        bool is_lent;
        uint32_t number;          /* of what was asked last */
};

/* It stays until the read of its socket has ended, and all that was lent is back. */
struct provider_line {
        struct provider *provider; /* NULL: it is lost, nothing that comes from it counts */
        struct ring *ring;
        int socket;
        char *area;
        uint64_t area_bytes;
        uint64_t block_size;
        struct ring_op read_op;
        bool is_reading;
        struct provide_answer answer; /* the one being read */
        struct chan_inbox inbox;
        struct provider_slot slots[PROVIDE_SLOTS_MAX];
        uint32_t free; /* a bit for each slot */
        unsigned n_lent;
};

/* All slots are free. *ret_fds: the process's end of the socket, and the area, both the caller's. */
int provider_line_new(struct ring *ring, uint64_t block_size, int ret_fds[static 2], struct provider_line **ret);

/* What the process can still do to the area is nothing to anybody from now on. */
void provider_line_free(struct provider_line *line);

/* Reads one answer: read_op, whose done() is set. */
void provider_line_read(struct provider_line *line);

/* What the end of that operation means: the answer is there, whole and with nothing beside it. */
bool provider_line_has_answer(struct provider_line *line, int result);

/* n neighbours, of which the first is returned, and they lie side by side in the area; the lowest that are free, as their memory is the warmest. PROVIDER_LINE_NONE:
 * there are not so many. */
#define PROVIDER_LINE_NONE UINT32_MAX
uint32_t provider_line_take_slots(struct provider_line *line, uint32_t n);
void provider_line_give_slots(struct provider_line *line, uint32_t first, uint32_t n);

/* Where the bytes from that offset on lie in the area. */
char *provider_line_place(const struct provider_line *line, uint32_t slot, uint64_t offset);

/* Where the bits of its pages are. */
uint64_t *provider_line_mask(const struct provider_line *line, uint32_t slot);

#endif
