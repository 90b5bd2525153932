/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the whole file, word by word, from the beginning to the end. */

#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "content.h"
#include "workload.h"

static int workload_sequential_read_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t begin, sum = 0;
        int r;

        r = run->subject->kind->drop(run->subject);
        if (r < 0)
                return r;
        begin = clock_ns();
        for (uint64_t block = 0; block < content->n_blocks; block++)
                sum += content_sum_block(subject_words(run->subject, block));
        run->ns = clock_ns() - begin;
        run->bytes = content->size;
        if (sum != content->sum) {
                fprintf(stderr, "%s: the sum of all words read is wrong\n", run->subject->kind->title);
                return -EBADMSG;
        }
        return 0;
}

const struct workload workload_sequential_read = {
        .name = "sequential-read",
        .title = "sequential read of the whole file",
        .unit = WORKLOAD_RATE,
        .run = workload_sequential_read_run,
};
