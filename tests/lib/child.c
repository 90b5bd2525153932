/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It knows processes, nothing of what they do. */

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "watchdog.h"

int child_start(struct child *child, int (*fn)(int line, void *arg), void *arg) {
        int fds[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                int r;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(fds[0]);
                signal(SIGBUS, SIG_DFL);
                signal(SIGSEGV, SIG_DFL);
                r = fn(fds[1], arg);
                fflush(NULL);
                _exit(r);
        }
        close(fds[1]);
        if (pid < 0) {
                close(fds[0]);
                return -EAGAIN;
        }
        watchdog_add(pid);
        *child = (struct child) { .pid = pid, .line = fds[0] };
        return 0;
}

void child_become(uid_t uid) {
        CHILD_CHECK(setgroups(0, NULL) == 0);
        CHILD_CHECK(setresgid(uid, uid, uid) == 0);
        CHILD_CHECK(setresuid(uid, uid, uid) == 0);
        CHILD_CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
        CHILD_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* after the uid, which clears it */
}

void child_say(int line, uint64_t number) {
        if (send(line, &number, sizeof(number), MSG_NOSIGNAL) < 0 && errno != EPIPE)
                perror("child_say");
}

uint64_t child_hear(int line) {
        uint64_t number;
        ssize_t n;

        do
                n = recv(line, &number, sizeof(number), 0);
        while (n < 0 && errno == EINTR);
        return n == sizeof(number) ? number : CHILD_GONE;
}

int child_wait(struct child *child) {
        int status;

        watchdog_drop(child->pid);
        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
                ;
        close(child->line);
        *child = (struct child) {};
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void child_kill(struct child *child) {
        if (child->pid <= 0)
                return;
        kill(child->pid, SIGKILL);
        child_wait(child);
}

_Noreturn void child_fail(const char *file, int line, const char *condition) {
        fprintf(stderr, "child %d: %s:%d: not so: %s\n", getpid(), file, line, condition);
        fflush(NULL);
        _exit(1);
}
