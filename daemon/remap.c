/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>

#include "ahead.h"
#include "fileh.h"
#include "load.h"
#include "quota.h"
#include "remap.h"

/* Pieces of one handle: each move of a part makes up to two more. */
#define REMAP_PIECES_MAX WIRE_MAPPINGS_MAX

void remap_remove(struct handle *handle, struct mapping *mapping) {
        ahead_forget_mapping(handle->fileh, mapping);
        load_forget_mapping(handle->fileh, mapping);
        quota_forget_mapping(handle->fileh->pager, mapping);
        handle_unmap(handle, mapping);
}

struct remap_piece {
        uint64_t address;
        uint64_t offset;
        uint64_t length;
        uint64_t shown_address;
        uint64_t shown_length;
};

static struct remap_piece remap_part(const struct mapping *mapping, uint64_t begin, uint64_t end) {
        return (struct remap_piece) {
                .address = begin,
                .offset = mapping->offset + (begin - mapping->address),
                .length = end - begin,
                .shown_address = mapping->shown_address,
                .shown_length = mapping->shown_length,
        };
}

static int remap_add(struct handle *handle, const struct remap_piece *piece) {
        struct mapping *mapping;
        int r;

        if (piece->length == 0)
                return 0;
        if (handle->n_mappings >= REMAP_PIECES_MAX)
                return -E2BIG;
        r = handle_map(handle, piece->address, piece->offset, piece->length);
        if (r < 0)
                return r;
        mapping = handle_find(handle, piece->address);
        mapping->shown_address = piece->shown_address;
        mapping->shown_length = piece->shown_length;
        return 0;
}

/* Takes the part of a mapping that lies in the range out of it; what is left stays. Whoever waits in any of it asks again. */
static int remap_cut(struct handle *handle, struct mapping *mapping, uint64_t begin, uint64_t end, struct remap_piece *ret_cut) {
        uint64_t mapping_end = mapping->address + mapping->length;
        struct remap_piece before, after;
        int r;

        begin = begin > mapping->address ? begin : mapping->address;
        end = end < mapping_end ? end : mapping_end;
        before = remap_part(mapping, mapping->address, begin);
        *ret_cut = remap_part(mapping, begin, end);
        after = remap_part(mapping, end, mapping_end);
        (void) uffd_wake(handle->uffd, mapping->address, mapping->length);
        remap_remove(handle, mapping);
        r = remap_add(handle, &before);
        if (r == 0)
                r = remap_add(handle, &after);
        return r;
}

/* The first mapping that has something in the range, or NULL. */
static struct mapping *remap_find(const struct handle *handle, uint64_t begin, uint64_t end) {
        for (unsigned i = 0; i < handle->n_mappings; i++) {
                struct mapping *mapping = handle->mappings[i];

                if (mapping->address < end && mapping->address + mapping->length > begin)
                        return mapping;
        }
        return NULL;
}

/* The kernel has unmapped what was there. */
static int remap_clear(struct handle *handle, uint64_t begin, uint64_t end) {
        struct remap_piece gone;
        struct mapping *mapping;
        int r = 0;

        while (r == 0 && (mapping = remap_find(handle, begin, end)))
                r = remap_cut(handle, mapping, begin, end, &gone);
        return r;
}

static bool remap_is_continued(const struct mapping *a, const struct mapping *b) {
        return a->address + a->length == b->address && a->offset + a->length == b->offset && a->shown_address == b->shown_address;
}

/* Pieces that lie side by side again become one: a mapping that is moved back is as it was. */
static void remap_join(struct handle *handle) {
        for (unsigned i = 0; i + 1 < handle->n_mappings;) {
                struct mapping *first = handle->mappings[i], *second = handle->mappings[i + 1];
                uint64_t length = first->length + second->length;

                if (!remap_is_continued(first, second)) {
                        i++;
                        continue;
                }
                (void) uffd_wake(handle->uffd, second->address, second->length);
                remap_remove(handle, second);
                first->length = length;
        }
}

static int remap_move(struct handle *handle, const struct uffd_move *move) {
        uint64_t from = move->from, end = move->from + move->length;
        struct mapping *mapping;
        int r;

        r = remap_clear(handle, move->to, move->to + move->length);
        while (r == 0 && (mapping = remap_find(handle, from, end))) {
                struct remap_piece piece;

                r = remap_cut(handle, mapping, from, end, &piece);
                piece.address = piece.address - from + move->to;
                if (r == 0)
                        r = remap_add(handle, &piece);
        }
        return r;
}

int remap_follow(struct handle *handle, const struct uffd_move *move) {
        int r;

        handle->has_moved = true;
        r = remap_move(handle, move);
        if (r < 0)
                return r;
        remap_join(handle);
        return 0;
}

struct mapping *remap_find_shown(const struct handle *handle, uint64_t address) {
        struct mapping *mapping = handle_find(handle, address);

        if (mapping && mapping->shown_address == address)
                return mapping;
        for (unsigned i = 0; handle->has_moved && i < handle->n_mappings; i++)
                if (handle->mappings[i]->shown_address == address)
                        return handle->mappings[i];
        return NULL;
}
