/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "api.h"
#include "errmsg.h"
#include "ledger_read.h"
#include "map.h"
#include "mutant.h"
#include "process.h"
#include "uffd.h"

static int map_check_protection(const struct bf_fileh *fileh, int prot) {
        if (prot != PROT_READ && prot != (PROT_READ | PROT_WRITE))
                return errmsg_set(-EINVAL, "cannot map %s: the protection must be PROT_READ or PROT_READ | PROT_WRITE", fileh->name);
        if (prot & PROT_WRITE && fileh->is_readonly)
                return errmsg_set(-EACCES, "cannot map %s for writing: it was opened read-only (open it with O_RDWR)", fileh->name);
        return 0;
}

/* Judges the window asked for, and rounds its length up to whole blocks. */
static int map_check_window(const struct bf_fileh *fileh, uint64_t offset, size_t length, size_t *ret_length) {
        uint64_t size, end, file_end;
        int r;

        if (offset & (fileh->block_size - 1))
                return errmsg_set(-EINVAL, "cannot map %s: offset %" PRIu64 " is off a block boundary (blocks have %" PRIu64 " bytes)", fileh->name,
                                  offset, fileh->block_size);
        if (length == 0)
                return errmsg_set(-EINVAL, "cannot map %s: the length is 0", fileh->name);
        r = ledger_read_size(fileh->ledger, &size);
        if (r < 0)
                return fileh_fail(fileh, r, NULL, "map");
        file_end = (size + fileh->block_size - 1) & ~(fileh->block_size - 1);
        if (__builtin_add_overflow(offset, length, &end) || end > file_end)
                return errmsg_set(-ENXIO, "cannot map %zu bytes at %" PRIu64 " of %s: beyond the end of the file (%" PRIu64 " bytes)", length, offset,
                                  fileh->name, size);
        end = (end + fileh->block_size - 1) & ~(fileh->block_size - 1);
        *ret_length = (size_t) (end - offset);
        return 0;
}

/*
 * The memory of the mapping, registered, so that no touch of it goes unseen. The kernel registers no shared mapping of a read-only descriptor, but a
 * private one, which shows the same pages as long as nobody can write to it.
 * A forked child does not get it: nobody would see its touches. Neither does a core dump, which would visit every page of a file larger than RAM.
 */
static int mapping_map(struct mapping *mapping, int prot) {
        struct bf_fileh *fileh = mapping->fileh;
        int flags = MAP_NORESERVE | (fileh->is_readonly ? MAP_PRIVATE : MAP_SHARED), r = 0;
        void *address;

        address = mmap(NULL, mapping->length, prot, flags, fileh->memory, (off_t) mapping->offset);
        if (address == MAP_FAILED)
                return -errno;
        if (BF_MUTANT != MUTANT_NO_DONTFORK && madvise(address, mapping->length, MADV_DONTFORK) < 0)
                r = -errno;
        if (r == 0)
                r = uffd_register(fileh->uffd, address, mapping->length, !fileh->is_readonly);
        if (r < 0) {
                munmap(address, mapping->length);
                return r;
        }
        (void) madvise(address, mapping->length, MADV_DONTDUMP);
        mapping->address = address;
        return 0;
}

static int mapping_enter_registry(struct mapping *mapping) {
        const struct registry_entry entry = {
                .process = process_id(),
                .address = (uintptr_t) mapping->address,
                .length = mapping->length,
                .offset = mapping->offset,
                .block_size = mapping->fileh->block_size,
                .owner = mapping,
                .ledger = mapping->fileh->ledger,
        };

        return registry_add(&entry, &mapping->slot);
}

static int mapping_announce(const struct mapping *mapping) {
        struct call call;
        int r;

        fileh_begin_call(mapping->fileh, WIRE_MAP, &call);
        call.msg.map.address = (uintptr_t) mapping->address;
        call.msg.map.offset = mapping->offset;
        call.msg.map.length = mapping->length;
        r = session_call(mapping->fileh->session, &call);
        return r == -EEXIST ? 0 : r; /* the kernel gave this range to no other mapping: another daemon was shown this one already */
}

/* After this the daemon does nothing to the range any more. */
static int mapping_withdraw(struct mapping *mapping) {
        struct call call;
        int r;

        mapping_set_leaving(mapping, true);
        fileh_begin_call(mapping->fileh, WIRE_UNMAP, &call);
        call.msg.unmap.address = (uintptr_t) mapping->address;
        r = session_call(mapping->fileh->session, &call);
        mapping->has_moved = r == -EFAULT;
        return r;
}

/* Tells the daemon of a mapping that is complete on this side. It is in the list before: another daemon is to learn of it, too. */
static int mapping_publish(struct mapping *mapping) {
        int r;

        r = fileh_link_mapping(mapping->fileh, mapping);
        if (r < 0)
                return r;
        r = mapping_announce(mapping);
        if (r < 0) {
                (void) mapping_withdraw(mapping); /* another daemon may have had room for it */
                fileh_unlink_mapping(mapping->fileh, mapping);
        }
        return r;
}

static const char *map_hint(int r) {
        return r == -EUSERS ? "its clients have as many mappings as they may have together: see --uid-mappings of bigfiled" : NULL;
}

static int mapping_new(struct bf_fileh *fileh, uint64_t offset, size_t length, int prot, struct mapping **ret) {
        struct mapping *mapping;
        int r;

        mapping = calloc(1, sizeof(*mapping));
        if (!mapping)
                return -ENOMEM;
        *mapping = (struct mapping) { .fileh = fileh, .length = length, .offset = offset };
        r = mapping_map(mapping, prot);
        if (r < 0)
                goto free_mapping;
        r = mapping_enter_registry(mapping);
        if (r < 0)
                goto unmap;
        r = mapping_publish(mapping);
        if (r < 0)
                goto leave_registry;
        *ret = mapping;
        return 0;

leave_registry:
        registry_remove(mapping->slot);
unmap:
        munmap(mapping->address, length);
free_mapping:
        free(mapping);
        return r;
}

int bf_mmap(struct bf_fileh *fileh, uint64_t offset, size_t length, int prot, void **ret) {
        API_CALL;
        struct mapping *mapping = NULL;
        int r;

        r = fileh_check(fileh);
        if (r < 0)
                return r;
        r = map_check_protection(fileh, prot);
        if (r < 0)
                return r;
        r = map_check_window(fileh, offset, length, &length);
        if (r < 0)
                return r;
        r = mapping_new(fileh, offset, length, prot, &mapping);
        if (r < 0)
                return fileh_fail(fileh, r, map_hint(r), "map");
        *ret = mapping->address;
        return 0;
}

/*
 * All under the lock: while the daemon is gone the keeper answers faults in this range, and must not once other memory may be in its place; and as
 * soon as the mapping is off the list, bf_close() may free the handle. The registry may have two entries for a moment, as another thread can map the
 * same range once it is free: this one is claimed, and so out of its way.
 */
static int mapping_unmap(struct mapping *mapping, bool may_fail) {
        struct bf_fileh *fileh = mapping->fileh;
        int r;

        pthread_mutex_lock(&fileh->lock);
        r = !mapping->has_moved && munmap(mapping->address, mapping->length) < 0 && may_fail ? -errno : 0;
        if (r == 0) {
                registry_remove(mapping->slot);
                uffd_wake(fileh->uffd, mapping->address, mapping->length);
                LIST_REMOVE(mapping, entry);
        }
        pthread_mutex_unlock(&fileh->lock);
        if (r == 0)
                free(mapping);
        return r;
}

void mapping_discard(struct mapping *mapping) {
        (void) mapping_withdraw(mapping);
        (void) mapping_unmap(mapping, false);
}

/* The daemon has forgotten the mapping, or is about to. */
static bool map_is_withdrawn(int r) {
        return r == 0 || r == -ENOENT || r == -ENOTCONN || r == -ESHUTDOWN;
}

/* munmap(2) fails for a piece in the middle of what the kernel has joined, if the process has as many pieces of memory as it may: then the daemon
 * has to know the mapping again, and who touched it meanwhile to ask again. */
static int mapping_remove(struct mapping *mapping) {
        int r;

        r = mapping_withdraw(mapping);
        if (!map_is_withdrawn(r)) {
                mapping_set_leaving(mapping, false);
                return r;
        }
        r = mapping_unmap(mapping, true);
        if (r < 0) {
                mapping_set_leaving(mapping, false);
                (void) mapping_announce(mapping);
                uffd_wake(mapping->fileh->uffd, mapping->address, mapping->length);
        }
        return r;
}

static const char *map_hint_unmap(int r) {
        switch (r) {
        case -ENOMEM:
                return "see vm.max_map_count";
        case -EFAULT:
                return "it, or a part of it, was moved by mremap: move it back first";
        default:
                return NULL;
        }
}

int bf_munmap(void *addr) {
        API_CALL;
        struct mapping *mapping;
        void *owner;
        int r;

        r = registry_claim((uintptr_t) addr, &owner);
        if (r == -ENOTCONN)
                return errmsg_set(r, "cannot unmap %p: it is a mapping of the process that forked this one", addr);
        if (r < 0)
                return errmsg_set(r, "cannot unmap %p: no mapping begins there", addr);
        mapping = owner;
        r = mapping_remove(mapping);
        if (r < 0) {
                registry_unclaim(mapping->slot);
                return fileh_fail(mapping->fileh, r, map_hint_unmap(r), "unmap a mapping of");
        }
        return 0;
}
