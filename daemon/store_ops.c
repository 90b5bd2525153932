/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "inject.h"
#include "pager.h"
#include "provider.h"
#include "store_ops.h"

struct store_ops {
        struct store store;
        struct pager *pager; /* borrowed */
        struct served *served;
        char path[sizeof("ops:") + WIRE_SERVED_NAME_MAX]; /* as store_ops_path() said it last */
};

/* A request, asked in parts where it is longer than what can be asked at once. */
struct store_ops_request {
        struct provider_ask ask;
        struct store_request *request;
};

static struct store_ops *store_ops_of(struct store *store) {
        return (struct store_ops *) store;
}

static void store_ops_ask(struct store_ops_request *r) {
        struct store_request *request = r->request;
        uint32_t max, length = request->length - request->n_done;

        r->ask.loan = request->loan;
        r->ask.buf = (char *) request->buf + request->n_done;
        r->ask.offset = request->offset + request->n_done;
        max = provider_ask_max(r->ask.served, r->ask.offset);
        r->ask.length = length < max ? length : max;
        if (request->mask) {
                r->ask.mask = request->mask;
                r->ask.mask_first = request->n_done / request->page_size;
                r->ask.page_size = request->page_size;
        }
        provider_ask(&r->ask);
}

static void store_ops_on_done(struct provider_ask *ask) {
        struct store_ops_request *r = (struct store_ops_request *) ask;
        struct store_request *request = r->request;
        int injected = ask->op == PROVIDE_LOAD ? INJECT_ERROR(STORE_READ) : INJECT_ERROR(STORE_WRITE), error = injected < 0 ? injected : ask->error;

        request->n_done += injected < 0 ? 0 : ask->n_done;
        if (error == 0 && request->n_done < request->length) {
                store_ops_ask(r);
                return;
        }
        free(r);
        request->done(request, error);
}

/* Nothing is done from inside the function that began it. */
static void store_ops_on_timer(struct ring_op *op, int result) {
        struct store_request *request = (struct store_request *) ((char *) op - offsetof(struct store_request, op));

        (void) result;
        request->done(request, (int) request->n_retries ? -ENOMEM : 0);
}

static void store_ops_end_later(struct store_ops *ops, struct store_request *request, bool is_out_of_memory) {
        request->n_retries = is_out_of_memory;
        request->op.done = store_ops_on_timer;
        ring_timer(ops->pager->ring, &request->op, ring_now());
}

static void store_ops_begin(struct store *store, struct store_request *request, enum provide_op op) {
        struct store_ops *ops = store_ops_of(store);
        struct store_ops_request *r = malloc(sizeof(*r));

        request->store = store;
        request->n_done = 0;
        if (!r || request->length == 0) {
                store_ops_end_later(ops, request, !r);
                free(r);
                return;
        }
        *r = (struct store_ops_request) {
                .ask = { .home = ops->pager, .served = ops->served, .op = op, .done = store_ops_on_done },
                .request = request,
        };
        store_ops_ask(r);
}

/* What lies behind the end of the file is not asked for. */
static void store_ops_read(struct store *store, struct store_request *request) {
        uint64_t size = store_ops_of(store)->served->about.size;
        uint64_t inside = request->offset < size ? size - request->offset : 0;

        if (inside < request->length)
                request->length = (uint32_t) inside;
        store_ops_begin(store, request, PROVIDE_LOAD);
}

static void store_ops_write(struct store *store, struct store_request *request) {
        store_ops_begin(store, request, PROVIDE_STORE);
}

/* What was stored is as safe as who serves the file has made it before he said so. */
static void store_ops_sync(struct store *store, struct store_request *request) {
        store_ops_end_later(store_ops_of(store), request, false);
}

static void store_ops_free(struct store *store) {
        struct store_ops *ops = store_ops_of(store);

        served_put(&ops->pager->commons->served, ops->served);
        free(ops);
}

static int store_ops_add_writer(struct store *store, const struct store_fds *fds) {
        ring_close(store_ops_of(store)->pager->ring, fds->fd);
        return 0;
}

static bool store_ops_is_served_by(const struct store *store, const struct store_thread *thread) {
        return served_has_thread(((const struct store_ops *) store)->served, thread);
}

/* One without a name is known by who serves it: after a restart of the daemon that is not known at once. */
static const char *store_ops_path(const struct store *store) {
        struct store_ops *ops = (struct store_ops *) (uintptr_t) store;
        int pid = atomic_load_explicit(&ops->served->pid, memory_order_relaxed);

        if (ops->served->about.name[0] != '\0')
                snprintf(ops->path, sizeof(ops->path), "ops:%s", ops->served->about.name);
        else if (pid > 0)
                snprintf(ops->path, sizeof(ops->path), "a served file of pid %d", pid);
        else
                snprintf(ops->path, sizeof(ops->path), "a served file");
        return ops->path;
}

static const char *store_ops_why(const struct store *store, int error) {
        const struct store_ops *ops = (const struct store_ops *) store;

        return error == -EIO && !served_is_served(ops->served) ? "no process serves it now" : NULL;
}

/* The area belongs to another thread where the served file does. */
static bool store_ops_lend(struct store *store, uint64_t offset, uint32_t length, struct store_loan *ret_loan) {
        struct store_ops *ops = store_ops_of(store);

        return ops->served->pager == ops->pager->index && provider_lend(ops->served, offset, length, ret_loan);
}

static void store_ops_take_back(struct store *store, const struct store_loan *loan) {
        (void) store;
        provider_take_back(loan);
}

static const struct store_kind store_ops_kind = {
        .name = "ops",
        .is_exact = true,
        .lend = store_ops_lend,
        .take_back = store_ops_take_back,
        .read = store_ops_read,
        .write = store_ops_write,
        .sync = store_ops_sync,
        .free = store_ops_free,
        .add_writer = store_ops_add_writer,
        .path = store_ops_path,
        .why = store_ops_why,
        .is_served_by = store_ops_is_served_by,
};

int store_ops_new(struct pager *pager, struct served *served, struct store **ret) {
        struct store_ops *ops = calloc(1, sizeof(*ops));

        if (!ops)
                return -ENOMEM;
        *ops = (struct store_ops) {
                .store = { .kind = &store_ops_kind, .grain = served->about.block_size },
                .pager = pager,
                .served = served,
        };
        served_hold(&pager->commons->served, served);
        *ret = &ops->store;
        return 0;
}
