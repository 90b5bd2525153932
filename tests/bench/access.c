/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>

#include "access.h"
#include "clock.h"
#include "content.h"

static int access_count(struct workload_run *run, struct subject_counts *ret_counts) {
        *ret_counts = (struct subject_counts){ .cpu_ns = UINT64_MAX };
        return run->subject->kind->count ? run->subject->kind->count(run->subject, ret_counts) : 0;
}

int access_begin(struct workload_run *run) {
        int r = access_count(run, &run->before);

        run->begin = clock_ns();
        return r;
}

int access_end(struct workload_run *run) {
        uint64_t end = clock_ns();
        struct subject_counts after;
        int r;

        r = access_count(run, &after);
        run->ns = end - run->begin;
        run->cpu_ns = after.cpu_ns == UINT64_MAX ? UINT64_MAX : after.cpu_ns - run->before.cpu_ns;
        run->n_loads = after.n_loads - run->before.n_loads;
        return r;
}

/* The end of an access is the beginning of the next: one reading of the clock for each. */
static int access_read_all(struct workload_run *run) {
        uint64_t begin = clock_ns(), end;

        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                const uint64_t *words = subject_look(run->subject, run->order[i]);

                if (!words)
                        return -EIO;
                run->seen[i] = *(volatile const uint64_t *) words;
                end = clock_ns();
                run->latencies[i] = end - begin;
                begin = end;
        }
        return 0;
}

static int access_write_all(struct workload_run *run) {
        uint64_t begin = clock_ns(), end;

        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                if (subject_write(run->subject, run->order[i], run->tag) < 0)
                        return -EIO;
                end = clock_ns();
                run->latencies[i] = end - begin;
                begin = end;
        }
        return 0;
}

static int access_measure(struct workload_run *run, int (*all)(struct workload_run *run)) {
        int r = access_begin(run);

        if (r == 0)
                r = all(run);
        return r < 0 ? r : access_end(run);
}

int access_read(struct workload_run *run) {
        return access_measure(run, access_read_all);
}

int access_write(struct workload_run *run) {
        return access_measure(run, access_write_all);
}

static int access_complain(const struct subject *subject, const char *where, uint64_t block) {
        fprintf(stderr, "%s: wrong data in %s, block %ju\n", subject->kind->title, where, (uintmax_t) block);
        return -EBADMSG;
}

int access_check_word(const struct subject *subject, uint64_t block, uint64_t word) {
        return word == content_word(block, 0) ? 0 : access_complain(subject, "memory", block);
}

int access_check_seen(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++)
                if (access_check_word(run->subject, run->order[i], run->seen[i]) < 0)
                        return -EBADMSG;
        return 0;
}

int access_check_written(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++) {
                const uint64_t *words = subject_look(run->subject, run->order[i]);

                if (!words || words[0] != content_word(run->order[i], 0) || words[CONTENT_TAG] != run->tag)
                        return access_complain(run->subject, "memory", run->order[i]);
        }
        return 0;
}

int access_check_stored(const struct workload_run *run) {
        for (size_t i = 0; i < run->setup->n_accesses; i++)
                if (!content_is_stored(run->setup->content, run->order[i], run->tag))
                        return access_complain(run->subject, "the file", run->order[i]);
        return 0;
}
