/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_REPORTS_H
#define BF_REPORTS_H

/*
 * Memories that hold what the daemon tells of itself, on their way to clients. Who has got one can keep it for as long as he likes, and it counts as the daemon's: so what
 * those that were given last may take together is limited, and earlier ones are emptied; and so are those of a client that goes.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Of all that are given, bytes and number. */
#define REPORTS_BYTES_MAX (UINT64_C(64) << 20)
#define REPORTS_MAX 64u

/* One that is being written. */
struct report {
        int fd;
        uint64_t length;
};

int report_begin(struct report *report);
int report_add(struct report *report, const void *bytes, size_t n);

/* From now on nobody can write to it, and its descriptor is another one, for reading only. */
int report_end(struct report *report);

struct reports {
        TAILQ_HEAD(, reports_entry) entries; /* the oldest first -> entry->next */
        uint64_t n_bytes;
        unsigned n;
};

void reports_init(struct reports *reports);
void reports_fini(struct reports *reports);

/* One more is given to that peer; fd is borrowed. */
int reports_keep(struct reports *reports, uint64_t peer, int fd, uint64_t length);

/* The peer is gone. */
void reports_forget(struct reports *reports, uint64_t peer);

#endif
