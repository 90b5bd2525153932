/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* It knows how bigfiled is started, how it says that it is ready, and how it ends; nothing of what it serves. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemonproc.h"
#include "watchdog.h"

#define ARGS_MAX 32

static void show_log(const struct daemonproc *daemonproc) {
        char line[512];
        FILE *file = fopen(daemonproc->log, "re");

        while (file && fgets(line, sizeof(line), file))
                fprintf(stderr, "bigfiled| %s", line);
        if (file)
                fclose(file);
}

static bool log_has_report(const struct daemonproc *daemonproc) {
        static const char *const signs[] = { "Sanitizer", "runtime error:", "Assertion" };
        bool found = false;
        char line[512];
        FILE *file = fopen(daemonproc->log, "re");

        while (file && !found && fgets(line, sizeof(line), file))
                for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
                        found |= strstr(line, signs[i]) != NULL;
        if (file)
                fclose(file);
        return found;
}

bool daemonproc_says(const struct daemonproc *daemonproc, const char *text) {
        FILE *file = fopen(daemonproc->log, "re");
        char line[1000];
        bool found = false;

        while (file && !found && fgets(line, sizeof(line), file))
                found = strstr(line, text);
        if (file)
                fclose(file);
        return found;
}

/* In the new process. log and ready are the only descriptors it is to have beside its input. */
static _Noreturn void run_program(const char *program, const struct daemonproc *daemonproc, int log, int ready, const char *const *options) {
        const char *args[ARGS_MAX] = { program, "--config", "none", "--socket", daemonproc->socket, "--ready-fd", "3" };
        size_t n = 7;

        for (; options && *options && n < ARGS_MAX - 1; options++)
                args[n++] = *options;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        if (ready == 3)
                fcntl(ready, F_SETFD, 0);
        else
                dup2(ready, 3);
        close_range(4, ~0U, 0);
        execv(program, (char *const *) args);
        fprintf(stderr, "cannot run %s: %s\n", program, strerror(errno));
        _exit(127);
}

static ssize_t read_byte(int fd, char *ret) {
        ssize_t n;

        do
                n = read(fd, ret, 1);
        while (n < 0 && errno == EINTR);
        return n;
}

/* True: the other end of the pipe wrote the sign, and did not just go away. After it, it has closed the pipe: who counts its descriptors now
 * does not count that. */
static bool wait_for_sign(int ready) {
        char byte = 0, more;

        return read_byte(ready, &byte) == 1 && byte == '\n' && read_byte(ready, &more) == 0;
}

int daemonproc_start(struct daemonproc *daemonproc, const char *dir, const char *const *options) {
        const char *program = getenv("BIGFILED_PROGRAM");
        int log, ready[2];
        pid_t pid;

        if (!program)
                return -ENOENT;
        snprintf(daemonproc->socket, sizeof(daemonproc->socket), "%.90s/socket", dir);
        snprintf(daemonproc->log, sizeof(daemonproc->log), "%.90s/daemon.log", dir);
        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;
        log = open(daemonproc->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        pid = log < 0 ? -1 : fork();
        if (pid == 0)
                run_program(program, daemonproc, log, ready[1], options);
        if (log >= 0)
                close(log);
        close(ready[1]);
        if (pid < 0) {
                close(ready[0]);
                return -EAGAIN;
        }
        daemonproc->pid = pid;
        watchdog_add(pid);
        if (!wait_for_sign(ready[0])) {
                daemonproc_wait(daemonproc);
                show_log(daemonproc);
                close(ready[0]);
                return -ECHILD;
        }
        close(ready[0]);
        return 0;
}

int daemonproc_wait(struct daemonproc *daemonproc) {
        int status = 0;

        watchdog_drop(daemonproc->pid);
        while (waitpid(daemonproc->pid, &status, 0) < 0 && errno == EINTR)
                ;
        daemonproc->pid = 0;
        return status;
}

int daemonproc_stop(struct daemonproc *daemonproc) {
        int status;

        kill(daemonproc->pid, SIGTERM);
        status = daemonproc_wait(daemonproc);
        if (status == 0 && !log_has_report(daemonproc))
                return 0;
        fprintf(stderr, "bigfiled ended with wait status %#x and printed:\n", status);
        show_log(daemonproc);
        return -EBADMSG;
}

void daemonproc_kill(struct daemonproc *daemonproc) {
        kill(daemonproc->pid, SIGKILL);
        daemonproc_wait(daemonproc);
}

static int count_entries(const char *path, unsigned *ret_n) {
        DIR *dir = opendir(path);
        unsigned n = 0;

        if (!dir)
                return -errno;
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
                n += entry->d_name[0] != '.';
        closedir(dir);
        *ret_n = n;
        return 0;
}

static int read_rss(pid_t pid, uint64_t *ret_bytes) {
        unsigned long long size, resident;
        char path[64];
        FILE *file;
        int n;

        snprintf(path, sizeof(path), "/proc/%d/statm", pid);
        file = fopen(path, "re");
        if (!file)
                return -errno;
        n = fscanf(file, "%llu %llu", &size, &resident);
        fclose(file);
        if (n != 2)
                return -EBADMSG;
        *ret_bytes = resident * (uint64_t) sysconf(_SC_PAGESIZE);
        return 0;
}

static uint64_t read_wakeups_of_thread(pid_t pid, const char *tid) {
        unsigned long long n = 0;
        char path[320], line[128];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
                        break;
        if (file)
                fclose(file);
        return n;
}

static int read_wakeups(pid_t pid, uint64_t *ret_n) {
        uint64_t n = 0;
        char path[64];
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        dir = opendir(path);
        if (!dir)
                return -errno;
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
                if (entry->d_name[0] != '.')
                        n += read_wakeups_of_thread(pid, entry->d_name);
        closedir(dir);
        *ret_n = n;
        return 0;
}

int daemonproc_usage(const struct daemonproc *daemonproc, struct daemonproc_usage *ret_usage) {
        struct daemonproc_usage usage;
        char path[64];
        int r;

        snprintf(path, sizeof(path), "/proc/%d/fd", daemonproc->pid);
        r = count_entries(path, &usage.n_fds);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/%d/task", daemonproc->pid);
        r = count_entries(path, &usage.n_threads);
        if (r < 0)
                return r;
        r = read_rss(daemonproc->pid, &usage.rss_bytes);
        if (r < 0)
                return r;
        r = read_wakeups(daemonproc->pid, &usage.n_wakeups);
        if (r < 0)
                return r;
        *ret_usage = usage;
        return 0;
}
