/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "size.h"

#define PROGRESS_WIDTH 40
#define PROGRESS_BAR_SECONDS 0.2
#define PROGRESS_LINE_SECONDS 10.0

/* There is one terminal, so there is one bar. */
static struct {
        uint64_t total;
        double begin;
        double shown; /* when it was last drawn */
        bool is_drawn;
} progress;

static double progress_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

void progress_begin(uint64_t total_bytes) {
        progress.total = total_bytes;
        progress.begin = progress.shown = progress_now();
}

double progress_seconds(void) {
        return progress_now() - progress.begin;
}

static void progress_draw(double part, const char *rate) {
        static const char full[] = "########################################", empty[] = "........................................";
        int n = (int) (part * PROGRESS_WIDTH);

        printf("\r\033[K          [%.*s%.*s] %3d%%  %s/s", n, full, PROGRESS_WIDTH - n, empty, (int) (part * 100), rate);
        fflush(stdout);
        progress.is_drawn = true;
}

void progress_update(uint64_t done_bytes) {
        bool is_terminal = isatty(STDOUT_FILENO);
        double now = progress_now(), part = (double) done_bytes / (double) progress.total;
        char rate[SIZE_TEXT_MAX];

        if (now - progress.shown < (is_terminal ? PROGRESS_BAR_SECONDS : PROGRESS_LINE_SECONDS))
                return;
        progress.shown = now;
        size_format((uint64_t) ((double) done_bytes / (now - progress.begin)), rate);
        if (is_terminal)
                progress_draw(part, rate);
        else
                printf("          %d%%, %s/s\n", (int) (part * 100), rate);
}

void progress_clear(void) {
        if (progress.is_drawn)
                printf("\r\033[K");
        progress.is_drawn = false;
}
