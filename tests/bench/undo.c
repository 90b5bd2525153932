/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All that undo_one() calls may be called by a signal handler. */

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "undo.h"

#define UNDO_MAX 32
#define UNDO_PATIENCE 200 /* hundredths of a second */

enum undo_kind {
        UNDO_NONE,
        UNDO_WRITE,
        UNDO_REMOVE,
        UNDO_END,
};

struct undo {
        volatile sig_atomic_t kind; /* enum undo_kind; written last when it begins, first when it ends */
        char path[UNDO_PATH_MAX];
        char text[32];
        pid_t pid;
};

static struct undo undo_all[UNDO_MAX];
static pid_t undo_owner; /* children that were forked off have it all too, and must not */

/* It may have things of its own to take away, but not for ever. */
static void undo_end(pid_t pid) {
        struct timespec moment = { .tv_nsec = 10000000 };

        if (kill(pid, SIGTERM) < 0)
                return;
        for (unsigned i = 0; i < UNDO_PATIENCE; i++) {
                if (waitpid(pid, NULL, WNOHANG) != 0)
                        return;
                nanosleep(&moment, NULL);
        }
        if (kill(pid, SIGKILL) == 0)
                waitpid(pid, NULL, 0);
}

static void undo_one(const struct undo *undo, int kind) {
        int fd;

        if (kind == UNDO_WRITE) {
                fd = open(undo->path, O_WRONLY | O_CLOEXEC);
                if (fd < 0)
                        return;
                if (write(fd, undo->text, strlen(undo->text)) < 0)
                        (void) 0; /* nothing that could be done about it */
                close(fd);
        } else if (kind == UNDO_REMOVE) {
                if (unlink(undo->path) < 0)
                        rmdir(undo->path);
        } else if (kind == UNDO_END)
                undo_end(undo->pid);
}

static void undo_on_signal(int signal) {
        if (getpid() == undo_owner)
                for (size_t i = UNDO_MAX; i-- > 0;)
                        undo_one(&undo_all[i], undo_all[i].kind);
        raise(signal); /* the handler is installed for once */
}

void undo_init(void) {
        struct sigaction action = { .sa_handler = undo_on_signal, .sa_flags = SA_RESETHAND | SA_NODEFER };

        undo_owner = getpid();
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
}

/* Places are taken in order, so that what was changed last is undone first. */
static struct undo *undo_new(void) {
        size_t i = 0;

        while (i < UNDO_MAX && undo_all[i].kind != UNDO_NONE)
                i++;
        assert(i < UNDO_MAX);
        return &undo_all[i];
}

struct undo *undo_write(const char *path, const char *text) {
        struct undo *undo = undo_new();

        snprintf(undo->path, sizeof(undo->path), "%s", path);
        snprintf(undo->text, sizeof(undo->text), "%s", text);
        undo->kind = UNDO_WRITE;
        return undo;
}

struct undo *undo_remove(const char *path) {
        struct undo *undo = undo_new();

        snprintf(undo->path, sizeof(undo->path), "%s", path);
        undo->kind = UNDO_REMOVE;
        return undo;
}

struct undo *undo_process(pid_t pid) {
        struct undo *undo = undo_new();

        undo->pid = pid;
        undo->kind = UNDO_END;
        return undo;
}

void undo_forget(struct undo *undo) {
        if (undo)
                undo->kind = UNDO_NONE;
}

void undo_run(struct undo *undo) {
        if (!undo)
                return;
        undo_one(undo, undo->kind);
        undo_forget(undo);
}
