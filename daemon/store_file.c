/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "inject.h"
#include "store_file.h"
#include "view.h"

struct store_file {
        struct store store;
        struct ring *ring; /* borrowed */
        int fd;
        int writer_fd; /* -1: nobody opened it for writing; else it may be fd */
        bool may_block;
        struct views *views; /* borrowed; NULL: none */
};

static struct store_file *store_file_of(struct store *store) {
        return (struct store_file *) store;
}

static struct store_request *store_file_request_of(struct ring_op *op) {
        return (struct store_request *) ((char *) op - offsetof(struct store_request, op));
}

static void store_file_read_on(struct store_request *request) {
        struct store_file *file = store_file_of(request->store);

        ring_read(file->ring, &request->op, file->fd, file->may_block || request->is_background, (char *) request->buf + request->n_done,
                  request->length - request->n_done, request->offset + request->n_done);
}

static void store_file_write_on(struct store_request *request) {
        struct store_file *file = store_file_of(request->store);

        ring_write(file->ring, &request->op, file->writer_fd, file->may_block, (char *) request->buf + request->n_done,
                   request->length - request->n_done, request->offset + request->n_done);
}

/* Of a file that its client made non-blocking some systems say EAGAIN for ever. */
#define STORE_FILE_RETRIES_MAX 100

static bool store_file_passes(struct store_request *request, int result) {
        return (result == -EINTR || result == -EAGAIN) && request->n_retries++ < STORE_FILE_RETRIES_MAX;
}

static void store_file_on_read(struct ring_op *op, int ended) {
        int injected = INJECT_ERROR(STORE_READ), result = injected < 0 ? injected : ended;
        struct store_request *request = store_file_request_of(op);

        if (result > 0)
                request->n_done += (uint32_t) result;
        if (store_file_passes(request, result) || (result > 0 && request->n_done < request->length))
                store_file_read_on(request);
        else
                request->done(request, result < 0 ? result : 0);
}

static void store_file_on_write(struct ring_op *op, int ended) {
        int injected = INJECT_ERROR(STORE_WRITE), result = injected < 0 ? injected : ended;
        struct store_request *request = store_file_request_of(op);

        if (result > 0)
                request->n_done += (uint32_t) result;
        if (store_file_passes(request, result) || (result > 0 && request->n_done < request->length))
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

static void store_file_read(struct store *store, struct store_request *request) {
        request->store = store;
        request->n_done = 0;
        request->n_retries = 0;
        request->op.done = store_file_on_read;
        store_file_read_on(request);
}

static bool store_file_read_now(struct store *store, void *buf, uint64_t offset, uint32_t length) {
        struct store_file *file = store_file_of(store);

        return !file->may_block && ring_read_now(file->fd, buf, length, offset) == (int) length;
}

static const void *store_file_view(struct store *store, uint64_t offset, uint32_t length) {
        struct store_file *file = store_file_of(store);

        return file->may_block ? NULL : views_get(file->views, file->fd, offset, length);
}

static void store_file_viewed(struct store *store, bool was_there) {
        views_used(store_file_of(store)->views, was_there);
}

static void store_file_write(struct store *store, struct store_request *request) {
        request->store = store;
        request->n_done = 0;
        request->n_retries = 0;
        request->op.done = store_file_on_write;
        store_file_write_on(request);
}

static void store_file_sync(struct store *store, struct store_request *request) {
        struct store_file *file = store_file_of(store);

        request->store = store;
        request->op.done = store_file_on_sync;
        ring_sync(file->ring, &request->op, file->writer_fd);
}

static int store_file_add_writer(struct store *store, int fd) {
        struct store_file *file = store_file_of(store);

        if (file->writer_fd < 0)
                file->writer_fd = fd;
        else
                ring_close(file->ring, fd);
        return 0;
}

static int store_file_fd(const struct store *store) {
        return ((const struct store_file *) store)->fd;
}

static void store_file_free(struct store *store) {
        struct store_file *file = store_file_of(store);

        views_forget(file->views, file->fd);
        if (file->writer_fd >= 0 && file->writer_fd != file->fd)
                ring_close(file->ring, file->writer_fd);
        ring_close(file->ring, file->fd);
        free(file);
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
};

int store_file_new(struct ring *ring, struct views *views, int fd, bool writable, struct store **ret) {
        struct store_file *file = calloc(1, sizeof(*file));

        if (!file)
                return -ENOMEM;
        *file = (struct store_file) {
                .store = { .kind = &store_file_kind },
                .ring = ring,
                .fd = fd,
                .writer_fd = writable ? fd : -1,
                .may_block = ring_may_block(fd),
                .views = views,
        };
        *ret = &file->store;
        return 0;
}
