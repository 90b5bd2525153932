/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <unistd.h>

#include "config.h"
#include "notify.h"

#if HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

int notify_listen_fd(void) {
        int n = sd_listen_fds(1);

        return n == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) > 0 ? SD_LISTEN_FDS_START : -1;
}

static void notify_systemd(const char *state) {
        (void) sd_notify(0, state); /* nobody may be there to hear it */
}

#else

int notify_listen_fd(void) {
        return -1;
}

static void notify_systemd(const char *state) {
        (void) state;
}

#endif

void notify_ready(int ready_fd) {
        notify_systemd("READY=1\nSTATUS=Serving big files");
        if (ready_fd < 0)
                return;
        (void) !write(ready_fd, "\n", 1);
        close(ready_fd);
}

void notify_stopping(void) {
        notify_systemd("STOPPING=1");
}
