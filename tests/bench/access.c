/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "access.h"
#include "clock.h"
#include "content.h"

/* The end of an access is the beginning of the next: one reading of the clock for each. */
void access_read(struct workload_run *run) {
        uint64_t begin = clock_ns(), end;

        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                run->seen[i] = *(volatile uint64_t *) subject_words(run->subject, run->order[i]);
                end = clock_ns();
                run->latencies[i] = end - begin;
                begin = end;
        }
}

void access_write(struct workload_run *run) {
        uint64_t begin = clock_ns(), end;

        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                *(volatile uint64_t *) (subject_words(run->subject, run->order[i]) + CONTENT_TAG) = run->tag;
                end = clock_ns();
                run->latencies[i] = end - begin;
                begin = end;
        }
}

static int access_complain(const struct workload_run *run, const char *where, uint64_t block) {
        fprintf(stderr, "%s: wrong data in %s, block %ju\n", run->subject->kind->title, where, (uintmax_t) block);
        return -EBADMSG;
}

int access_check_seen(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++)
                if (run->seen[i] != content_word(run->order[i], 0))
                        return access_complain(run, "memory", run->order[i]);
        return 0;
}

int access_check_written(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                const uint64_t *words = subject_words(run->subject, run->order[i]);

                if (words[0] != content_word(run->order[i], 0) || words[CONTENT_TAG] != run->tag)
                        return access_complain(run, "memory", run->order[i]);
        }
        return 0;
}

int access_check_stored(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++)
                if (!content_is_stored(run->setup->content, run->order[i], run->tag))
                        return access_complain(run, "the file", run->order[i]);
        return 0;
}
