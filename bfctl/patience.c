/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "patience.h"

#define PATIENCE_SECONDS 10

/* What the alarm says; written before it is set, as a signal handler cannot. */
static char patience_text[256];
static void (*patience_farewell)(void);

static void patience_on_alarm(int signal) {
        ssize_t n;

        (void) signal;
        if (patience_farewell)
                patience_farewell();
        n = write(STDERR_FILENO, patience_text, strlen(patience_text));
        (void) n;
        _exit(EXIT_NO_DAEMON);
}

void patience_begin(const char *socket) {
        snprintf(patience_text, sizeof(patience_text), "bfctl: bigfiled at %.128s has not answered for %d seconds: it is hung, stopped or gone\n", socket,
                 PATIENCE_SECONDS);
        (void) signal(SIGALRM, patience_on_alarm);
        (void) alarm(PATIENCE_SECONDS);
}

void patience_end(void) {
        (void) alarm(0);
}

void patience_set_farewell(void (*farewell)(void)) {
        patience_farewell = farewell;
}
