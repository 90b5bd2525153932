/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_COLUMNS_H
#define BF_COLUMNS_H

/* Tables for people: which columns there are, how a cell is written, and by what lines are sorted. It knows neither the daemon nor the terminal. */

#include <stdbool.h>
#include <stddef.h>

/* Room for any cell. */
#define COLUMNS_CELL_MAX 520

struct column {
        const char *name; /* for --sort */
        const char *title;
        int width;     /* at least; the last column has none */
        bool is_left;  /* aligned to the left; else to the right */
        bool is_wide;  /* left out where there is little room */
        void (*format)(const void *line, char text[static COLUMNS_CELL_MAX]);
        double (*key)(const void *line); /* sorted by it, the greatest first; NULL: by the text */
};

/* A column without name ends them. */
struct columns {
        const struct column *columns;
        const char *sort; /* the usual one */
};

/* NULL: there is none of that name; "unknown column ..." has been said. */
const struct column *columns_find(const struct columns *columns, const char *name);

/* Lines of that size each. */
void columns_sort(const struct column *by, void *lines, size_t n, size_t size);

/* The title line, or a line; is_wide: with all columns. width: the last cell is shortened, if it can be, so that the line is no longer; 0: it is not. */
void columns_write_titles(const struct columns *columns, bool is_wide, char *text, size_t size);
void columns_write(const struct columns *columns, const void *line, bool is_wide, size_t width, char *text, size_t size);

/* A name from outside without what would upset a terminal. */
void columns_clean(char *text);

#endif
