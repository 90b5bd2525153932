/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "closing.h"
#include "fault.h"
#include "fileh.h"
#include "fileh_name.h"
#include "handle.h"
#include "inject.h"
#include "log.h"
#include "opening.h"

#define OPENING_FDS_MAX 3

/* --- answering ---------------------------------------------------------------------------------------------------------------------------------- */

/* The memory, the ledger and the spill file if there is one, for a client that does not have them yet. */
static int opening_fds(struct handle *handle, int fds[static OPENING_FDS_MAX], unsigned *ret_n) {
        const struct fileh *fileh = handle->fileh;
        unsigned n = 0;
        int r;

        r = handle_open_memory(handle, &fds[n]);
        if (r == -EAGAIN)
                r = -EBUSY;
        if (r == 0)
                r = ledger_file_open(&fileh->ledger, &fds[++n]);
        if (r == 0 && spill_file_is_there(&fileh->spill))
                r = spill_file_open(&fileh->spill, &fds[++n]);
        if (r == 0) {
                *ret_n = n + 1;
                return 0;
        }
        while (n-- > 0)
                close(fds[n]);
        return r;
}

/* On failure nothing was answered. */
static int opening_answer(struct handle *handle, const struct reply_to *to) {
        struct pager *pager = handle->fileh->pager;
        int fds[OPENING_FDS_MAX], r;
        union wire_msg msg;
        unsigned n_fds = 0;

        r = to->id == WIRE_OPEN ? opening_fds(handle, fds, &n_fds) : 0;
        if (r < 0)
                return r;
        wire_init(&msg, to->id | WIRE_REPLY, to->serial);
        msg.open_reply.handle = commons_number(pager->index, handle->id);
        msg.open_reply.size = handle->fileh->size;
        pager->reply(pager, to->peer, &msg, fds, n_fds);
        INJECT(OPENING_ANSWERED);
        fault_listen(handle);
        return 0;
}

int opening_handle(struct handle *handle, const struct reply_to *to) {
        int r;

        if (handle->fileh->n_awaited > 0) {
                handle->awaits_fileh = true;
                handle->opening = *to;
                return 0;
        }
        r = opening_answer(handle, to);
        if (r < 0)
                closing_handle(handle, NULL);
        return r;
}

/* Who cannot be given the handle is answered with the error, and has to open anew. */
static void opening_answer_late(struct handle *handle, int error) {
        struct pager *pager = handle->fileh->pager;
        int r = error;

        handle->awaits_fileh = false;
        if (r == 0)
                r = opening_answer(handle, &handle->opening);
        if (handle->opening.id == WIRE_ADOPT)
                INJECT(ADOPT_ANSWERED);
        if (r < 0) {
                pager_reply_error(pager, &handle->opening, r);
                closing_handle(handle, NULL);
        }
}

void opening_ended(struct fileh *fileh, int error) {
        struct handle *handle, *next;

        if (--fileh->n_awaited > 0)
                return;
        fileh_ref(fileh);
        for (handle = TAILQ_FIRST(&fileh->handles); handle; handle = next) {
                next = TAILQ_NEXT(handle, entry);
                if (handle->awaits_fileh)
                        opening_answer_late(handle, error);
        }
        fileh_unref(fileh);
}

/* --- the one before it -------------------------------------------------------------------------------------------------------------------------- */

/*
 * A client that dies in a writeout leaves stores under way. Whoever opens the file after that must find them in it, and not have them overwrite what he stores:
 * a process that is killed in write(2) is not gone before that has ended, either.
 */
static void opening_run_predecessor(struct pager *pager, struct pager_call *call) {
        struct fileh *fileh = (struct fileh *) ((char *) call - offsetof(struct fileh, predecessor_call));

        job_wake(&pager->jobs, &fileh->predecessor);
}

/* In the thread of the pager that had the other one. */
static void opening_on_predecessor(struct directory_waiter *waiter) {
        struct fileh *fileh = (struct fileh *) ((char *) waiter - offsetof(struct fileh, predecessor_waiter));

        fileh->pager->post(fileh->pager, &fileh->predecessor_call);
}

static bool opening_has_predecessor(struct fileh *fileh) {
        return directory_await_storing(&fileh->pager->commons->directory, &fileh->identity, &fileh->predecessor_waiter);
}

static enum job_result opening_look_for_predecessor(struct job *job) {
        struct fileh *fileh = (struct fileh *) ((char *) job - offsetof(struct fileh, predecessor));

        if (opening_has_predecessor(fileh))
                return JOB_WAIT;
        opening_ended(fileh, 0);
        fileh_unref(fileh);
        return JOB_DONE;
}

static void opening_await_predecessor(struct fileh *fileh) {
        fileh->predecessor = (struct job) { .step = opening_look_for_predecessor };
        fileh->predecessor_waiter.ended = opening_on_predecessor;
        fileh->predecessor_call.run = opening_run_predecessor;
        if (!opening_has_predecessor(fileh))
                return;
        fileh->n_awaited++;
        fileh_ref(fileh);
}

/* --- the spill file ----------------------------------------------------------------------------------------------------------------------------- */

/* Once for each reason: files are opened all the time. */
static void opening_complain(struct pager *pager, int error) {
        if (error < 0 && error != pager->spill.create_error)
                log_warning("cannot make a file in %s to spill changes to: %s (when the pool is full of changes, who needs room waits; see --spill-dir)",
                            pager->options.spill_dir, strerror(-error));
        pager->spill.create_error = error;
}

/* Without a spill file all works, but for spilling. */
static void opening_on_spill_file(struct ring_op *op, int result) {
        struct fileh *fileh = (struct fileh *) ((char *) op - offsetof(struct fileh, spill_op));
        int r = result < 0 || fileh->is_closing ? result : fileh_set_spill_file(fileh, result);

        if (result >= 0 && !spill_file_is_there(&fileh->spill))
                close(result);
        opening_complain(fileh->pager, r < 0 ? r : 0);
        opening_ended(fileh, 0);
        fileh_unref(fileh);
}

/* The reserve is the administrator's. Where it is smaller than what the pool allows, touches fail that find it empty. */
static void opening_count_huge_pages(const struct fileh *fileh) {
        uint64_t pool_bytes = fileh->pager->pool->bytes, n_missing = memory_n_missing(&fileh->memory, fileh->size < pool_bytes ? fileh->size : pool_bytes);

        if (n_missing > 0)
                fileh_warning(fileh, 0,
                              "%" PRIu64 " huge pages are missing in the host's reserve to have of it in RAM what the pool allows: pages that find none get SIGBUS (add them to vm.nr_hugepages)",
                              n_missing);
}

void opening_begin(struct fileh *fileh) {
        struct pager *pager = fileh->pager;

        opening_count_huge_pages(fileh);
        opening_await_predecessor(fileh);
        if (!pager->options.spill_dir || (!fileh->is_shared && !fileh->has_writer))
                return;
        fileh->n_awaited++;
        fileh_ref(fileh);
        fileh->spill_op.done = opening_on_spill_file;
        spill_file_create(pager->ring, &fileh->spill_op, pager->options.spill_dir_fd);
}
