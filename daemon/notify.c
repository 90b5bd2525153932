/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "notify.h"

#if HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

int notify_listen_fd(void) {
        int n = sd_listen_fds(1);

        return n == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) > 0 ? SD_LISTEN_FDS_START : -1;
}

uint64_t notify_watchdog_usec(void) {
        uint64_t usec;

        return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

static void notify_systemd(const char *state) {
        (void) sd_notify(0, state); /* nobody may be there to hear it */
}

#else

int notify_listen_fd(void) {
        return -1;
}

uint64_t notify_watchdog_usec(void) {
        return 0;
}

static void notify_systemd(const char *state) {
        (void) state;
}

#endif

bool notify_is_heard(void) {
        return HAVE_LIBSYSTEMD && getenv("NOTIFY_SOCKET");
}

void notify_ready(int ready_fd) {
        notify_systemd("READY=1");
        if (ready_fd < 0)
                return;
        (void) !write(ready_fd, "\n", 1);
        close(ready_fd);
}

void notify_reloading(void) {
        struct timespec now;
        char text[64];

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
        notify_systemd(text);
}

void notify_reloaded(void) {
        notify_systemd("READY=1");
}

void notify_status(const char *text) {
        char state[256];

        snprintf(state, sizeof(state), "STATUS=%s", text);
        notify_systemd(state);
}

void notify_alive(void) {
        notify_systemd("WATCHDOG=1");
}

void notify_stopping(void) {
        notify_systemd("STOPPING=1");
}
