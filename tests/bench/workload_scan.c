/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Scans of the whole file, word by word: from the beginning to the end with room for all of it in the pool, with less, with huge pages, with nothing of it in
 * the page cache; from the end to the beginning; each 16th page; two halves in turn. And a write to each page in order.
 */

#include <errno.h>
#include <stdio.h>

#include "access.h"
#include "content.h"
#include "workload.h"

#define WORKLOAD_SCAN_STRIDE 16
#define WORKLOAD_SCAN_TURN 16 /* blocks of one stream before the other's turn */

/* Adds up the n blocks from first on, each step further. */
static int workload_scan_add(struct workload_run *run, uint64_t first, uint64_t n, int64_t step, uint64_t *sum) {
        for (uint64_t i = 0, block = first; i < n; i++, block += (uint64_t) step) {
                const uint64_t *words = subject_look(run->subject, block);

                if (!words)
                        return -EIO;
                *sum += content_sum_block(words);
        }
        return 0;
}

static int workload_scan_end(struct workload_run *run, uint64_t sum) {
        int r;

        r = access_end(run);
        if (r < 0)
                return r;
        run->bytes = run->setup->content->size;
        if (sum == run->setup->content->sum)
                return 0;
        fprintf(stderr, "%s: the sum of all words read is wrong\n", run->subject->kind->title);
        return -EBADMSG;
}

static int workload_scan_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t sum = 0;
        int r;

        r = access_begin(run);
        if (r == 0)
                r = workload_scan_add(run, 0, content->n_blocks, 1, &sum);
        return r < 0 ? r : workload_scan_end(run, sum);
}

static int workload_scan_reverse_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t sum = 0;
        int r;

        r = access_begin(run);
        if (r == 0)
                r = workload_scan_add(run, content->n_blocks - 1, content->n_blocks, -1, &sum);
        return r < 0 ? r : workload_scan_end(run, sum);
}

/* What is read of the file counts, not what lies between. */
static int workload_scan_strided_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t n = content->n_blocks / WORKLOAD_SCAN_STRIDE, sum = 0, expected = 0;
        int r;

        r = access_begin(run);
        if (r == 0)
                r = workload_scan_add(run, 0, n, WORKLOAD_SCAN_STRIDE, &sum);
        if (r == 0)
                r = access_end(run);
        if (r < 0)
                return r;
        run->bytes = n * CONTENT_BLOCK;
        for (uint64_t i = 0; i < n; i++)
                expected += content_sum_of(i * WORKLOAD_SCAN_STRIDE);
        if (sum == expected)
                return 0;
        fprintf(stderr, "%s: the sum of the words read is wrong\n", run->subject->kind->title);
        return -EBADMSG;
}

static int workload_scan_two_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        uint64_t n_half = content->n_blocks / 2, sum = 0;
        int r;

        r = access_begin(run);
        for (uint64_t at = 0; r == 0 && at < n_half; at += WORKLOAD_SCAN_TURN) {
                uint64_t n = n_half - at < WORKLOAD_SCAN_TURN ? n_half - at : WORKLOAD_SCAN_TURN;

                r = workload_scan_add(run, at, n, 1, &sum);
                if (r == 0)
                        r = workload_scan_add(run, n_half + at, n, 1, &sum);
        }
        if (r == 0)
                r = workload_scan_add(run, 2 * n_half, content->n_blocks - 2 * n_half, 1, &sum);
        return r < 0 ? r : workload_scan_end(run, sum);
}

static int workload_scan_cold_run(struct workload_run *run) {
        unsigned left;
        int r;

        r = content_chill(run->setup->content, &left);
        if (r < 0)
                return r;
        if (left > CONTENT_LEFT_MAX) {
                reason_say(&run->reason, "%u of a thousand blocks of the file stay in the page cache (--dir)", left);
                return WORKLOAD_SKIPPED;
        }
        content_warm_memory(run->setup->content);
        return workload_scan_run(run);
}

static int workload_scan_write_run(struct workload_run *run) {
        const struct content *content = run->setup->content;
        int r;

        r = access_begin(run);
        for (uint64_t block = 0; r == 0 && block < content->n_blocks; block++)
                r = subject_write(run->subject, block, run->tag);
        if (r == 0)
                r = access_end(run);
        run->bytes = content->size;
        for (uint64_t block = 0; r == 0 && block < content->n_blocks; block++) {
                const uint64_t *words = subject_look(run->subject, block);

                if (!words || words[0] != content_word(block, 0) || words[CONTENT_TAG] != run->tag)
                        r = -EBADMSG;
        }
        return r;
}

static const struct subject_kind *const workload_scan_subjects[] = {
        &subject_floor,     &subject_floor_2m, &subject_mmap_normal, &subject_mmap_random, &subject_file,
        &subject_file_huge, &subject_signal,   &subject_bigfile,     NULL,
};
static const struct subject_kind *const workload_scan_full_subjects[] = { &subject_floor, &subject_floor_2m, &subject_bigfile, NULL };
static const struct subject_kind *const workload_scan_huge_subjects[] = { &subject_file_huge, &subject_bigfile_huge, NULL };
static const struct subject_kind *const workload_scan_cold_subjects[] = {
        &subject_mmap_normal, &subject_mmap_random, &subject_file_huge, &subject_bigfile_direct, &subject_bigfile, NULL, /* what that one has read stays mapped by its daemon */
};
static const struct subject_kind *const workload_scan_odd_subjects[] = { &subject_floor, &subject_floor_2m, &subject_mmap_normal, &subject_bigfile, NULL };
static const struct subject_kind *const workload_scan_write_subjects[] = { &subject_floor, &subject_mmap_normal, &subject_bigfile, NULL };

#define WORKLOAD_SCAN_ROOM 125 /* percent of the file: all of it, and the pool's low mark */

#define WORKLOAD_SCAN(name_, title_, run_, subjects_, base_, pool_percent_)                                                                                 \
        .name = name_, .title = title_, .unit = WORKLOAD_RATE, .run = run_, .subjects = subjects_, .base = &base_, .pool_percent = pool_percent_,           \
        .n_runs_max = 3

const struct workload workload_sequential_read = {
        WORKLOAD_SCAN("sequential-read", "sequential read of the whole file", workload_scan_run, workload_scan_subjects, subject_floor_2m, WORKLOAD_SCAN_ROOM),
};

const struct workload workload_sequential_read_full = {
        WORKLOAD_SCAN("sequential-read-full", "sequential read, the pool a quarter of the file", workload_scan_run, workload_scan_full_subjects,
                      subject_floor_2m, 25),
};

const struct workload workload_sequential_huge = {
        WORKLOAD_SCAN("sequential-huge", "sequential read, huge pages, the pool a quarter of the file", workload_scan_run, workload_scan_huge_subjects,
                      subject_file_huge, 25),
};

const struct workload workload_sequential_cold = {
        WORKLOAD_SCAN("sequential-cold", "sequential read, nothing of the file in the page cache", workload_scan_cold_run, workload_scan_cold_subjects,
                      subject_mmap_normal, WORKLOAD_SCAN_ROOM),
        .flags = WORKLOAD_FRESH, /* who has the file mapped keeps it in the page cache */
};

const struct workload workload_reverse_read = {
        WORKLOAD_SCAN("reverse-read", "read of the whole file from its end", workload_scan_reverse_run, workload_scan_odd_subjects, subject_floor,
                      WORKLOAD_SCAN_ROOM),
};

const struct workload workload_strided_read = {
        WORKLOAD_SCAN("strided-read", "read of each 16th page", workload_scan_strided_run, workload_scan_odd_subjects, subject_floor, WORKLOAD_SCAN_ROOM),
};

const struct workload workload_two_streams = {
        WORKLOAD_SCAN("two-streams", "sequential read of two halves in turn", workload_scan_two_run, workload_scan_odd_subjects, subject_floor,
                      WORKLOAD_SCAN_ROOM),
};

const struct workload workload_sequential_write = {
        WORKLOAD_SCAN("sequential-write", "first write to each page of the file, in order", workload_scan_write_run, workload_scan_write_subjects,
                      subject_floor, WORKLOAD_SCAN_ROOM),
};
