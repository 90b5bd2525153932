/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "nbd_link.h"
#include "pager.h"
#include "store_nbd.h"
#include "uri.h"

struct store_nbd {
        struct store store;
        struct pager *pager; /* borrowed */
        struct nbd_link *link;
        struct pager_call news; /* posted by the link's thread, once until nbd_link_take() */
        struct job *job;        /* that waits for the connection; NULL: none */
        bool is_writable;
        uint64_t size; /* what is behind it is not asked for; 0: not known yet */
        char uri[URI_MAX];
};

static struct store_nbd *store_nbd_of(struct store *store) {
        return (struct store_nbd *) store;
}

/* --- requests ----------------------------------------------------------------------------------------------------------------------------------- */

static void store_nbd_end(struct nbd_order *order) {
        struct store_request *request = (struct store_request *) ((char *) order - offsetof(struct store_request, order));

        request->n_done = order->n_done;
        request->done(request, order->error);
}

/* What lies behind the end of the export is not there to be read, as with any file. */
static uint32_t store_nbd_length(const struct store_nbd *nbd, const struct store_request *request) {
        if (request->offset >= nbd->size)
                return 0;
        return request->length < nbd->size - request->offset ? request->length : (uint32_t) (nbd->size - request->offset);
}

static void store_nbd_give(struct store *store, struct store_request *request, enum nbd_order_kind kind) {
        struct store_nbd *nbd = store_nbd_of(store);

        request->store = store;
        request->order = (struct nbd_order) {
                .kind = kind,
                .buf = request->buf,
                .offset = request->offset,
                .length = kind == NBD_SYNC ? 0 : store_nbd_length(nbd, request),
        };
        nbd_link_give(nbd->link, &request->order);
}

static void store_nbd_read(struct store *store, struct store_request *request) {
        store_nbd_give(store, request, NBD_READ);
}

static void store_nbd_write(struct store *store, struct store_request *request) {
        store_nbd_give(store, request, NBD_WRITE);
}

static void store_nbd_sync(struct store *store, struct store_request *request) {
        store_nbd_give(store, request, NBD_SYNC);
}

/* All handles write through the same connections. */
static int store_nbd_add_writer(struct store *store, const struct store_fds *fds) {
        struct store_nbd *nbd = store_nbd_of(store);
        struct nbd_export export;

        if (nbd_link_status(nbd->link, &export) == 0 && export.is_readonly)
                return -EROFS;
        close(fds->fd);
        return 0;
}

static const char *store_nbd_path(const struct store *store) {
        return ((const struct store_nbd *) store)->uri;
}

/* --- its life ----------------------------------------------------------------------------------------------------------------------------------- */

static void store_nbd_wake_job(struct store_nbd *nbd) {
        struct nbd_export export;
        struct job *job = nbd->job;

        if (!job || nbd_link_status(nbd->link, &export) == -EINPROGRESS)
                return;
        nbd->job = NULL;
        job_wake(&nbd->pager->jobs, job);
}

static void store_nbd_run_news(struct pager *pager, struct pager_call *call) {
        struct store_nbd *nbd = (struct store_nbd *) ((char *) call - offsetof(struct store_nbd, news));
        struct nbd_orders ended = STAILQ_HEAD_INITIALIZER(ended);
        bool is_there = nbd_link_take(nbd->link, &ended);
        struct nbd_order *order;

        while ((order = STAILQ_FIRST(&ended))) {
                STAILQ_REMOVE_HEAD(&ended, entry);
                store_nbd_end(order);
        }
        if (is_there) {
                store_nbd_wake_job(nbd);
                return;
        }
        nbd_link_free(nbd->link);
        free(nbd);
        pager->n_leaving--;
}

static void store_nbd_on_news(void *owner) {
        struct store_nbd *nbd = owner;

        nbd->pager->post(nbd->pager, &nbd->news);
}

static void store_nbd_free(struct store *store) {
        struct store_nbd *nbd = store_nbd_of(store);

        nbd->job = NULL;
        nbd->pager->n_leaving++;
        nbd_link_stop(nbd->link);
}

static const struct store_kind store_nbd_kind = {
        .name = "nbd",
        .read = store_nbd_read,
        .write = store_nbd_write,
        .sync = store_nbd_sync,
        .free = store_nbd_free,
        .add_writer = store_nbd_add_writer,
        .path = store_nbd_path,
        .forgets = true,
};

int store_nbd_new(struct pager *pager, const struct store_nbd_params *params, struct store **ret) {
        struct store_nbd *nbd = calloc(1, sizeof(*nbd));
        struct nbd_link_params link_params;
        int r;

        if (!nbd)
                return -ENOMEM;
        *nbd = (struct store_nbd) {
                .store = { .kind = &store_nbd_kind },
                .pager = pager,
                .news = { .run = store_nbd_run_news },
                .is_writable = params->is_writable,
                .size = params->size_min,
        };
        link_params = (struct nbd_link_params) {
                .uri = nbd->uri,
                .may_read_files = params->may_read_files,
                .timeout_usec = pager->options.nbd_timeout_usec,
                .size_min = params->size_min,
                .must_be_writable = params->is_adopted && params->is_writable,
                .on_news = store_nbd_on_news,
                .owner = nbd,
        };
        r = uri_read(params->uri_fd, nbd->uri);
        if (r == 0)
                r = nbd_link_new(&link_params, &nbd->link);
        if (r < 0) {
                free(nbd);
                return r;
        }
        *ret = &nbd->store;
        return 0;
}

void store_nbd_await(struct store *store, struct job *job) {
        struct store_nbd *nbd = store_nbd_of(store);

        nbd->job = job;
        store_nbd_wake_job(nbd);
}

int store_nbd_look(struct store *store, uint64_t block_size, uint64_t *ret_size) {
        struct store_nbd *nbd = store_nbd_of(store);
        struct nbd_export export;
        int r;

        r = nbd_link_status(nbd->link, &export);
        if (r < 0)
                return r;
        if (nbd->is_writable && export.is_readonly)
                return -EROFS;
        if (export.size > WIRE_FILE_MAX)
                return -EFBIG;
        if (export.bytes_min > block_size) {
                log_warning("%s: it takes requests of %u bytes at the least, so it cannot be opened in blocks of %llu", nbd->uri, export.bytes_min,
                            (unsigned long long) block_size);
                return -EINVAL;
        }
        nbd->size = export.size;
        *ret_size = export.size;
        return 0;
}
