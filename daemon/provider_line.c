/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chan.h"
#include "closer.h"
#include "memory.h"
#include "provider_line.h"

char *provider_line_place(const struct provider_line *line, uint32_t slot, uint64_t offset) {
        uint64_t block_size = line->block_size;

        return line->area + slot * provide_slot_bytes(block_size) + offset % block_size;
}

uint64_t *provider_line_mask(const struct provider_line *line, uint32_t slot) {
        return (uint64_t *) (void *) (line->area + provide_mask_offset(line->block_size, slot));
}

static_assert(PROVIDE_SLOTS_MAX == 32, "line->free has a bit for each");

/* n: not all of them, but where the line is new. */
static uint32_t provider_line_bits(uint32_t first, uint32_t n) {
        return (n < 32 ? (UINT32_C(1) << n) - 1 : UINT32_MAX) << first;
}

uint32_t provider_line_take_slots(struct provider_line *line, uint32_t n) {
        for (uint32_t first = 0; first + n <= PROVIDE_SLOTS_MAX; first++) {
                uint32_t bits = provider_line_bits(first, n);

                if ((line->free & bits) == bits) {
                        line->free &= ~bits;
                        return first;
                }
        }
        return PROVIDER_LINE_NONE;
}

void provider_line_give_slots(struct provider_line *line, uint32_t first, uint32_t n) {
        line->free |= provider_line_bits(first, n);
}

/* *ret_fd: a descriptor of it for the process. */
static int provider_line_make_area(struct provider_line *line, int *ret_fd) {
        struct memory memory;
        void *area;
        int r;

        r = memory_init(&memory, line->area_bytes, false);
        if (r < 0)
                return r;
        area = mmap(NULL, line->area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
        if (area == MAP_FAILED) {
                r = -errno;
                memory_fini(&memory);
                return r;
        }
        line->area = area;
        *ret_fd = memory.fd;
        return 0;
}

static int provider_line_open(struct provider_line *line, int ret_fds[static 2]) {
        int pair[2], r;

        r = chan_pair(pair);
        if (r < 0)
                return r;
        r = provider_line_make_area(line, &ret_fds[1]);
        if (r < 0) {
                close(pair[0]);
                close(pair[1]);
                return r;
        }
        line->socket = pair[0];
        ret_fds[0] = pair[1];
        return 0;
}

int provider_line_new(struct ring *ring, uint64_t block_size, int ret_fds[static 2], struct provider_line **ret) {
        struct provider_line *line = calloc(1, sizeof(*line));
        int r;

        if (!line)
                return -ENOMEM;
        *line = (struct provider_line) { .ring = ring, .area_bytes = provide_area_bytes(block_size), .block_size = block_size };
        provider_line_give_slots(line, 0, provide_n_slots(block_size));
        r = provider_line_open(line, ret_fds);
        if (r < 0) {
                free(line);
                return r;
        }
        *ret = line;
        return 0;
}

void provider_line_read(struct provider_line *line) {
        line->is_reading = true;
        chan_inbox_prepare(&line->inbox, &line->answer, sizeof(line->answer));
        ring_receive(line->ring, &line->read_op, line->socket, &line->inbox.header);
}

bool provider_line_has_answer(struct provider_line *line, int result) {
        int fds[CHAN_FDS_MAX];
        unsigned n_fds = result >= 0 ? chan_inbox_take(&line->inbox, fds) : 0;

        line->is_reading = false;
        for (unsigned i = 0; i < n_fds; i++)
                closer_close(fds[i]);
        return result == (int) sizeof(line->answer) && n_fds == 0;
}

void provider_line_free(struct provider_line *line) {
        closer_close(line->socket);
        munmap(line->area, line->area_bytes);
        free(line);
}
