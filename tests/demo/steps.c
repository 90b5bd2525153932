/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "size.h"
#include "steps.h"
#include "verdict.h"

#define STEPS_CHUNK (UINT64_C(1) << 20)

static int steps_pread(struct steps *steps, uint64_t offset, uint8_t *bytes, uint64_t n) {
        for (uint64_t done = 0; done < n;) {
                ssize_t r = pread(steps->fd, bytes + done, n - done, (off_t) (offset + done));

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        return verdict_failed("cannot read the file at byte %ju: %s", (uintmax_t) (offset + done),
                                              r < 0 ? strerror(errno) : "it ended");
                done += (uint64_t) r;
        }
        return 0;
}

/* With learn the model takes the pages as they are, else they must be as it says. */
static int steps_compare_pages(struct steps *steps, uint64_t offset, const uint8_t *bytes, uint64_t n, bool learn) {
        struct model *model = &steps->model;

        for (uint64_t i = 0; i < n; i += MODEL_PAGE) {
                uint64_t page = (offset + i) / MODEL_PAGE;

                if (learn)
                        model->hashes[page] = model_hash(bytes + i, model_page_bytes(model, page));
                else if (!model_fits(model, page, bytes + i))
                        return verdict_failed("page %ju of the file is not what was committed", (uintmax_t) page);
                if (memcmp(steps->memory + offset + i, bytes + i, model_page_bytes(model, page)) != 0)
                        return verdict_failed("page %ju differs between memory and file", (uintmax_t) page);
        }
        return 0;
}

static int steps_read_all(struct steps *steps, bool learn) {
        static uint8_t chunk[STEPS_CHUNK];
        uint64_t size = steps->model.size;
        int r;

        progress_begin(size);
        for (uint64_t offset = 0; offset < size; offset += STEPS_CHUNK) {
                uint64_t n = size - offset < STEPS_CHUNK ? size - offset : STEPS_CHUNK;

                r = steps_pread(steps, offset, chunk, n);
                if (r < 0)
                        return r;
                r = steps_compare_pages(steps, offset, chunk, n, learn);
                if (r < 0)
                        return r;
                progress_update(offset + n);
        }
        progress_clear();
        return 0;
}

static void steps_say_rate(uint64_t bytes, double seconds) {
        char done[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];

        printf("%s in %.2f s, %s/s\n", size_format(bytes, done), seconds,
               size_format((uint64_t) ((double) bytes / (seconds > 0 ? seconds : 1)), rate));
}

int steps_read(struct steps *steps) {
        struct bf_stat stat;
        int r;

        r = steps_read_all(steps, true);
        if (r < 0)
                return r;
        r = bf_stat(steps->fileh, &stat);
        if (r < 0)
                return verdict_failed("%s", bf_errmsg());
        printf("read      every byte through memory equals what pread gives: ");
        steps_say_rate(steps->model.size, progress_seconds());
        printf("          pages loaded when touched: %ju; of these dropped again to make room: %ju\n", (uintmax_t) stat.loads,
               (uintmax_t) stat.evictions);
        return 0;
}

/* Whether the pages of this round are in the file as the model has them. */
static int steps_check_file(struct steps *steps, const char *otherwise) {
        struct model *model = &steps->model;
        uint8_t bytes[MODEL_PAGE];
        int r;

        for (uint64_t i = 0; i < model->n_round; i++) {
                r = steps_pread(steps, model->pages[i] * MODEL_PAGE, bytes, model_page_bytes(model, model->pages[i]));
                if (r < 0)
                        return r;
                if (!model_fits(model, model->pages[i], bytes))
                        return verdict_failed("page %ju: %s", (uintmax_t) model->pages[i], otherwise);
        }
        return 0;
}

static int steps_check_memory(struct steps *steps, const char *otherwise) {
        struct model *model = &steps->model;

        for (uint64_t i = 0; i < model->n_round; i++)
                if (!model_fits(model, model->pages[i], steps->memory + model->pages[i] * MODEL_PAGE))
                        return verdict_failed("page %ju: %s", (uintmax_t) model->pages[i], otherwise);
        return 0;
}

static int steps_check_dirty(struct steps *steps, uint64_t n_pages) {
        struct bf_stat stat;

        if (bf_stat(steps->fileh, &stat) < 0)
                return verdict_failed("%s", bf_errmsg());
        if (stat.dirty_bytes != n_pages * MODEL_PAGE)
                return verdict_failed("%ju bytes are dirty where %ju pages should be", (uintmax_t) stat.dirty_bytes, (uintmax_t) n_pages);
        return 0;
}

int steps_change(struct steps *steps, uint64_t n) {
        struct model *model = &steps->model;
        int r;

        model_begin_round(model, n);
        for (uint64_t i = 0; i < model->n_round; i++)
                model_change(model, i, steps->memory + model->pages[i] * MODEL_PAGE);
        r = steps_check_dirty(steps, model->n_round);
        if (r == 0)
                r = steps_check_file(steps, "a change is in the file before it was committed");
        if (r == 0)
                printf("change    pages changed in memory: %ju; the file does not have it\n", (uintmax_t) model->n_round);
        return r;
}

int steps_commit(struct steps *steps) {
        uint64_t bytes = steps->model.n_round * MODEL_PAGE;
        double seconds;
        int r;

        progress_begin(bytes);
        r = bf_writeout(steps->fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | BF_WRITEOUT_SYNC);
        if (r < 0)
                return verdict_failed("%s", bf_errmsg());
        seconds = progress_seconds();
        model_commit(&steps->model);
        r = steps_check_file(steps, "a committed change is not in the file");
        if (r == 0)
                r = steps_check_dirty(steps, 0);
        if (r < 0)
                return r;
        model_end_round(&steps->model);
        steps->n_commits++;
        printf("commit    stored and on disk: ");
        steps_say_rate(bytes, seconds);
        return 0;
}

int steps_discard(struct steps *steps) {
        int r;

        r = bf_discard(steps->fileh);
        if (r < 0)
                return verdict_failed("%s", bf_errmsg());
        r = steps_check_dirty(steps, 0);
        if (r == 0)
                r = steps_check_memory(steps, "a discarded change is still in memory");
        if (r == 0)
                r = steps_check_file(steps, "a discarded change is in the file");
        if (r < 0)
                return r;
        model_end_round(&steps->model);
        steps->n_discards++;
        printf("discard   dropped; neither memory nor file has it\n");
        return 0;
}

int steps_check(struct steps *steps) {
        int r;

        r = steps_read_all(steps, false);
        if (r < 0)
                return r;
        printf("check     every byte, in memory and in the file, is what was committed: ");
        steps_say_rate(steps->model.size, progress_seconds());
        return 0;
}
