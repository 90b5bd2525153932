/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "complain.h"

#define COLUMNS_MAX 16

/* A name is not cut to less. */
#define COLUMNS_SHORT_MIN 8

const struct column *columns_find(const struct columns *columns, const char *name) {
        const char *names[COLUMNS_MAX + 1] = { NULL };
        size_t n = 0;

        for (const struct column *column = columns->columns; column->name; column++) {
                if (strcmp(column->name, name) == 0)
                        return column;
                names[n++] = column->name;
        }
        complain_unlisted("column", name, names);
        return NULL;
}

static int columns_compare(const void *a, const void *b, void *owner) {
        const struct column *by = owner;
        char a_text[COLUMNS_CELL_MAX], b_text[COLUMNS_CELL_MAX];

        if (by->key) {
                double a_key = by->key(a), b_key = by->key(b);

                return (a_key < b_key) - (a_key > b_key);
        }
        by->format(a, a_text);
        by->format(b, b_text);
        return strcmp(a_text, b_text);
}

void columns_sort(const struct column *by, void *lines, size_t n, size_t size) {
        qsort_r(lines, n, size, columns_compare, (void *) by);
}

void columns_clean(char *text) {
        for (; *text; text++)
                if ((unsigned char) *text < ' ' || *text == 0x7f)
                        *text = '?';
}

/* Of a name that is too long its end is what tells it from others. */
static const char *columns_shorten(char *cell, size_t room) {
        size_t n = strlen(cell);
        char *end;

        if (n <= room || room < COLUMNS_SHORT_MIN)
                return cell;
        end = cell + n - room;
        while (((unsigned char) end[3] & 0xc0) == 0x80) /* no half of a character */
                end++;
        memcpy(end, "...", 3);
        return end;
}

/* width: of the whole line; 0: any. */
static void columns_append(const struct column *column, char *cell_text, size_t width, char *text, size_t size) {
        size_t n = strlen(text);
        bool is_last = !column[1].name;
        const char *cell = is_last && width > n + 2 ? columns_shorten(cell_text, width - n - 2) : cell_text;

        snprintf(text + n, size - n, "%s%*s", n > 0 ? "  " : "", column->is_left ? is_last ? 0 : -column->width : column->width, cell);
}

static void columns_append_title(const struct column *column, char *text, size_t size) {
        char title[COLUMNS_CELL_MAX];

        snprintf(title, sizeof(title), "%s", column->title);
        columns_append(column, title, 0, text, size);
}

void columns_write_titles(const struct columns *columns, bool is_wide, char *text, size_t size) {
        *text = '\0';
        for (const struct column *column = columns->columns; column->name; column++)
                if (is_wide || !column->is_wide)
                        columns_append_title(column, text, size);
}

void columns_write(const struct columns *columns, const void *line, bool is_wide, size_t width, char *text, size_t size) {
        char cell[COLUMNS_CELL_MAX];

        *text = '\0';
        for (const struct column *column = columns->columns; column->name; column++) {
                if (!is_wide && column->is_wide)
                        continue;
                column->format(line, cell);
                columns_clean(cell);
                columns_append(column, cell, width, text, size);
        }
}
