/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

/* Draws lines over two axes, as SVG. It does not know what they mean. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct plot_point {
        double x;
        double y;
};

struct plot_line {
        const char *title;
        const struct plot_point *points; /* x grows */
        size_t n;
};

struct plot {
        const char *title;
        const char *x_title;
        const char *y_title;
        bool x_is_log; /* then each x is above 0 */
        const struct plot_line *lines;
        size_t n_lines; /* PLOT_LINES_MAX at most are drawn */
};

#define PLOT_LINES_MAX 10

/* y begins at 0; x where the first point is. Titles have no characters that are special in XML. 0 or -EIO. */
int plot_svg(FILE *out, const struct plot *plot);

#endif
