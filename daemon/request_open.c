/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "absent.h"
#include "adopt.h"
#include "fileh_new.h"
#include "handle.h"
#include "opening.h"
#include "pager.h"
#include "request_open.h"
#include "served.h"
#include "store.h"
#include "store_nbd.h"

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
        handle->pid = request->pid;
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

/* It may come to be held again. */
static void request_open_again(struct pager *pager, struct request *request) {
        struct reply_to to = request_reply_to(request);
        int r = to.id == WIRE_ADOPT ? request_adopt(pager, request) : request_open(pager, request);

        if (r != REQUEST_TAKEN)
                pager_reply_error(pager, &to, r);
}

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
                request_open_again(pager, &hold->request);
        for (unsigned i = request_take_fds(&hold->request, fds); i > 0; i--)
                ring_close(pager->ring, fds[i - 1]);
        request_release(pager->commons, &hold->request);
        free(hold);
        return JOB_DONE;
}

/* Takes all that the request owns. What it waits for wakes its job. NULL: no memory. */
static struct request_hold *request_hold(struct pager *pager, struct request *request) {
        struct request_hold *hold = calloc(1, sizeof(*hold));
        int fds[WIRE_FDS_MAX];

        if (!hold)
                return NULL;
        *hold = (struct request_hold) { .job = { .step = request_hold_step }, .pager = pager, .request = *request };
        (void) request_take_fds(request, fds);
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

void request_open_forget(struct pager *pager, uint64_t peer) {
        struct request_hold *hold;

        TAILQ_FOREACH(hold, &pager->holds, entry)
                if (hold->request.peer == peer)
                        request_hold_forget(hold);
}

void request_open_forget_all(struct pager *pager) {
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

int request_open(struct pager *pager, struct request *request) {
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
int request_adopt(struct pager *pager, struct request *request) {
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
