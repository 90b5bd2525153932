/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_TERM_H
#define BF_TERM_H

/* The terminal as a screen that is drawn again and again. Only term.c knows its codes. There is one of it. */

#include <stdbool.h>
#include <stdint.h>

enum term_style {
        TERM_PLAIN,
        TERM_BOLD,
        TERM_REVERSE,
        TERM_GOOD,
        TERM_BAD,
        TERM_DIM,
        N_TERM_STYLES,
};

enum term_key {
        TERM_NOTHING, /* the time is up, or the window has another size */
        TERM_QUIT,    /* q, or a signal that ends programs */
        TERM_TAB,
        TERM_LEFT,
        TERM_RIGHT,
        TERM_SPACE,
};

/* -ENOTTY: there is none. Colours unless $NO_COLOR is set. */
int term_begin(void);

/* As it was before; also from a signal handler. */
void term_end(void);

/* Begins to draw; what it is large. */
void term_draw(unsigned *ret_rows, unsigned *ret_columns);

/* Writes into the line that is being drawn, and ends it. What is beyond the right or the lower edge is not seen. */
void term_write(enum term_style style, const char *format, ...) __attribute__((format(printf, 2, 3)));
void term_newline(void);

/* Goes to that row, from 0. */
void term_go(unsigned row);

/* Shows what was drawn. */
void term_show(void);

/* Waits for a key, for so long at the most. */
enum term_key term_wait(uint64_t usec);

/* Has the window got another size since this was asked last? */
bool term_take_resize(void);

#endif
