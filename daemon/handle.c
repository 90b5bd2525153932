/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "absent.h"
#include "claim.h"
#include "fileh.h"
#include "fileh_name.h"
#include "handle.h"
#include "pager.h"

int handle_new(struct fileh *fileh, uint64_t peer, int uffd, bool readonly, struct handle **ret) {
        struct handle *handle = calloc(1, sizeof(*handle));

        if (!handle)
                return -ENOMEM;
        *handle = (struct handle) { .peer = peer, .fileh = fileh, .uffd = uffd, .readonly = readonly, .claim_fd = -1, .is_shown = true };
        handle->id = idtable_add(&fileh->pager->handles, handle);
        if (!handle->id) {
                free(handle);
                return -ENOMEM;
        }
        fileh_ref(fileh);
        TAILQ_INSERT_TAIL(&fileh->handles, handle, entry);
        *ret = handle;
        return 0;
}

void handle_freed(struct handle *handle) {
        struct fileh *fileh = handle->fileh;

        close(handle->uffd);
        free(handle->mappings);
        free(handle);
        fileh_unref(fileh);
}

static uint64_t handle_generation(const struct handle *handle) {
        return handle->fileh->ledger.memory.header->generation;
}

void handle_expect(struct handle *handle, int memory_fd) {
        handle->is_shown = false;
        handle->fileh->n_hidden_writers += !handle->readonly;
        if (handle->fileh->is_shared)
                handle->claim_fd = memory_fd;
        else
                close(memory_fd);
}

/* What nobody shows any more is not waited for, but what its client has of it is his claim still. */
static void handle_stop_expecting(struct handle *handle) {
        if (!handle->is_shown)
                handle->fileh->n_hidden_writers -= !handle->readonly;
}

static int handle_claim(struct handle *handle) {
        handle->place = handle->fileh->n_places++;
        return claim_set_present(handle->claim_fd, !handle->readonly, handle_generation(handle), handle->place);
}

void handle_set_shown(struct handle *handle) {
        handle_stop_expecting(handle);
        handle->is_shown = true;
        if (handle->claim_fd >= 0 && handle_claim(handle) < 0)
                fileh_warning(handle->fileh, 0, "somebody holds locks on its memory: a user of it would not be missed after a restart");
        absent_wake_all(handle->fileh->pager);
}

int handle_open_memory(struct handle *handle, int *ret_fd) {
        const struct memory *memory = &handle->fileh->memory;
        int fd, r;

        if (!handle->fileh->is_shared)
                return memory_open(memory, handle->readonly, ret_fd);
        r = memory_open_anew(memory, handle->readonly, &handle->claim_fd);
        if (r < 0)
                return r;
        r = handle_claim(handle);
        if (r < 0 && !handle->readonly) /* the count of those who write must be right; a reader may do without */
                return r;
        fd = fcntl(handle->claim_fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

static void handle_end_claim(struct handle *handle, bool is_asked) {
        if (handle->claim_fd < 0)
                return;
        if (handle->is_shown && is_asked)
                claim_drop(handle->claim_fd);
        else if (handle->is_shown)
                claim_set_absent(handle->claim_fd, !handle->readonly, handle_generation(handle), handle->place);
        handle->fileh->may_miss_somebody |= !handle->is_shown || !is_asked;
        close(handle->claim_fd);
        handle->claim_fd = -1;
}

void handle_close(struct handle *handle, bool is_asked) {
        struct pager *pager = handle->fileh->pager;

        assert(handle->n_mappings == 0);
        handle_end_claim(handle, is_asked);
        handle_stop_expecting(handle);
        absent_wake_all(pager);
        TAILQ_REMOVE(&handle->fileh->handles, handle, entry);
        idtable_remove(&pager->handles, handle->id);
        handle->is_closed = true;
        if (handle->is_reading)
                ring_cancel(pager->ring, &handle->read_op);
        else
                handle_freed(handle);
}

/* The number of mappings that begin at or before the address. */
static unsigned handle_search(const struct handle *handle, uint64_t address) {
        unsigned low = 0, high = handle->n_mappings;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;

                if (handle->mappings[middle]->address <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct mapping *handle_find(const struct handle *handle, uint64_t address) {
        unsigned i = handle_search(handle, address);

        if (i == 0 || address - handle->mappings[i - 1]->address >= handle->mappings[i - 1]->length)
                return NULL;
        return handle->mappings[i - 1];
}

static bool handle_overlaps(const struct handle *handle, uint64_t address, uint64_t length) {
        unsigned i = handle_search(handle, address);

        return handle_find(handle, address) || (i < handle->n_mappings && handle->mappings[i]->address - address < length);
}

int handle_map(struct handle *handle, uint64_t address, uint64_t offset, uint64_t length) {
        unsigned i = handle_search(handle, address);
        struct mapping **mappings, *mapping;

        if (handle_overlaps(handle, address, length))
                return -EEXIST;
        if ((handle->n_mappings & (handle->n_mappings - 1)) == 0) { /* the table doubles at 0, 1, 2, 4, … */
                mappings = reallocarray(handle->mappings, handle->n_mappings ? handle->n_mappings * 2 : 1, sizeof(struct mapping *));
                if (!mappings)
                        return -ENOMEM;
                handle->mappings = mappings;
        }
        mapping = malloc(sizeof(*mapping));
        if (!mapping)
                return -ENOMEM;
        *mapping = (struct mapping) {
                .fileh = handle->fileh,
                .peer = handle->peer,
                .pid = handle->pid,
                .uffd = handle->uffd,
                .readonly = handle->readonly,
                .address = address,
                .offset = offset,
                .length = length,
                .shown_address = address,
                .shown_length = length,
        };
        memmove(handle->mappings + i + 1, handle->mappings + i, (handle->n_mappings - i) * sizeof(struct mapping *));
        handle->mappings[i] = mapping;
        handle->n_mappings++;
        pager_count(handle->fileh->pager, COUNTER_MAPPINGS, 1);
        return 0;
}

void handle_unmap(struct handle *handle, struct mapping *mapping) {
        unsigned i = handle_search(handle, mapping->address) - 1;

        assert(handle->mappings[i] == mapping);
        handle->n_mappings--;
        memmove(handle->mappings + i, handle->mappings + i + 1, (handle->n_mappings - i) * sizeof(struct mapping *));
        free(mapping);
        pager_count(handle->fileh->pager, COUNTER_MAPPINGS, -1);
}

static bool handle_is_gone(int error) {
        return error == -ESRCH || error == -ENOENT; /* no process, or no such range in it: nobody can write there */
}

int handles_protect(struct fileh *fileh, uint64_t first, uint64_t n, bool protect) {
        struct pager *pager = fileh->pager;
        struct handle *handle, *failed = NULL;
        int error = 0;

        TAILQ_FOREACH(handle, &fileh->handles, entry)
                for (unsigned i = 0; !handle->readonly && i < handle->n_mappings; i++) {
                        int r = mapping_protect(handle->mappings[i], first, n, protect);

                        if (r < 0 && !handle_is_gone(r)) {
                                failed = handle;
                                error = r;
                        }
                }
        if (failed)
                pager->drop_peer(pager, failed->peer, protect ? "its memory cannot be write-protected" : "its memory cannot be un-protected");
        return error;
}
