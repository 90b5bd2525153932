/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A sweep goes through the parts of the file that were written to, and gives back one range of places after another, so that at most one is on its way; what is
 * being given back is not written to meanwhile (spill.c).
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fileh.h"
#include "log.h"
#include "pager.h"
#include "spill.h"
#include "sweep.h"

struct sweep {
        struct job job;
        struct fileh *fileh;
        uint64_t offset;     /* in the file, looked at up to here */
        uint64_t part_begin; /* of the part it is in */
        uint64_t part_end;
        bool part_in_use;    /* some place in it is */
        uint64_t n_before;   /* bytes that the file took when it began, or later, at the most */
        struct ring_op op;
        int error;
};

static void sweep_on_punched(struct ring_op *op, int result) {
        struct sweep *sweep = (struct sweep *) ((char *) op - offsetof(struct sweep, op));

        if (result < 0 && result != -EINTR)
                sweep->error = result;
        sweep->fileh->punch_n = 0;
        job_wake(&sweep->fileh->pager->jobs, &sweep->job);
}

static void sweep_punch(struct sweep *sweep, uint64_t first, uint64_t n) {
        struct fileh *fileh = sweep->fileh;

        fileh->punch_first = first;
        fileh->punch_n = n;
        sweep->op.done = sweep_on_punched;
        ring_punch(fileh->pager->ring, &sweep->op, fileh->spill.fd, first << fileh->block_shift, n << fileh->block_shift);
}

/* A part is marked anew by what is written to it since it is being looked at, and here by what was found in it. */
static void sweep_end_part(struct sweep *sweep) {
        if (sweep->part_in_use || (sweep->error < 0 && sweep->part_end > 0))
                (void) spill_file_mark(&sweep->fileh->spill, sweep->part_begin, sweep->part_begin + 1); /* which has memory for it */
}

/* A file system that cannot do it gets another chance with the next sweep. */
static enum job_result sweep_end(struct sweep *sweep) {
        struct fileh *fileh = sweep->fileh;

        if (sweep->error < 0)
                log_debug("fileh %u: cannot give back room of its spill file: %s", fileh->id, strerror(-sweep->error));
        if (sweep->offset < sweep->part_end || sweep->error < 0)
                sweep_end_part(sweep);
        fileh->is_sweeping = false;
        fileh_look_at_spill_file(fileh);
        if (fileh->spill.n_bytes < sweep->n_before)
                spill_resume(fileh->pager);
        fileh_unref(fileh);
        free(sweep);
        return JOB_DONE;
}

/* The next part. False: there is none. */
static bool sweep_next_part(struct sweep *sweep) {
        struct fileh *fileh = sweep->fileh;

        sweep_end_part(sweep);
        if (!spill_file_next_marked(&fileh->spill, sweep->part_end, &sweep->part_begin, &sweep->part_end))
                return false;
        spill_file_unmark(&fileh->spill, sweep->part_begin);
        sweep->offset = sweep->part_begin;
        sweep->part_in_use = false;
        return true;
}

/* Looks at so many places in a row, up to the end of the first range of them that is not in use. */
static uint64_t sweep_range(struct sweep *sweep, uint64_t *ret_first) {
        struct fileh *fileh = sweep->fileh;
        uint64_t n = 0;

        for (unsigned i = 0; i < JOB_STEP_PAGES && sweep->offset < sweep->part_end; i++, sweep->offset += fileh->block_size) {
                uint64_t block = sweep->offset >> fileh->block_shift;
                bool is_in_use = state_has_place(fileh_state(fileh, block));

                sweep->part_in_use |= is_in_use;
                if (is_in_use && n > 0)
                        break;
                if (!is_in_use && n++ == 0)
                        *ret_first = block;
        }
        return n;
}

static enum job_result sweep_step(struct job *job) {
        struct sweep *sweep = (struct sweep *) job;
        uint64_t first = 0, n;

        if (sweep->fileh->spill.n_bytes > sweep->n_before)
                sweep->n_before = sweep->fileh->spill.n_bytes;
        if (sweep->error < 0 || sweep->fileh->is_closing)
                return sweep_end(sweep);
        if (sweep->offset >= sweep->part_end && !sweep_next_part(sweep))
                return sweep_end(sweep);
        n = sweep_range(sweep, &first);
        if (n == 0)
                return JOB_MORE;
        sweep_punch(sweep, first, n);
        return JOB_WAIT;
}

static void sweep_begin(struct fileh *fileh) {
        struct sweep *sweep;

        fileh_look_at_spill_file(fileh);
        if (fileh->is_closing || fileh->spill.n_bytes == 0)
                return;
        sweep = calloc(1, sizeof(*sweep));
        if (!sweep)
                return;
        *sweep = (struct sweep) { .job = { .step = sweep_step }, .fileh = fileh, .n_before = fileh->spill.n_bytes };
        fileh->is_sweeping = true;
        fileh_ref(fileh);
        job_wake(&fileh->pager->jobs, &sweep->job);
}

/* One that is being swept stays in the queue: places behind it may have become stale. */
void sweep_continue(struct pager *pager) {
        struct fileh *fileh, *next;

        for (fileh = TAILQ_FIRST(&pager->sweep_queue); fileh; fileh = next) {
                next = TAILQ_NEXT(fileh, sweep_entry);
                if (fileh->is_sweeping)
                        continue;
                TAILQ_REMOVE(&pager->sweep_queue, fileh, sweep_entry);
                fileh->in_sweep_queue = false;
                sweep_begin(fileh);
        }
}
