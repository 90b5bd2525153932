/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "term.h"

#define TERM_BUFFER_MAX 65536
#define TERM_ENTER "\033[?1049h\033[?25l" /* the other screen, without a cursor */
#define TERM_LEAVE "\033[0m\033[?25h\033[?1049l"

static const char *const term_codes[N_TERM_STYLES] = {
        [TERM_PLAIN] = "", [TERM_BOLD] = "\033[1m", [TERM_REVERSE] = "\033[7m", [TERM_GOOD] = "\033[32m", [TERM_BAD] = "\033[1;31m", [TERM_DIM] = "\033[2m",
};

static struct {
        struct termios before;
        bool is_on;
        bool has_colour;
        unsigned rows;
        unsigned columns;
        unsigned row;
        unsigned column;
        char buffer[TERM_BUFFER_MAX];
        size_t n;
        char typed[64]; /* and not taken yet */
        size_t n_typed;
} term;

static volatile sig_atomic_t term_is_ended, term_is_resized;

static void term_on_signal(int signal) {
        if (signal == SIGWINCH)
                term_is_resized = 1;
        else
                term_is_ended = 1;
}

static void term_catch(int signal) {
        const struct sigaction action = { .sa_handler = term_on_signal }; /* poll() is to be interrupted */

        (void) sigaction(signal, &action, NULL);
}

static void term_send(const char *text, size_t n) {
        while (n > 0) {
                ssize_t r = write(STDOUT_FILENO, text, n);

                if (r < 0 && errno != EINTR)
                        return;
                if (r > 0) {
                        text += r;
                        n -= (size_t) r;
                }
        }
}

int term_begin(void) {
        struct termios raw;

        if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &term.before) < 0)
                return -ENOTTY;
        raw = term.before;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
                return -errno;
        term.has_colour = !getenv("NO_COLOR");
        term.is_on = true;
        term_catch(SIGWINCH);
        term_catch(SIGINT);
        term_catch(SIGTERM);
        term_catch(SIGHUP);
        term_send(TERM_ENTER, strlen(TERM_ENTER));
        return 0;
}

void term_end(void) {
        if (!term.is_on)
                return;
        term.is_on = false;
        term_send(TERM_LEAVE, strlen(TERM_LEAVE));
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &term.before);
}

/* --- drawing ------------------------------------------------------------------------------------------------------------------------------------ */

static void term_put(const char *text) {
        size_t n = strlen(text);

        if (n > sizeof(term.buffer) - term.n)
                n = sizeof(term.buffer) - term.n;
        memcpy(term.buffer + term.n, text, n);
        term.n += n;
}

void term_draw(unsigned *ret_rows, unsigned *ret_columns) {
        struct winsize size = { .ws_row = 0 };

        (void) ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        term.rows = size.ws_row > 0 ? size.ws_row : 24;
        term.columns = size.ws_col > 0 ? size.ws_col : 80;
        term.row = term.column = 0;
        term.n = 0;
        term_put("\033[H");
        *ret_rows = term.rows;
        *ret_columns = term.columns;
}

/* Cuts a text where so many columns are full: each character takes one. */
static void term_cut(char *text, unsigned room) {
        unsigned n = 0;

        for (; *text; text++) {
                n += ((unsigned char) *text & 0xc0) != 0x80;
                if (n > room) {
                        *text = '\0';
                        return;
                }
        }
}

static unsigned term_width(const char *text) {
        unsigned n = 0;

        for (; *text; text++)
                n += ((unsigned char) *text & 0xc0) != 0x80;
        return n;
}

void term_write(enum term_style style, const char *format, ...) {
        char text[1024];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (term.row >= term.rows)
                return;
        term_cut(text, term.columns - term.column);
        term.column += term_width(text);
        if (term.has_colour)
                term_put(term_codes[style]);
        term_put(text);
        if (term.has_colour && *term_codes[style])
                term_put("\033[0m");
}

/* A line that is full would be wrapped: then there is nothing to be erased behind it. */
void term_newline(void) {
        if (term.row < term.rows) {
                if (term.column < term.columns)
                        term_put("\033[K");
                if (term.row + 1 < term.rows)
                        term_put("\r\n");
        }
        term.row++;
        term.column = 0;
}

void term_go(unsigned row) {
        while (term.row < row)
                term_newline();
}

void term_show(void) {
        if (term.row < term.rows)
                term_put("\033[J");
        term_send(term.buffer, term.n);
}

/* --- keys --------------------------------------------------------------------------------------------------------------------------------------- */

/* Takes the first key of those that were typed. */
static enum term_key term_take_key(void) {
        static const struct {
                const char *bytes;
                enum term_key key;
        } keys[] = {
                { "\033[D", TERM_LEFT }, { "\033OD", TERM_LEFT },   { "\033[C", TERM_RIGHT }, { "\033OC", TERM_RIGHT }, { "<", TERM_LEFT },
                { ">", TERM_RIGHT },     { "\t", TERM_TAB },         { " ", TERM_SPACE },      { "q", TERM_QUIT },        { "Q", TERM_QUIT },
        };
        enum term_key key = TERM_NOTHING;
        size_t n = 1;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                size_t length = strlen(keys[i].bytes);

                if (length <= term.n_typed && memcmp(term.typed, keys[i].bytes, length) == 0) {
                        key = keys[i].key;
                        n = length;
                }
        }
        term.n_typed -= n;
        memmove(term.typed, term.typed + n, term.n_typed);
        return key;
}

static uint64_t term_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* False: the terminal is gone. */
static bool term_read(int msec) {
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        ssize_t n;

        if (poll(&input, 1, msec) <= 0)
                return true;
        n = read(STDIN_FILENO, term.typed + term.n_typed, sizeof(term.typed) - term.n_typed);
        if (n > 0)
                term.n_typed += (size_t) n;
        return n > 0 || (n < 0 && errno == EINTR);
}

enum term_key term_wait(uint64_t usec) {
        uint64_t end = term_now() + usec, now;
        enum term_key key = TERM_NOTHING;

        while (!term_is_ended && key == TERM_NOTHING) {
                if (term.n_typed > 0)
                        key = term_take_key();
                else if (term_is_resized || (now = term_now()) >= end)
                        break;
                else if (!term_read((int) ((end - now + 999) / 1000)))
                        return TERM_QUIT;
        }
        return term_is_ended ? TERM_QUIT : key;
}

bool term_take_resize(void) {
        bool was_resized = term_is_resized;

        term_is_resized = 0;
        return was_resized;
}
