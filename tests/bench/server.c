/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "server.h"
#include "undo.h"

#define SERVER_READY_FD 3
#define SERVER_PATH_MAX 64
#define SERVER_ARGS_MAX 40

static const char *server_program(const struct setup *setup) {
        const char *program = getenv("BIGFILED_PROGRAM");

        if (setup->daemon)
                return setup->daemon;
        return program ? program : "bigfiled";
}

/* Adds the words of the text, which they remain part of. */
static void server_add_args(const char **args, size_t n, char *text) {
        for (char *word = text ? strtok(text, " ") : NULL; word && n < SERVER_ARGS_MAX - 1; word = strtok(NULL, " "))
                args[n++] = word;
}

/* In the new process. The configuration of the host is not what is measured. */
static _Noreturn void server_run(const struct server *server, const struct setup *setup, int ready) {
        const char *program = server_program(setup);
        char pool[32], *more = setup->daemon_args ? strdup(setup->daemon_args) : NULL;
        const char *args[SERVER_ARGS_MAX] = {
                program, "--config", "none", "--socket", strchr(server->address, ':') + 1, "--pool", pool, "--ready-fd", "3", "--log-level", "error",
        };
        size_t n = 0;

        while (args[n])
                n++;
        server_add_args(args, n, more); /* the rest of the array is NULL */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        snprintf(pool, sizeof(pool), "%" PRIu64, setup->pool_bytes);
        if (ready == SERVER_READY_FD)
                fcntl(ready, F_SETFD, 0);
        else
                dup2(ready, SERVER_READY_FD);
        close_range(SERVER_READY_FD + 1, ~0U, 0);
        execvp(program, (char *const *) args);
        fprintf(stderr, "cannot run %s: %s (--daemon, $BIGFILED_PROGRAM)\n", program, strerror(errno));
        _exit(EXIT_FAILURE);
}

/* The daemon writes a byte when it is ready; if it ends instead, there is none. */
static int server_wait(struct server *server, int ready) {
        ssize_t n;
        char byte;

        do
                n = read(ready, &byte, 1);
        while (n < 0 && errno == EINTR);
        if (n == 1)
                return 0;
        server_stop(server);
        fprintf(stderr, "bigfiled did not start\n");
        return -ECHILD;
}

static int server_fail(struct server *server, const char *what) {
        int error = errno;

        fprintf(stderr, "cannot start bigfiled: %s: %s\n", what, strerror(error));
        server_stop(server);
        return -error;
}

/* What it leaves for the next one as long as there are clients that may come back. */
static const char *server_left(const struct server *server, char path[static SERVER_PATH_MAX]) {
        snprintf(path, SERVER_PATH_MAX, "%s/socket.shared", server->dir);
        return path;
}

int server_start(struct server *server, const struct setup *setup) {
        char path[SERVER_PATH_MAX];
        int ready[2], r;

        *server = (struct server){ .dir = "/tmp/bfbench-XXXXXX" };
        if (!mkdtemp(server->dir)) {
                return server_fail(server, "a folder in /tmp");
        }
        server->undo_dir = undo_remove(server->dir);
        server->undo_left = undo_remove(server_left(server, path));
        snprintf(server->address, sizeof(server->address), "unix:%s/socket", server->dir);
        if (pipe2(ready, O_CLOEXEC) < 0)
                return server_fail(server, "a pipe");
        server->pid = fork();
        if (server->pid == 0)
                server_run(server, setup, ready[1]);
        close(ready[1]);
        if (server->pid < 0) {
                close(ready[0]);
                server->pid = 0;
                return server_fail(server, "a process");
        }
        server->undo_process = undo_process(server->pid);
        r = server_wait(server, ready[0]);
        close(ready[0]);
        return r;
}

void server_stop(struct server *server) {
        if (server->pid > 0) {
                kill(server->pid, SIGTERM); /* it takes its socket away */
                waitpid(server->pid, NULL, 0);
                undo_forget(server->undo_process);
        }
        undo_run(server->undo_left);
        undo_run(server->undo_dir);
        *server = (struct server){ 0 };
}

int server_cpu_ns(pid_t pid, uint64_t *ret_ns) {
        struct timespec time;
        clockid_t clock;
        int e;

        e = clock_getcpuclockid(pid, &clock);
        if (e != 0)
                return -e;
        if (clock_gettime(clock, &time) < 0)
                return -errno;
        *ret_ns = (uint64_t) time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t) time.tv_nsec;
        return 0;
}

/* Adds the number behind the key, in a file of lines KEY: NUMBER. */
static int server_add(const char *path, const char *key, uint64_t *sum) {
        FILE *file = fopen(path, "re");
        size_t n = strlen(key);
        char line[200];
        int r = -ENOENT;

        while (file && r < 0 && fgets(line, sizeof(line), file))
                if (strncmp(line, key, n) == 0 && line[n] == ':') {
                        *sum += strtoull(line + n + 1, NULL, 10);
                        r = 0;
                }
        if (file)
                fclose(file);
        return r;
}

static int server_add_sleeps(pid_t pid, uint64_t *sum) {
        struct dirent *entry;
        char path[320];
        int r = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        dir = opendir(path);
        if (!dir)
                return -errno;
        while (r == 0 && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int) pid, entry->d_name);
                r = server_add(path, "voluntary_ctxt_switches", sum);
        }
        closedir(dir);
        return r;
}

int server_usage(const struct server *server, struct server_usage *ret_usage) {
        struct server_usage usage = { 0 };
        uint64_t anon_kib = 0;
        char path[64];
        int r;

        r = server_cpu_ns(server->pid, &usage.cpu_ns);
        if (r == 0)
                r = server_add_sleeps(server->pid, &usage.n_sleeps);
        snprintf(path, sizeof(path), "/proc/%d/status", (int) server->pid);
        if (r == 0)
                r = server_add(path, "RssAnon", &anon_kib);
        if (r < 0)
                return r;
        usage.anon_bytes = anon_kib * 1024;
        *ret_usage = usage;
        return 0;
}
