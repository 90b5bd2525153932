/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_ASK_H
#define BF_ASK_H

/* Asking the daemon for reports (proto/report.h). Failures are told by bf_errmsg(). */

#include <stdbool.h>
#include <stddef.h>

#include "client.h"
#include "report.h"

/* Lines of one kind, all of the same size. */
struct answer {
        void *lines;
        size_t n;
        unsigned n_silent; /* pagers that could not be asked: what they have is missing */
};

void answer_fini(struct answer *answer);

/* Without a userfaultfd, which this program has no use for and its user perhaps no right to. */
int ask_connect(const char *socket, struct bf_client **ret);

/* Of all pagers, if it is of a kind that each of them tells itself. line: the size of one. */
int ask(struct bf_client *client, enum report_kind kind, size_t line, struct answer *ret);

int ask_stats(struct bf_client *client, struct report_stats *ret);

static inline const struct report_peer *answer_peer(const struct answer *answer, size_t i) {
        return (const struct report_peer *) answer->lines + i;
}

static inline const struct report_file *answer_file(const struct answer *answer, size_t i) {
        return (const struct report_file *) answer->lines + i;
}

static inline const struct report_handle *answer_handle(const struct answer *answer, size_t i) {
        return (const struct report_handle *) answer->lines + i;
}

#endif
