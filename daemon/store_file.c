/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "inject.h"
#include "store_file.h"
#include "view.h"

/* What direct I/O is done in: no file system that is used so has larger blocks (backing.c). */
#define STORE_FILE_ALIGN 4096u

/* Descriptors of the file; a writer's is -1 if nobody opened it for writing, and else may be the other. */
struct store_file_way {
        int fd;
        int writer_fd;
};

struct store_file {
        struct store store;
        struct ring *ring; /* borrowed */
        struct store_file_way cached;
        struct store_file_way direct; /* both -1: there is none */
        bool is_settling;             /* nothing begins before settle_op has ended */
        bool is_freed;                /* nor is it freed before */
        struct ring_op settle_op;
        STAILQ_HEAD(, store_request) settling; /* what waits -> request->entry */
        bool may_block;
        struct views *views; /* borrowed; NULL: none */
};

static struct store_file *store_file_of(struct store *store) {
        return (struct store_file *) store;
}

static struct store_request *store_file_request_of(struct ring_op *op) {
        return (struct store_request *) ((char *) op - offsetof(struct store_request, op));
}

/* How much of what is left direct I/O can do: whole blocks, and not the end of a file that has a part of one. */
static uint32_t store_file_direct_part(const struct store_request *request) {
        return request->is_cached || (request->offset + request->n_done) % STORE_FILE_ALIGN ? 0 : (request->length - request->n_done) & ~(STORE_FILE_ALIGN - 1);
}

static void store_file_read_cached(const struct store_file *file, struct store_request *request, char *buf, uint64_t offset) {
        bool is_elsewhere = file->may_block || request->is_background, is_now = !file->may_block && (!request->is_background || request->may_be_now);

        ring_read(file->ring, &request->op, file->cached.fd, is_now, is_elsewhere, buf, request->length - request->n_done, offset);
}

static void store_file_read_on(struct store_request *request) {
        struct store_file *file = store_file_of(request->store);
        uint32_t part = file->direct.fd >= 0 ? store_file_direct_part(request) : 0;
        uint64_t offset = request->offset + request->n_done;
        char *buf = (char *) request->buf + request->n_done;

        if (part > 0)
                ring_read_direct(file->ring, &request->op, file->direct.fd, buf, part, offset);
        else
                store_file_read_cached(file, request, buf, offset);
}

static void store_file_write_on(struct store_request *request) {
        struct store_file *file = store_file_of(request->store);
        uint32_t part = file->direct.writer_fd >= 0 ? store_file_direct_part(request) : 0;
        uint64_t offset = request->offset + request->n_done;
        const char *buf = (const char *) request->buf + request->n_done;

        if (part > 0)
                ring_write(file->ring, &request->op, file->direct.writer_fd, false, buf, part, offset);
        else
                ring_write(file->ring, &request->op, file->cached.writer_fd, file->may_block, buf, request->length - request->n_done, offset);
}

/* Of a file that its client made non-blocking some systems say EAGAIN for ever. */
#define STORE_FILE_RETRIES_MAX 100

static bool store_file_passes(struct store_request *request, int result) {
        return (result == -EINTR || result == -EAGAIN) && request->n_retries++ < STORE_FILE_RETRIES_MAX;
}

/* Some files cannot be read or written so for all that their system says, or not always. */
static bool store_file_goes_cached(struct store_request *request, int result) {
        if (result != -EINVAL || request->is_cached || store_file_of(request->store)->direct.fd < 0)
                return false;
        request->is_cached = true;
        return true;
}

static void store_file_on_read(struct ring_op *op, int ended) {
        int injected = INJECT_ERROR(STORE_READ), result = injected < 0 ? injected : ended;
        struct store_request *request = store_file_request_of(op);

        if (result > 0)
                request->n_done += (uint32_t) result;
        if (store_file_passes(request, result) || store_file_goes_cached(request, result) || (result > 0 && request->n_done < request->length))
                store_file_read_on(request);
        else
                request->done(request, result < 0 ? result : 0);
}

static void store_file_on_write(struct ring_op *op, int ended) {
        int injected = INJECT_ERROR(STORE_WRITE), result = injected < 0 ? injected : ended;
        struct store_request *request = store_file_request_of(op);

        if (result > 0)
                request->n_done += (uint32_t) result;
        if (store_file_passes(request, result) || store_file_goes_cached(request, result) || (result > 0 && request->n_done < request->length))
                store_file_write_on(request);
        else if (result == 0 && request->n_done < request->length)
                request->done(request, -EIO); /* a file that takes nothing and says nothing */
        else
                request->done(request, result < 0 ? result : 0);
}

static void store_file_on_sync(struct ring_op *op, int ended) {
        int injected = INJECT_ERROR(STORE_SYNC), result = injected < 0 ? injected : ended;
        struct store_request *request = store_file_request_of(op);

        request->done(request, result < 0 ? result : 0);
}

static void store_file_begin(struct store *store, struct store_request *request, void (*done)(struct ring_op *op, int result), void (*on)(struct store_request *request)) {
        struct store_file *file = store_file_of(store);

        request->store = store;
        request->n_done = 0;
        request->n_retries = 0;
        request->is_cached = false;
        request->op.done = done;
        request->on = on;
        if (file->is_settling)
                STAILQ_INSERT_TAIL(&file->settling, request, entry);
        else
                on(request);
}

static void store_file_read(struct store *store, struct store_request *request) {
        store_file_begin(store, request, store_file_on_read, store_file_read_on);
}

/* Where what was read before may be had without waiting. */
static bool store_file_has_cache(const struct store_file *file) {
        return !file->may_block && file->direct.fd < 0;
}

static bool store_file_read_now(struct store *store, void *buf, uint64_t offset, uint32_t length) {
        struct store_file *file = store_file_of(store);

        return store_file_has_cache(file) && ring_read_now(file->cached.fd, buf, length, offset) == (int) length;
}

static const void *store_file_view(struct store *store, uint64_t offset, uint32_t length) {
        struct store_file *file = store_file_of(store);

        return store_file_has_cache(file) ? views_get(file->views, file->cached.fd, offset, length) : NULL;
}

static void store_file_viewed(struct store *store, bool was_there) {
        views_used(store_file_of(store)->views, was_there);
}

static void store_file_write(struct store *store, struct store_request *request) {
        store_file_begin(store, request, store_file_on_write, store_file_write_on);
}

static void store_file_sync_on(struct store_request *request) {
        struct store_file *file = store_file_of(request->store);

        ring_sync(file->ring, &request->op, file->cached.writer_fd);
}

static void store_file_sync(struct store *store, struct store_request *request) {
        store_file_begin(store, request, store_file_on_sync, store_file_sync_on);
}

static int store_file_fd(const struct store *store) {
        return ((const struct store_file *) store)->cached.fd;
}

static void store_file_close_way(struct store_file *file, const struct store_file_way *way) {
        if (way->writer_fd >= 0 && way->writer_fd != way->fd)
                ring_close(file->ring, way->writer_fd);
        if (way->fd >= 0)
                ring_close(file->ring, way->fd);
}

static void store_file_free(struct store *store) {
        struct store_file *file = store_file_of(store);

        views_forget(file->views, file->cached.fd);
        store_file_close_way(file, &file->cached);
        store_file_close_way(file, &file->direct);
        file->is_freed = true;
        if (!file->is_settling)
                free(file);
}

/* Who reads through the page cache goes on so. */
static int store_file_add_writer(struct store *store, const struct store_fds *fds) {
        struct store_file *file = store_file_of(store);
        struct store_file_way spare = { fds->fd, fds->direct_fd };

        if (file->cached.writer_fd < 0) {
                file->cached.writer_fd = fds->fd;
                spare.fd = -1;
                if (file->direct.fd >= 0) {
                        file->direct.writer_fd = fds->direct_fd;
                        spare.writer_fd = -1;
                }
        }
        store_file_close_way(file, &spare);
        return 0;
}

static void store_file_on_settled(struct ring_op *op, int result) {
        struct store_file *file = (struct store_file *) ((char *) op - offsetof(struct store_file, settle_op));
        struct store_request *request;

        (void) result; /* it has waited before there can be an error */
        file->is_settling = false;
        if (file->is_freed) {
                free(file);
                return;
        }
        while ((request = STAILQ_FIRST(&file->settling))) {
                STAILQ_REMOVE_HEAD(&file->settling, entry);
                request->on(request);
        }
}

/*
 * A direct write that a killed daemon began may still be on its way to the disk, and could come to lie over a younger one. Whatever changes which blocks a file has
 * waits for them, in every file system that has direct I/O of its own (ext4, xfs, btrfs); so the first block, which nearly every file has, is asked for once more.
 */
static void store_file_settle(struct store *store) {
        struct store_file *file = store_file_of(store);

        if (file->direct.writer_fd < 0 || file->is_settling)
                return;
        file->is_settling = true;
        file->settle_op.done = store_file_on_settled;
        ring_allocate(file->ring, &file->settle_op, file->cached.writer_fd, 0, 1);
}

static const struct store_kind store_file_kind = {
        .name = "file",
        .read = store_file_read,
        .write = store_file_write,
        .sync = store_file_sync,
        .free = store_file_free,
        .add_writer = store_file_add_writer,
        .fd = store_file_fd,
        .read_now = store_file_read_now,
        .view = store_file_view,
        .viewed = store_file_viewed,
        .settle = store_file_settle,
};

int store_file_new(struct ring *ring, struct views *views, const struct store_fds *fds, bool writable, struct store **ret) {
        struct store_file *file = calloc(1, sizeof(*file));

        if (!file)
                return -ENOMEM;
        *file = (struct store_file) {
                .store = { .kind = &store_file_kind },
                .ring = ring,
                .cached = { fds->fd, writable ? fds->fd : -1 },
                .direct = { fds->direct_fd, writable ? fds->direct_fd : -1 },
                .may_block = fds->direct_fd < 0 && ring_may_block(fds->fd), /* asking brings some of it into the page cache */
                .views = views,
        };
        STAILQ_INIT(&file->settling);
        *ret = &file->store;
        return 0;
}
