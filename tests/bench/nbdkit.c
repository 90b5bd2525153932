/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content.h"
#include "nbdkit.h"
#include "subject.h"
#include "undo.h"

#define NBDKIT_NO_PROGRAM 127

static _Noreturn void nbdkit_exec(const char *const *args) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        execvp(args[0], (char *const *) args);
        _exit(NBDKIT_NO_PROGRAM);
}

/* The end of a program that was started. */
static int nbdkit_wait(pid_t pid, const char *name) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        if (WIFEXITED(status) && WEXITSTATUS(status) == NBDKIT_NO_PROGRAM)
                return -ENOENT;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        fprintf(stderr, "%s failed: status %d\n", name, status);
        return -ECHILD;
}

int nbdkit_copy(const char *from, const char *to) {
        pid_t pid = fork();

        if (pid == 0)
                nbdkit_exec((const char *[]) { "nbdcopy", from, to, NULL });
        return pid < 0 ? -errno : nbdkit_wait(pid, "nbdcopy");
}

static _Noreturn void nbdkit_run(const struct nbdkit *nbdkit, uint64_t size, bool is_slow) {
        char bytes[32], delay[32];
        const char *args[] = { "nbdkit", "--foreground", "--unix", nbdkit->socket, "--pidfile", nbdkit->pidfile, "memory", bytes, NULL, NULL, NULL };

        snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
        snprintf(delay, sizeof(delay), "rdelay=%dms", NBDKIT_DELAY_MS);
        if (is_slow) {
                args[8] = "--filter=delay";
                args[9] = delay;
        }
        nbdkit_exec(args);
}

/* It writes its number to a file when it serves. */
static int nbdkit_wait_ready(struct nbdkit *nbdkit) {
        int status;

        while (access(nbdkit->pidfile, F_OK) < 0) {
                if (waitpid(nbdkit->pid, &status, WNOHANG) != 0) {
                        undo_forget(nbdkit->undo_process);
                        nbdkit->pid = 0;
                        return WIFEXITED(status) && WEXITSTATUS(status) == NBDKIT_NO_PROGRAM ? -ENOENT : -ECHILD;
                }
                usleep(1000);
        }
        return 0;
}

static int nbdkit_launch(struct nbdkit *nbdkit, uint64_t size, bool is_slow) {
        nbdkit->pid = fork();
        if (nbdkit->pid == 0)
                nbdkit_run(nbdkit, size, is_slow);
        if (nbdkit->pid < 0) {
                nbdkit->pid = 0;
                return -errno;
        }
        nbdkit->undo_process = undo_process(nbdkit->pid);
        return nbdkit_wait_ready(nbdkit);
}

static int nbdkit_fill(const struct nbdkit *nbdkit, const struct content *content) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) getpid(), content->fd);
        return nbdkit_copy(path, nbdkit->uri);
}

int nbdkit_start(struct nbdkit *nbdkit, const struct setup *setup, bool is_slow, struct reason *reason) {
        int r;

        *nbdkit = (struct nbdkit) { .dir = "/tmp/bfbench-XXXXXX" };
        if (!mkdtemp(nbdkit->dir))
                return -errno;
        snprintf(nbdkit->socket, sizeof(nbdkit->socket), "%s/nbd", nbdkit->dir);
        snprintf(nbdkit->pidfile, sizeof(nbdkit->pidfile), "%s/pid", nbdkit->dir);
        snprintf(nbdkit->uri, sizeof(nbdkit->uri), "nbd+unix:///?socket=%s", nbdkit->socket);
        nbdkit->undo_dir = undo_remove(nbdkit->dir);
        nbdkit->undo_pidfile = undo_remove(nbdkit->pidfile);
        nbdkit->undo_socket = undo_remove(nbdkit->socket);
        r = nbdkit_launch(nbdkit, setup->content->size, is_slow);
        if (r == 0)
                r = nbdkit_fill(nbdkit, setup->content);
        if (r == 0)
                return 0;
        nbdkit_stop(nbdkit);
        if (r != -ENOENT)
                return r;
        reason_say(reason, "there is no nbdkit or nbdcopy here");
        return SUBJECT_HAS_NONE;
}

void nbdkit_stop(struct nbdkit *nbdkit) {
        if (nbdkit->pid > 0)
                undo_run(nbdkit->undo_process);
        undo_run(nbdkit->undo_socket);
        undo_run(nbdkit->undo_pidfile);
        undo_run(nbdkit->undo_dir);
        *nbdkit = (struct nbdkit) { .pid = 0 };
}
