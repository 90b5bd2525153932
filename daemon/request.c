/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "closing.h"
#include "fault.h"
#include "fileh.h"
#include "handle.h"
#include "pager.h"
#include "range.h"
#include "request.h"
#include "store_file.h"
#include "writeout.h"

/* Returned by those that will be answered, or have been. */
#define REQUEST_TAKEN 1

static struct reply_to request_reply_to(const struct request *request) {
        return (struct reply_to) { .peer = request->peer, .serial = request->msg.header.serial, .id = request->msg.header.id };
}

/* The handle a request names, if it is one of that peer's. */
static struct handle *request_handle_of(struct pager *pager, const struct request *request) {
        struct handle *handle = idtable_get(&pager->handles, request->msg.handle.handle); /* every request that names one has it there */

        return handle && handle->peer == request->peer ? handle : NULL;
}

static int request_taken(int r) {
        return r < 0 ? r : REQUEST_TAKEN;
}

/* --- opening and closing -------------------------------------------------------------------------------------------------------------------------- */

static bool request_block_size_is_valid(uint64_t block_size, bool huge) {
        if (huge)
                return block_size == WIRE_BLOCK_MAX;
        return block_size >= WIRE_BLOCK_MIN && block_size <= WIRE_BLOCK_MAX && (block_size & (block_size - 1)) == 0;
}

static int request_open_fileh(struct pager *pager, struct request *request, const struct fileh_params *params, struct fileh **ret) {
        struct fileh *fileh = params->is_shared ? fileh_find_shared(pager, params) : NULL;
        int r;

        if (!fileh) {
                r = fileh_new(pager, params, ret);
                if (r == 0)
                        request->file_fd = -1;
                return r;
        }
        if (params->size > fileh->size && params->is_writable) {
                r = fileh_resize(fileh, params->size);
                if (r < 0)
                        return r;
        }
        if (params->is_writable) {
                store_file_add_writer(fileh->store, request->file_fd);
                request->file_fd = -1;
                fileh->has_writer = true;
                fileh->uid = params->uid;
        }
        fileh_ref(fileh);
        *ret = fileh;
        return 0;
}

static int request_answer_open(struct pager *pager, const struct request *request, const struct handle *handle) {
        const struct fileh *fileh = handle->fileh;
        union wire_msg msg;
        int fds[2], r;

        r = memory_open(&fileh->memory, handle->readonly, &fds[0]);
        if (r < 0)
                return r;
        r = ledger_file_open(&fileh->ledger, &fds[1]);
        if (r < 0) {
                close(fds[0]);
                return r;
        }
        wire_init(&msg, WIRE_OPEN | WIRE_REPLY, request->msg.header.serial);
        msg.open_reply.handle = handle->id;
        msg.open_reply.size = fileh->size;
        pager->reply(pager, request->peer, &msg, fds, 2);
        return 0;
}

static int request_open_handle(struct pager *pager, struct request *request, struct fileh *fileh, bool readonly) {
        struct handle *handle;
        int r;

        r = handle_new(fileh, request->peer, request->uffd, readonly, &handle);
        if (r < 0)
                return r;
        request->uffd = -1;
        r = request_answer_open(pager, request, handle);
        if (r < 0) {
                closing_handle(handle);
                return r;
        }
        fault_listen(handle);
        return REQUEST_TAKEN;
}

static int request_open(struct pager *pager, struct request *request) {
        const struct wire_open *open = &request->msg.open;
        struct fileh_params params = {
                .identity = { request->device, request->inode },
                .uid = request->uid,
                .is_shared = open->header.flags & WIRE_OPEN_SHARED,
                .is_huge = open->header.flags & WIRE_OPEN_HUGE,
                .is_writable = !(open->header.flags & WIRE_OPEN_READONLY),
                .size = open->size,
                .block_size = open->block_size,
                .fd = request->file_fd,
        };
        struct fileh *fileh;
        int r;

        if (!request_block_size_is_valid(params.block_size, params.is_huge) || params.size > WIRE_FILE_MAX)
                return -EINVAL;
        r = request_open_fileh(pager, request, &params, &fileh);
        if (r < 0)
                return r;
        r = request_open_handle(pager, request, fileh, !params.is_writable);
        fileh_unref(fileh);
        return r;
}

static int request_close(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);

        if (!handle)
                return -ENOENT;
        if (handle->n_mappings > 0)
                return -EBUSY;
        closing_handle(handle);
        return 0;
}

static int request_resize(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);

        if (!handle)
                return -ENOENT;
        if (handle->readonly)
                return -EBADF;
        if (request->msg.resize.size > WIRE_FILE_MAX)
                return -EINVAL;
        return fileh_resize(handle->fileh, request->msg.resize.size);
}

/* --- mapping -------------------------------------------------------------------------------------------------------------------------------------- */

static int request_map(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        const struct wire_map *map = &request->msg.map;
        uint64_t mask, end;

        if (!handle)
                return -ENOENT;
        mask = handle->fileh->block_size - 1;
        end = fileh_n_blocks(handle->fileh) << handle->fileh->block_shift;
        if (map->length == 0 || (map->offset | map->length) & mask || map->address & (memory_page_size(&handle->fileh->memory) - 1) ||
            map->address > WIRE_ADDRESS_MAX || map->length > WIRE_ADDRESS_MAX)
                return -EINVAL;
        if (map->offset > end || map->length > end - map->offset)
                return -ENXIO;
        return handle_map(handle, map->address, map->offset, map->length);
}

static int request_unmap(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct mapping *mapping = handle ? handle_find(handle, request->msg.unmap.address) : NULL;

        if (!mapping || mapping->address != request->msg.unmap.address)
                return -ENOENT;
        closing_mapping(handle, mapping);
        return 0;
}

/* --- transactions --------------------------------------------------------------------------------------------------------------------------------- */

static int request_writeout(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct reply_to to = request_reply_to(request);
        unsigned flags = request->msg.header.flags;

        if (!handle)
                return -ENOENT;
        if (!(flags & (WIRE_WRITEOUT_STORE | WIRE_WRITEOUT_MARKSTORED)) || (flags & WIRE_WRITEOUT_SYNC && !(flags & WIRE_WRITEOUT_STORE)))
                return -EINVAL;
        if (handle->readonly)
                return -EBADF;
        return request_taken(writeout_new(handle->fileh, flags, &to));
}

static int request_discard(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct reply_to to = request_reply_to(request);

        if (!handle)
                return -ENOENT;
        if (handle->readonly) /* what others wrote is not its to undo */
                return 0;
        return request_taken(range_discard(handle->fileh, &to));
}

/* Bytes to blocks: from the one that offset lies in to the one behind the last. */
static void request_blocks(const struct fileh *fileh, const struct wire_range *range, uint64_t *ret_first, uint64_t *ret_end) {
        uint64_t end = range->length > UINT64_MAX - range->offset ? UINT64_MAX : range->offset + range->length;

        *ret_first = range->offset >> fileh->block_shift;
        *ret_end = range->length == 0 ? *ret_first : ((end - 1) >> fileh->block_shift) + 1;
}

static int request_invalidate(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct reply_to to = request_reply_to(request);
        uint64_t first, end;

        if (!handle)
                return -ENOENT;
        request_blocks(handle->fileh, &request->msg.range, &first, &end);
        return request_taken(range_drop(handle->fileh, first, end, handle->readonly ? RANGE_ALL_BUT_DIRTY : RANGE_ALL, &to));
}

/* --- loading and advice --------------------------------------------------------------------------------------------------------------------------- */

static int request_load(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        const struct wire_range *range = &request->msg.range;
        struct reply_to to = request_reply_to(request);
        uint64_t first, end;

        if (!handle)
                return -ENOENT;
        if (range->offset > handle->fileh->size || range->length > handle->fileh->size - range->offset)
                return -ENXIO;
        request_blocks(handle->fileh, range, &first, &end);
        return request_taken(range_load(handle->fileh, first, end, &to));
}

static int request_advise(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct reply_to to = request_reply_to(request);
        uint64_t first, end;

        if (!handle)
                return -ENOENT;
        if (request->msg.range.advice >= N_WIRE_ADVICES)
                return -EINVAL;
        request_blocks(handle->fileh, &request->msg.range, &first, &end);
        switch ((enum wire_advice) request->msg.range.advice) {
        case WIRE_ADVICE_WILLNEED:
                return range_prefetch(handle->fileh, first, end);
        case WIRE_ADVICE_DONTNEED:
                return request_taken(range_drop(handle->fileh, first, end, RANGE_CLEAN, &to));
        default:
                handle->fileh->advice = (enum wire_advice) request->msg.range.advice;
                return 0;
        }
}

/* --- looking and control -------------------------------------------------------------------------------------------------------------------------- */

static int request_stat(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        const struct fileh *fileh = handle ? handle->fileh : NULL;
        union wire_msg msg;

        if (!handle)
                return -ENOENT;
        wire_init(&msg, WIRE_STAT | WIRE_REPLY, request->msg.header.serial);
        msg.stat_reply.size = fileh->size;
        msg.stat_reply.block_size = fileh->block_size;
        msg.stat_reply.resident_bytes = fileh->n_resident << fileh->block_shift;
        msg.stat_reply.dirty_bytes = (uint64_t) (fileh->dirty.n + fileh->storing.n) << fileh->block_shift;
        msg.stat_reply.loads = fileh->n_loads;
        msg.stat_reply.stores = fileh->n_stores;
        msg.stat_reply.evictions = fileh->n_evictions;
        msg.stat_reply.faults = fileh->n_faults;
        pager->reply(pager, request->peer, &msg, NULL, 0);
        return REQUEST_TAKEN;
}

static int request_reclaim(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);

        return request_taken(range_reclaim(pager, request->msg.reclaim.bytes, &to));
}

/* --- all of them ---------------------------------------------------------------------------------------------------------------------------------- */

/* Each returns REQUEST_TAKEN, or what to answer: 0 or a negative errno. HELLO and POOL_STAT are answered by the server. */
static int (*const request_handlers[N_WIRE_IDS])(struct pager *pager, struct request *request) = {
        [WIRE_OPEN] = request_open,
        [WIRE_CLOSE] = request_close,
        [WIRE_MAP] = request_map,
        [WIRE_UNMAP] = request_unmap,
        [WIRE_RESIZE] = request_resize,
        [WIRE_WRITEOUT] = request_writeout,
        [WIRE_DISCARD] = request_discard,
        [WIRE_INVALIDATE] = request_invalidate,
        [WIRE_LOAD] = request_load,
        [WIRE_ADVISE] = request_advise,
        [WIRE_STAT] = request_stat,
        [WIRE_RECLAIM] = request_reclaim,
};

void request_handle(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);
        int r;

        assert(to.id < N_WIRE_IDS && request_handlers[to.id]);
        r = request_handlers[to.id](pager, request);
        if (r != REQUEST_TAKEN)
                pager_reply_error(pager, &to, r);
}

void request_fini(struct request *request) {
        if (request->file_fd >= 0)
                close(request->file_fd);
        if (request->uffd >= 0)
                close(request->uffd);
        request->file_fd = request->uffd = -1;
}
