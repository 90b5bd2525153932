/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NOTIFY_H
#define BF_NOTIFY_H

/* What a supervisor is told, and what it hands over. Only notify.c knows libsystemd; without it, or without systemd, everything else works. */

#include <stdbool.h>
#include <stdint.h>

/* The listening socket that systemd made for us, or -1; it is the caller's. */
int notify_listen_fd(void);

/* Is there somebody who is told? */
bool notify_is_heard(void);

/* ready_fd (taken, -1: none): gets a newline, and is closed. */
void notify_ready(int ready_fd);

/* Between these two the configuration is read again. */
void notify_reloading(void);
void notify_reloaded(void);

/* One line, in words. */
void notify_status(const char *text);
void notify_stopping(void);

/* Within what time notify_alive() is to be called, again and again; 0: nobody waits for it. */
uint64_t notify_watchdog_usec(void);
void notify_alive(void);

#endif
