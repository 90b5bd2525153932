/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "absent.h"
#include "adopt.h"
#include "census.h"
#include "closing.h"
#include "fileh.h"
#include "fileh_new.h"
#include "handle.h"
#include "inject.h"
#include "opening.h"
#include "pager.h"
#include "provider.h"
#include "range.h"
#include "remap.h"
#include "request.h"
#include "store.h"
#include "store_nbd.h"
#include "writeout.h"

/* Returned by those that will be answered, or have been. */
#define REQUEST_TAKEN 1

static struct reply_to request_reply_to(const struct request *request) {
        return (struct reply_to) { .peer = request->peer, .serial = request->msg.header.serial, .id = request->msg.header.id };
}

/* The handle a request names, if it is one of that peer's. */
static struct handle *request_handle_of(struct pager *pager, const struct request *request) {
        struct handle *handle = idtable_get(&pager->handles, commons_number_id(request->msg.handle.handle)); /* every request that names one has it there */

        return handle && handle->peer == request->peer ? handle : NULL;
}

static int request_taken(int r) {
        return r < 0 ? r : REQUEST_TAKEN;
}

/* --- opening and closing ------------------------------------------------------------------------------------------------------------------------ */

static bool request_block_size_is_valid(uint64_t block_size, bool huge) {
        if (huge)
                return block_size == WIRE_BLOCK_MAX;
        return block_size >= WIRE_BLOCK_MIN && block_size <= WIRE_BLOCK_MAX && (block_size & (block_size - 1)) == 0;
}

/* The fileh gets a second user. */
static int request_join(struct request *request, struct fileh *fileh, const struct fileh_params *params) {
        const struct store_fds fds = { request->file_fd, request->direct_fd };
        int r;

        if (!params->is_writable)
                return 0;
        r = params->size > fileh->size ? fileh_resize(fileh, params->size) : 0;
        if (r == 0)
                r = fileh_set_writer(fileh, params->uid);
        if (r < 0)
                return r;
        r = store_add_writer(fileh->store, &fds);
        if (r < 0)
                return r;
        request->file_fd = request->direct_fd = -1;
        if (params->memory_fd >= 0)
                store_settle(fileh->store);
        return 0;
}

static int request_new_fileh(struct pager *pager, struct request *request, const struct fileh_params *params, struct fileh **ret) {
        struct fileh *fileh;
        int r;

        r = fileh_new(pager, params, &fileh);
        if (r < 0)
                return r;
        if (params->store)
                request->store = NULL;
        else
                request->file_fd = request->direct_fd = -1;
        if (params->memory_fd >= 0)
                r = adopt_new(fileh);
        else
                opening_begin(fileh);
        if (r < 0) {
                fileh_unref(fileh);
                return r;
        }
        *ret = fileh;
        return 0;
}

/* The fileh is held by the caller. */
static int request_open_handle(struct request *request, struct fileh *fileh, const struct fileh_params *params) {
        struct reply_to to = request_reply_to(request);
        struct handle *handle;
        int r;

        r = handle_new(fileh, request->peer, request->uffd, !params->is_writable, &handle);
        if (r < 0)
                return r;
        request->uffd = -1;
        if (request->memory_fd >= 0) {
                handle_expect(handle, request->memory_fd);
                request->memory_fd = -1;
        }
        return request_taken(opening_handle(handle, &to));
}

/* found: the fileh to join, or NULL. */
static int request_open_with(struct pager *pager, struct request *request, struct fileh *found, const struct fileh_params *params) {
        struct fileh *fileh = found;
        int r;

        if (found)
                fileh_ref(found);
        r = found ? request_join(request, found, params) : request_new_fileh(pager, request, params, &fileh);
        if (r == 0)
                r = request_open_handle(request, fileh, params);
        if (fileh)
                fileh_unref(fileh);
        return r;
}

/* What a process serves has the size that it says. */
static bool request_fits_served(const struct served *served, const struct wire_open *open) {
        return !served || (open->size == served->about.size && served_fits(served, open->block_size));
}

/* False: the fields are out of their range. */
static bool request_open_params(const struct request *request, struct fileh_params *ret) {
        const struct wire_open *open = &request->msg.open;

        *ret = (struct fileh_params) {
                .identity = request->identity,
                .route = request->route,
                .served = request->served,
                .uid = request->uid,
                .is_shared = open->header.flags & WIRE_OPEN_SHARED,
                .is_huge = open->header.flags & WIRE_OPEN_HUGE,
                .is_writable = !(open->header.flags & WIRE_OPEN_READONLY),
                .size = open->size,
                .block_size = open->block_size,
                .fd = request->file_fd,
                .direct_fd = request->direct_fd,
                .is_direct_refused = request->is_direct_refused,
                .memory_fd = -1,
                .ledger_fd = -1,
                .spill_fd = -1,
        };
        return request_block_size_is_valid(ret->block_size, ret->is_huge) && ret->size <= WIRE_FILE_MAX && request_fits_served(request->served, open);
}

/* An OPEN of a shared file whose users have not come back yet is handled again and again, until one is back or they are not waited for any more; one of a file that
 * the daemon connects to, when that is done. */
struct request_hold {
        struct job job;
        struct absent_waiter waiter;
        TAILQ_ENTRY(request_hold) entry; /* pager->holds -> hold->entry */
        struct pager *pager;
        struct request request;
        bool is_forgotten; /* its peer is gone */
};

static enum job_result request_hold_step(struct job *job) {
        struct request_hold *hold = (struct request_hold *) job;
        struct pager *pager = hold->pager;
        struct reply_to to = request_reply_to(&hold->request);
        int fds[WIRE_FDS_MAX];

        absent_forget(pager, &hold->waiter);
        TAILQ_REMOVE(&pager->holds, hold, entry);
        if (hold->is_forgotten)
                pager_reply_error(pager, &to, -ECANCELED); /* nobody hears it, but each request has one */
        else
                request_handle(pager, &hold->request); /* it may come to be held again */
        for (unsigned i = request_take_fds(&hold->request, fds); i > 0; i--)
                ring_close(pager->ring, fds[i - 1]);
        request_release(pager->commons, &hold->request);
        free(hold);
        return JOB_DONE;
}

/* Takes all that the request owns. What it waits for wakes its job. NULL: no memory. */
static struct request_hold *request_hold(struct pager *pager, struct request *request) {
        struct request_hold *hold = calloc(1, sizeof(*hold));

        if (!hold)
                return NULL;
        *hold = (struct request_hold) { .job = { .step = request_hold_step }, .pager = pager, .request = *request };
        request->file_fd = request->uffd = request->direct_fd = -1;
        request->route = NULL;
        request->store = NULL;
        request->served = NULL;
        TAILQ_INSERT_TAIL(&pager->holds, hold, entry);
        return hold;
}

static int request_await_absent(struct pager *pager, struct request *request) {
        struct request_hold *hold = request_hold(pager, request);

        if (!hold)
                return -ENOMEM;
        absent_wait(pager, &hold->waiter, &hold->job);
        return REQUEST_TAKEN;
}

static int request_await_store(struct pager *pager, struct request *request) {
        struct request_hold *hold = request_hold(pager, request);

        if (!hold)
                return -ENOMEM;
        store_nbd_await(hold->request.store, &hold->job);
        return REQUEST_TAKEN;
}

static void request_hold_forget(struct request_hold *hold) {
        hold->is_forgotten = true;
        job_wake(&hold->pager->jobs, &hold->job);
}

void request_forget(struct pager *pager, uint64_t peer) {
        struct request_hold *hold;

        TAILQ_FOREACH(hold, &pager->holds, entry)
                if (hold->request.peer == peer)
                        request_hold_forget(hold);
}

void request_forget_all(struct pager *pager) {
        struct request_hold *hold;

        TAILQ_FOREACH(hold, &pager->holds, entry)
                request_hold_forget(hold);
}

static bool request_is_named(const struct request *request) {
        return request->msg.header.flags & WIRE_OPEN_NAMED;
}

static int request_connect(struct pager *pager, struct request *request, struct fileh_params *params) {
        struct store_nbd_params store_params = {
                .uri_fd = request->file_fd,
                .may_read_files = request->may_read_files,
                .is_writable = params->is_writable,
                .is_adopted = params->memory_fd >= 0,
                .size_min = params->memory_fd >= 0 ? params->size : 0,
        };
        int r = request->store ? 0 : store_nbd_new(pager, &store_params, &request->store);

        params->store = request->store;
        return r;
}

/* The size is known when it is connected. 0; or REQUEST_TAKEN: it is not yet. */
static int request_open_store(struct pager *pager, struct request *request, struct fileh_params *params) {
        int r = request_connect(pager, request, params);

        if (r == 0)
                r = store_nbd_look(request->store, params->block_size, &params->size);
        return r == -EINPROGRESS ? request_await_store(pager, request) : r;
}

static int request_open(struct pager *pager, struct request *request) {
        struct fileh_params params;
        struct fileh *found;
        int r = 0;

        if (!request_open_params(request, &params))
                return -EINVAL;
        found = params.is_shared ? fileh_find_shared(pager, &params) : NULL;
        if (!found && fileh_is_awaited(pager, &params))
                return request_await_absent(pager, request);
        if (!found && request_is_named(request))
                r = request_open_store(pager, request, &params);
        return r != 0 ? r : request_open_with(pager, request, found, &params);
}

/* The number of a memory that a daemon of ours made. Who was given it read-only does not come back as one who writes. */
static int request_memory_inode(const struct request *request, const struct fileh_params *params, uint64_t *ret) {
        struct memory memory;
        int r;

        if (params->is_writable && (fcntl(request->memory_fd, F_GETFL) & O_ACCMODE) != O_RDWR)
                return -EINVAL;
        r = memory_adopt(&memory, request->memory_fd, params->size, params->is_huge);
        if (r < 0)
                return r;
        r = memory_inode(&memory, ret);
        memory_fini(&memory);
        return r;
}

/* Who brings a memory that another client brought before joins that one's fileh, if it is a shared one. Whether it is of the file that comes with it is
 * asked of the fileh there is, or else of the ledger. */
static int request_adopt(struct pager *pager, struct request *request) {
        struct fileh_params params;
        struct fileh *found;
        uint64_t inode;
        int r;

        if (!request_open_params(request, &params))
                return -EINVAL;
        r = request_memory_inode(request, &params, &inode);
        if (r < 0)
                return r;
        found = fileh_find_adopted(pager, inode);
        if (found && !fileh_is_of(found, &params))
                return -EINVAL;
        if (found && !fileh_may_join(found, &params))
                return -EBUSY;
        params.memory_fd = request->memory_fd;
        params.ledger_fd = request->ledger_fd;
        params.spill_fd = request->spill_fd;
        r = !found && request_is_named(request) ? request_connect(pager, request, &params) : 0;
        return r < 0 ? r : request_open_with(pager, request, found, &params);
}

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
        if (!remap_is_in_place(mapping))
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

static int request_report(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);

        return request_taken(census_begin(pager, (enum report_kind) request->msg.report.kind, request->uid, &to));
}

/* --- all of them -------------------------------------------------------------------------------------------------------------------------------- */

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
        [WIRE_ADOPT] = request_adopt,
        [WIRE_SHOWN] = request_shown,
        [WIRE_SERVE] = request_serve,
        [WIRE_REPORT] = request_report,
};

void request_handle(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);
        int r;

        assert(to.id < N_WIRE_IDS && request_handlers[to.id]);
        r = request_handlers[to.id](pager, request);
        if (r != REQUEST_TAKEN)
                pager_reply_error(pager, &to, r);
        store_free(request->store);
        request->store = NULL;
}

void request_release(struct commons *commons, struct request *request) {
        directory_release(&commons->directory, request->route);
        served_put(&commons->served, request->served);
        store_free(request->store);
}

unsigned request_take_fds(struct request *request, int fds[static WIRE_FDS_MAX]) {
        int *all[] = { &request->file_fd, &request->uffd, &request->memory_fd, &request->ledger_fd, &request->spill_fd, &request->direct_fd };
        unsigned n = 0;

        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                if (*all[i] >= 0)
                        fds[n++] = *all[i];
                *all[i] = -1;
        }
        return n;
}
