/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "fileh.h"
#include "mapping.h"
#include "uffd.h"

uint64_t mapping_block(const struct mapping *mapping, uint64_t address) {
        return (address - mapping->address + mapping->offset) >> mapping->fileh->block_shift;
}

uint64_t mapping_address(const struct mapping *mapping, uint64_t block) {
        return mapping->address + (block << mapping->fileh->block_shift) - mapping->offset;
}

bool mapping_shows(const struct mapping *mapping, uint64_t block) {
        uint64_t offset = block << mapping->fileh->block_shift, size = mapping->fileh->block_size;

        return offset >= mapping->offset && mapping->length >= size && offset - mapping->offset <= mapping->length - size;
}

int mapping_fill(struct mapping *mapping, uint64_t block, uint64_t n, const void *buf, enum uffd_copy how) {
        return uffd_copy(mapping->uffd, mapping_address(mapping, block), buf, n << mapping->fileh->block_shift, how);
}

int mapping_show(struct mapping *mapping, uint64_t block, uint64_t n, bool writable) {
        return uffd_continue(mapping->uffd, mapping_address(mapping, block), n << mapping->fileh->block_shift,
                             memory_page_size(&mapping->fileh->memory), !writable && !mapping->readonly);
}

bool mapping_showed_page(struct mapping *mapping, uint64_t address, bool writable) {
        uint64_t page_size = memory_page_size(&mapping->fileh->memory), page = address & ~(page_size - 1);

        if (uffd_continue_page(mapping->uffd, page, page_size, !writable && !mapping->readonly) != -EEXIST)
                return false;
        (void) uffd_wake(mapping->uffd, page, page_size);
        return true;
}

int mapping_protect(struct mapping *mapping, uint64_t first, uint64_t n, bool protect) {
        uint64_t begin = first << mapping->fileh->block_shift, end = (first + n) << mapping->fileh->block_shift;
        uint64_t mapping_end = mapping->offset + mapping->length;

        if (begin < mapping->offset)
                begin = mapping->offset;
        if (end > mapping_end)
                end = mapping_end;
        if (begin >= end || mapping->readonly)
                return 0;
        return uffd_protect(mapping->uffd, mapping->address + begin - mapping->offset, end - begin, protect);
}

void mapping_poison(struct mapping *mapping, uint64_t block) {
        struct fileh *fileh = mapping->fileh;

        if (uffd_poison(mapping->uffd, mapping_address(mapping, block), fileh->block_size, memory_page_size(&fileh->memory)) < 0)
                mapping_wake(mapping, block);
}

bool mapping_shows_run(const struct mapping *mapping, uint64_t first, uint64_t n) {
        return mapping_shows(mapping, first) && mapping_shows(mapping, first + n - 1);
}

bool mapping_is_in_place(const struct mapping *mapping) {
        return mapping->address == mapping->shown_address && mapping->length == mapping->shown_length;
}

void mapping_wake(struct mapping *mapping, uint64_t block) {
        (void) uffd_wake(mapping->uffd, mapping_address(mapping, block), mapping->fileh->block_size); /* a process that is gone waits no more */
}

void mapping_wake_waiter(struct mapping *mapping, uint64_t block, uint64_t since) {
        mapping_wake(mapping, block);
        (void) pager_record(mapping->fileh->pager, REPORT_FAULT, since);
}

void mapping_trace_fault(const struct mapping *mapping, uint64_t block, bool write, uint64_t began, uint64_t ended) {
        const struct fileh *fileh = mapping->fileh;
        struct report_event event = {
                .kind = REPORT_EVENT_FAULT,
                .duration_nsec = ended - began,
                .peer = mapping->peer,
                .file = commons_number(fileh->pager->index, fileh->id),
                .device = fileh->identity.device,
                .inode = fileh->identity.inode,
                .offset = block << fileh->block_shift,
                .is_write = write,
                .after = (uint8_t) fileh_state(fileh, block),
        };

        pager_trace(fileh->pager, &event);
}
