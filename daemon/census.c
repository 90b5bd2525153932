/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "census.h"
#include "fileh.h"
#include "fileh_name.h"
#include "handle.h"
#include "latency.h"
#include "load.h"
#include "reports.h"
#include "store.h"

/* Lines that one step writes: each may ask the kernel for a name. */
#define CENSUS_STEP 64u

static_assert(REPORT_PATH_MAX == FILEH_NAME_MAX, "a name that fits here fits there");

struct census {
        struct job job;
        struct pager *pager;
        enum report_kind kind;
        uid_t uid;
        struct reply_to to;
        struct report report;
        uint32_t last; /* the number of the one that was written last */
};

static uint32_t census_flags(const struct fileh *fileh) {
        return (fileh->is_shared ? REPORT_FILE_SHARED : 0) | (fileh->memory.huge ? REPORT_FILE_HUGE : 0) | (fileh->has_writer ? REPORT_FILE_WRITABLE : 0) |
               (fileh->is_truncated ? REPORT_FILE_TRUNCATED : 0) | (fileh->is_direct ? REPORT_FILE_DIRECT : 0) |
               (fileh->is_direct_refused ? REPORT_FILE_DIRECT_REFUSED : 0);
}

static uint32_t census_count_handles(const struct fileh *fileh) {
        const struct handle *handle;
        uint32_t n = 0;

        TAILQ_FOREACH(handle, &fileh->handles, entry)
                n++;
        return n;
}

static void census_count_waits(const struct fileh *fileh, struct report_file *ret) {
        uint64_t now = latency_now(), oldest = now;
        const struct load *load;

        ret->waiting = waiters_count_faults(&fileh->store_waiters, &oldest);
        TAILQ_FOREACH(load, &fileh->loads, fileh_entry)
                ret->waiting += waiters_count_faults(&load->waiters, &oldest);
        ret->wait_nsec = now - oldest;
}

static void census_describe_file(const struct fileh *fileh, struct report_file *ret) {
        struct fileh_name name;

        *ret = (struct report_file) {
                .number = commons_number(fileh->pager->index, fileh->id),
                .device = fileh->identity.device,
                .inode = fileh->identity.inode,
                .size = fileh->size,
                .block_size = fileh->block_size,
                .resident_bytes = fileh->n_resident << fileh->block_shift,
                .dirty_bytes = (uint64_t) (fileh->dirty.n + fileh->storing.n) << fileh->block_shift,
                .spilled_bytes = fileh->n_spilled << fileh->block_shift,
                .faults = fileh->n_faults,
                .loads = fileh->n_loads,
                .stores = fileh->n_stores,
                .evictions = fileh->n_evictions,
                .since_nsec = fileh->since,
                .handles = census_count_handles(fileh),
                .uid = fileh->uid,
                .pager = fileh->pager->index,
                .flags = census_flags(fileh),
        };
        census_count_waits(fileh, ret);
        if (fileh->store)
                snprintf(ret->store, sizeof(ret->store), "%s", fileh->store->kind->name);
        memcpy(ret->path, fileh_name_get(fileh, 0, &name)->path, sizeof(ret->path));
}

static void census_describe_handle(const struct handle *handle, struct report_handle *ret) {
        *ret = (struct report_handle) {
                .file = commons_number(handle->fileh->pager->index, handle->fileh->id),
                .peer = handle->peer,
                .mappings = handle->n_mappings,
                .faults = handle->n_faults,
                .is_readonly = handle->readonly,
        };
        for (unsigned i = 0; i < handle->n_mappings; i++)
                ret->mapped_bytes += handle->mappings[i]->length;
}

static bool census_may_tell(const struct census *census, const struct fileh *fileh) {
        return census->uid == 0 || census->uid == geteuid() || census->uid == fileh->uid;
}

static int census_add_file(struct census *census, const struct fileh *fileh) {
        struct report_file line;

        if (!census_may_tell(census, fileh))
                return 0;
        census_describe_file(fileh, &line);
        return report_add(&census->report, &line, sizeof(line));
}

static int census_add_handle(struct census *census, const struct handle *handle) {
        struct report_handle line;

        if (!census_may_tell(census, handle->fileh))
                return 0;
        census_describe_handle(handle, &line);
        return report_add(&census->report, &line, sizeof(line));
}

static struct idtable *census_table(const struct census *census) {
        return census->kind == REPORT_FILES ? &census->pager->filehs : &census->pager->handles;
}

static int census_add(struct census *census, uint32_t id) {
        void *found = idtable_get(census_table(census), id);

        return census->kind == REPORT_FILES ? census_add_file(census, found) : census_add_handle(census, found);
}

static enum job_result census_end(struct census *census, int error) {
        struct pager *pager = census->pager;
        union wire_msg msg;

        if (error == 0)
                error = report_end(&census->report);
        wire_init(&msg, census->to.id | WIRE_REPLY, census->to.serial);
        msg.report_reply.error = error;
        msg.report_reply.pagers = atomic_load(&pager->commons->n_pagers);
        msg.report_reply.length = error == 0 ? census->report.length : 0;
        if (error < 0)
                close(census->report.fd);
        pager->reply(pager, census->to.peer, &msg, &census->report.fd, error == 0);
        free(census);
        return JOB_DONE;
}

static enum job_result census_step(struct job *job) {
        struct census *census = (struct census *) job;

        for (unsigned n = 0; n < CENSUS_STEP; n++) {
                uint32_t id = idtable_next(census_table(census), census->last);
                int r;

                if (!id)
                        return census_end(census, 0);
                r = census_add(census, id);
                if (r < 0)
                        return census_end(census, r);
                census->last = id;
        }
        return JOB_MORE;
}

int census_begin(struct pager *pager, enum report_kind kind, uid_t uid, const struct reply_to *to) {
        struct census *census;
        int r;

        if (kind != REPORT_FILES && kind != REPORT_HANDLES)
                return -EINVAL;
        census = calloc(1, sizeof(*census));
        if (!census)
                return -ENOMEM;
        *census = (struct census) { .job = { .step = census_step }, .pager = pager, .kind = kind, .uid = uid, .to = *to };
        r = report_begin(&census->report);
        if (r < 0) {
                free(census);
                return r;
        }
        job_wake(&pager->jobs, &census->job);
        return 0;
}
