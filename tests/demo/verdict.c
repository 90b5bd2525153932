/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bfclient.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "verdict.h"

__attribute__((format(printf, 2, 0))) static void verdict_print(const char *word, const char *format, va_list args) {
        progress_clear();
        printf("%s: ", word);
        vprintf(format, args);
        printf("\n");
        fflush(stdout);
}

int verdict_failed(const char *format, ...) {
        va_list args;

        va_start(args, format);
        verdict_print("FAILED", format, args);
        va_end(args);
        return -1;
}

void verdict_ok(const char *format, ...) {
        va_list args;

        va_start(args, format);
        verdict_print("OK", format, args);
        va_end(args);
}

static void verdict_say(const char *text) {
        ssize_t n = write(STDOUT_FILENO, text, strlen(text));

        (void) n; /* there is nobody left to tell */
}

/* Only what is async-signal-safe: bf_fault_error, strerrordesc_np, write, _exit. */
static void verdict_on_sigbus(int signal_number, siginfo_t *info, void *context) {
        const char *reason = NULL;
        int error;

        (void) signal_number;
        (void) context;
        if (bf_fault_error(info->si_addr, &error) == 0)
                reason = strerrordesc_np(error);
        verdict_say("\nFAILED: a page could not be loaded: ");
        verdict_say(reason ? reason : "no reason is known (SIGBUS)");
        verdict_say("\n");
        _exit(EXIT_FAILURE);
}

void verdict_catch_sigbus(void) {
        struct sigaction action = { .sa_sigaction = verdict_on_sigbus, .sa_flags = SA_SIGINFO };

        sigaction(SIGBUS, &action, NULL);
}
