/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "waiter.h"

int waiters_add_fault(struct waiters *waiters, struct mapping *mapping, uint64_t block, bool write, uint64_t since) {
        struct waiter *w;

        STAILQ_FOREACH(w, waiters, entry)
                if (w->mapping == mapping && w->block == block) {
                        w->write |= write;
                        return 0;
                }
        w = malloc(sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct waiter) { .block = block, .mapping = mapping, .write = write, .since = since };
        STAILQ_INSERT_TAIL(waiters, w, entry);
        return 0;
}

int waiters_add_job(struct waiters *waiters, uint64_t block, struct job_waiter job_waiter) {
        struct waiter *w = malloc(sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (struct waiter) { .block = block, .job_waiter = job_waiter };
        STAILQ_INSERT_TAIL(waiters, w, entry);
        return 0;
}

struct mapping *waiters_mapping(const struct waiters *waiters) {
        const struct waiter *w;

        STAILQ_FOREACH(w, waiters, entry)
                if (w->mapping)
                        return w->mapping;
        return NULL;
}

void waiters_remove_mapping(struct waiters *waiters, const struct mapping *mapping) {
        struct waiter *w, *next;

        for (w = STAILQ_FIRST(waiters); w; w = next) {
                next = STAILQ_NEXT(w, entry);
                if (w->mapping != mapping)
                        continue;
                STAILQ_REMOVE(waiters, w, waiter, entry);
                free(w);
        }
}

void waiters_take_faults(struct waiters *waiters, uint64_t first, uint64_t last, struct waiters *to) {
        struct waiters rest = STAILQ_HEAD_INITIALIZER(rest);
        struct waiter *w;

        while ((w = STAILQ_FIRST(waiters))) {
                STAILQ_REMOVE_HEAD(waiters, entry);
                if (w->mapping && w->block >= first && w->block <= last)
                        STAILQ_INSERT_TAIL(to, w, entry);
                else
                        STAILQ_INSERT_TAIL(&rest, w, entry);
        }
        STAILQ_CONCAT(waiters, &rest);
}

uint64_t waiters_count_faults(const struct waiters *waiters, uint64_t *oldest) {
        const struct waiter *w;
        uint64_t n = 0;

        STAILQ_FOREACH(w, waiters, entry)
                if (w->mapping) {
                        n++;
                        if (w->since < *oldest)
                                *oldest = w->since;
                }
        return n;
}

void waiters_end(struct waiters *waiters, int error, void (*wake)(struct mapping *mapping, uint64_t block, uint64_t since)) {
        struct waiter *w;

        while ((w = STAILQ_FIRST(waiters))) {
                STAILQ_REMOVE_HEAD(waiters, entry);
                if (w->mapping)
                        wake(w->mapping, w->block, w->since);
                else
                        w->job_waiter.ended(w->job_waiter.job, error);
                free(w);
        }
}
