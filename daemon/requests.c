/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "census.h"
#include "closing.h"
#include "fileh.h"
#include "handle.h"
#include "inject.h"
#include "pager.h"
#include "provider.h"
#include "purge.h"
#include "range.h"
#include "remap.h"
#include "request_open.h"
#include "requests.h"
#include "store.h"
#include "writeout.h"

/* The handle a request names, if it is one of that peer's. */
static struct handle *request_handle_of(struct pager *pager, const struct request *request) {
        struct handle *handle = idtable_get(&pager->handles, commons_number_id(request->msg.handle.handle)); /* every request that names one has it there */

        return handle && handle->peer == request->peer ? handle : NULL;
}

/* --- a handle ------------------------------------------------------------------------------------------------------------------------------------ */

static int request_close(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct reply_to to = request_reply_to(request);

        if (!handle)
                return -ENOENT;
        if (handle->n_mappings > 0)
                return -EBUSY;
        closing_handle(handle, &to);
        return REQUEST_TAKEN;
}

/* Whoever came from another daemon has shown all he has. */
static int request_shown(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);

        if (!handle)
                return -ENOENT;
        if (!handle->is_shown)
                handle_set_shown(handle);
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
        if (handle->fileh->is_served)
                return -EOPNOTSUPP;
        return fileh_resize(handle->fileh, request->msg.resize.size);
}

/* --- mapping ------------------------------------------------------------------------------------------------------------------------------------ */

static int request_map(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        const struct wire_map *map = &request->msg.map;
        uint64_t mask, end;
        int r;

        if (!handle)
                return -ENOENT;
        mask = handle->fileh->block_size - 1;
        end = fileh_n_blocks(handle->fileh) << handle->fileh->block_shift;
        if (map->length == 0 || (map->offset | map->length) & mask || map->address & (memory_page_size(&handle->fileh->memory) - 1) ||
            map->address > WIRE_ADDRESS_MAX || map->length > WIRE_ADDRESS_MAX)
                return -EINVAL;
        if (map->offset > end || map->length > end - map->offset)
                return -ENXIO;
        r = handle_map(handle, map->address, map->offset, map->length);
        if (r == 0)
                INJECT(REQUEST_MAPPED);
        return r;
}

static int request_unmap(struct pager *pager, struct request *request) {
        struct handle *handle = request_handle_of(pager, request);
        struct mapping *mapping = handle ? remap_find_shown(handle, request->msg.unmap.address) : NULL;

        if (!mapping)
                return -ENOENT;
        if (!mapping_is_in_place(mapping))
                return -EFAULT;
        remap_remove(handle, mapping);
        INJECT(REQUEST_UNMAPPED);
        return 0;
}

/* --- transactions ------------------------------------------------------------------------------------------------------------------------------- */

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

/* --- loading and advice ------------------------------------------------------------------------------------------------------------------------- */

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

/* --- serving ------------------------------------------------------------------------------------------------------------------------------------ */

/* The reply takes the descriptors. */
static int request_serve(struct pager *pager, struct request *request) {
        struct served *served = request->served;
        union wire_msg msg;
        int fds[3], r;

        fds[0] = fcntl(served->token, F_DUPFD_CLOEXEC, 0);
        r = fds[0] < 0 ? -errno : provider_new(pager, served, request->peer, fds + 1);
        if (r < 0) {
                if (fds[0] >= 0)
                        close(fds[0]);
                served_release(&pager->commons->served, served, request->peer);
                return r;
        }
        wire_init(&msg, WIRE_SERVE | WIRE_REPLY, request->msg.header.serial);
        pager->reply(pager, request->peer, &msg, fds, 3);
        return REQUEST_TAKEN;
}

/* --- looking and control ------------------------------------------------------------------------------------------------------------------------ */

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
        uint64_t bytes = request->msg.reclaim.bytes;
        const struct reclaim_ask ask = { .to = request_reply_to(request), .n_wanted = bytes > 0 ? bytes : UINT64_MAX };

        return request_taken(range_reclaim(pager, &ask));
}

static int request_reclaim_file(struct pager *pager, struct request *request) {
        const struct wire_reclaim_file *message = &request->msg.reclaim_file;
        struct fileh *fileh = idtable_get(&pager->filehs, commons_number_id(message->file));
        struct reply_to to = request_reply_to(request);

        if (!fileh)
                return -ENOENT;
        if (request->uid != 0 && request->uid != geteuid() && request->uid != fileh->uid)
                return -EPERM;
        return request_taken(purge_begin(fileh, message->bytes > 0 ? message->bytes : UINT64_MAX, &to));
}

static int request_report(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);

        return request_taken(census_begin(pager, (enum report_kind) request->msg.report.kind, request->uid, &to));
}

/* --- all of them -------------------------------------------------------------------------------------------------------------------------------- */

/* Each returns REQUEST_TAKEN, or what to answer: 0 or a negative errno. What is not here the main thread answers (peer_asks.c). */
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
        [WIRE_ADOPT] = request_adopt,
        [WIRE_SHOWN] = request_shown,
        [WIRE_SERVE] = request_serve,
        [WIRE_REPORT] = request_report,
        [WIRE_RECLAIM_FILE] = request_reclaim_file,
};

void requests_handle(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);
        int r;

        assert(to.id < N_WIRE_IDS && request_handlers[to.id]);
        r = request_handlers[to.id](pager, request);
        if (r != REQUEST_TAKEN)
                pager_reply_error(pager, &to, r);
        store_free(request->store);
        request->store = NULL;
}
