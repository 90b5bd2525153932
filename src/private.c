/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errmsg.h"
#include "private.h"

#define PRIVATE_FD 3 /* the socket, in the daemon */

/* Exit statuses of bigfiled. */
#define EXIT_SETTINGS 64
#define EXIT_KERNEL 69

#define NO_PROGRAM_HINT "name the program bigfiled in $BIGFILED_PROGRAM, or in the address: \"spawn:daemon=PATH\""

struct private_args {
        char pool[32];
        char room_timeout[32];
        char spill_size[32];
        char fd[16];
        char *argv[16];
};

static void private_args_fill(struct private_args *args, const struct private *settings) {
        size_t n = 0;

        snprintf(args->fd, sizeof(args->fd), "%d", PRIVATE_FD);
        snprintf(args->pool, sizeof(args->pool), "%" PRIu64, settings->pool);
        args->argv[n++] = (char *) "bigfiled";
        args->argv[n++] = (char *) "--private-fd";
        args->argv[n++] = args->fd;
        args->argv[n++] = (char *) "--pool";
        args->argv[n++] = args->pool;
        args->argv[n++] = (char *) "--log-level";
        args->argv[n++] = (char *) "error"; /* standard error is this program's: its user did not ask for a daemon's remarks */
        if (settings->room_timeout_usec != UINT64_MAX) {
                snprintf(args->room_timeout, sizeof(args->room_timeout), "%" PRIu64 ".%06" PRIu64, settings->room_timeout_usec / 1000000,
                         settings->room_timeout_usec % 1000000);
                args->argv[n++] = (char *) "--room-timeout";
                args->argv[n++] = args->room_timeout;
        }
        if (settings->spill_size != UINT64_MAX) {
                snprintf(args->spill_size, sizeof(args->spill_size), "%" PRIu64, settings->spill_size);
                args->argv[n++] = (char *) "--spill-size";
                args->argv[n++] = args->spill_size;
        }
        if (*settings->spill_dir) {
                args->argv[n++] = (char *) "--spill-dir";
                args->argv[n++] = (char *) settings->spill_dir;
        }
        args->argv[n] = NULL;
}

/* The daemon gets no descriptor of this process but the socket and standard error: one it held open would look to others as if this process did. */
static int private_set_files(posix_spawn_file_actions_t *actions, int fd) {
        int flags = fcntl(STDERR_FILENO, F_GETFD), e;

        e = posix_spawn_file_actions_adddup2(actions, fd, PRIVATE_FD);
        if (e == 0)
                e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (e == 0)
                e = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (e == 0 && (flags < 0 || flags & FD_CLOEXEC)) /* there is none, or its number is that of the socket */
                e = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (e == 0)
                e = posix_spawn_file_actions_addclosefrom_np(actions, PRIVATE_FD + 1);
        return -e;
}

/* A session of its own, too: Ctrl-C is for this program, which may go on after it and then needs its memory. */
static int private_set_attributes(posix_spawnattr_t *attributes) {
        sigset_t none, all;
        int e;

        sigemptyset(&none);
        sigfillset(&all);
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
        if (e == 0)
                e = posix_spawnattr_setsigmask(attributes, &none);
        if (e == 0)
                e = posix_spawnattr_setsigdefault(attributes, &all);
        return -e;
}

static int private_launch(const struct private *settings, int fd, pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        struct private_args args;
        int r;

        r = -posix_spawn_file_actions_init(&actions);
        if (r < 0)
                return r;
        r = -posix_spawnattr_init(&attributes);
        if (r == 0) {
                private_args_fill(&args, settings);
                r = private_set_files(&actions, fd);
                if (r == 0)
                        r = private_set_attributes(&attributes);
                if (r == 0)
                        r = -posix_spawn(ret_pid, settings->program, &actions, &attributes, args.argv, environ);
                posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

/* What was started ends as soon as the daemon proper, its child, serves. If the program has taken the status itself (SIGCHLD ignored, a wait()
 * for any child), the socket will tell. */
static int private_wait(const char *program, pid_t pid) {
        int status;
        pid_t p;

        do
                p = waitpid(pid, &status, 0);
        while (p < 0 && errno == EINTR);
        if (p < 0)
                return 0;
        if (WIFSIGNALED(status))
                return errmsg_set(-ENOTCONN, "%s was killed by signal %d when it started", program, WTERMSIG(status));
        switch (WEXITSTATUS(status)) {
        case 0:
                return 0;
        case EXIT_SETTINGS:
                return errmsg_set(-EINVAL, "%s refused its settings (it said why on standard error)", program);
        case EXIT_KERNEL:
                return errmsg_set(-ENOSYS, "%s needs Linux 6.6 or newer (it said on standard error what this kernel lacks)", program);
        default:
                return errmsg_set(-ENOTCONN, "%s did not start: exit status %d (it said why on standard error)", program, WEXITSTATUS(status));
        }
}

int private_start(const struct private *settings, int *ret_fd) {
        int fds[2], r;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return errmsg_fail(-errno, NULL, "cannot create a socket for a private daemon");
        r = private_launch(settings, fds[1], &pid);
        if (r < 0)
                (void) errmsg_fail(r, r == -ENOENT ? NO_PROGRAM_HINT : NULL, "cannot start a private daemon, %s", settings->program);
        close(fds[1]);
        if (r == 0)
                r = private_wait(settings->program, pid);
        if (r < 0) {
                close(fds[0]);
                return r;
        }
        *ret_fd = fds[0];
        return 0;
}
