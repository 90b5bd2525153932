/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It reads /proc only, and gives gdb a time limit: a thread that sleeps in a fault inside a system call cannot be stopped by a debugger. */

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autopsy.h"

#define GDB_MILLISECONDS 20000

static void show_file(pid_t pid, const char *tid, const char *name) {
        char path[320], line[512];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, tid, name);
        file = fopen(path, "re");
        if (!file)
                return;
        while (fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = '\0';
                fprintf(stderr, "    %s: %s\n", name, line);
        }
        fclose(file);
}

static void show_threads(pid_t pid) {
        static const char *const names[] = { "comm", "wchan", "syscall", "stack" };
        char path[64];
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        if (!dir)
                return;
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
                if (entry->d_name[0] == '.')
                        continue;
                fprintf(stderr, "  thread %s\n", entry->d_name);
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                        show_file(pid, entry->d_name, names[i]);
        }
        closedir(dir);
}

static void show_gdb(pid_t pid) {
        char number[16];
        struct pollfd ended;
        pid_t gdb;

        snprintf(number, sizeof(number), "%d", pid);
        fflush(stderr);
        gdb = fork();
        if (gdb < 0)
                return;
        if (gdb == 0) {
                dup2(STDERR_FILENO, STDOUT_FILENO);
                execlp("gdb", "gdb", "-nx", "-p", number, "-batch", "-ex", "thread apply all bt", (char *) NULL);
                _exit(127);
        }
        ended = (struct pollfd) { .fd = pidfd_open(gdb, 0), .events = POLLIN };
        if (ended.fd < 0 || poll(&ended, 1, GDB_MILLISECONDS) <= 0)
                kill(gdb, SIGKILL);
        waitpid(gdb, NULL, 0);
        if (ended.fd >= 0)
                close(ended.fd);
}

void autopsy(pid_t pid) {
        fprintf(stderr, "--- process %d\n", pid);
        show_threads(pid);
        show_gdb(pid);
        fprintf(stderr, "--- end of process %d\n", pid);
}
