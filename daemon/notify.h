/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BF_NOTIFY_H
#define BF_NOTIFY_H

/* What a supervisor is told, and what it hands over. Only notify.c knows libsystemd; without it, or without systemd, everything else works. */

/* The listening socket that systemd made for us, or -1; it is the caller's. */
int notify_listen_fd(void);

/* ready_fd (taken, -1: none): gets a newline, and is closed. */
void notify_ready(int ready_fd);
void notify_stopping(void);

#endif
