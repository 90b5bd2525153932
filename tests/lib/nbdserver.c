/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nbdserver.h"
#include "watchdog.h"

#define EXIT_NO_PROGRAM 127

static void init(struct nbdserver *server, const char *dir, const char *name) {
        *server = (struct nbdserver) { .listen_fd = -1 };
        snprintf(server->dir, sizeof(server->dir), "%s", dir);
        snprintf(server->socket, sizeof(server->socket), "%.50s/%.10s.socket", dir, name);
        snprintf(server->pidfile, sizeof(server->pidfile), "%.50s/%.10s.pid", dir, name);
        snprintf(server->log, sizeof(server->log), "%.50s/%.10s.log", dir, name);
        snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s", server->socket);
}

static void add(struct nbdserver *server, const char *const *args) {
        size_t n = 0;

        while (server->argv[n])
                n++;
        for (; *args && n < NBDSERVER_ARGS_MAX - 1; args++)
                server->argv[n++] = *args;
}

void nbdserver_init_nbdkit(struct nbdserver *server, const char *dir, const char *name, const char *const *args) {
        init(server, dir, name);
        add(server, (const char *[]) { "nbdkit", "--foreground", "--exit-with-parent", "--unix", server->socket, "--pidfile", server->pidfile, NULL });
        add(server, args);
}

void nbdserver_init_qemu(struct nbdserver *server, const char *dir, const char *name, const char *const *args) {
        init(server, dir, name);
        add(server, (const char *[]) { "qemu-nbd", "--persistent", "--socket", server->socket, "--pid-file", server->pidfile, NULL });
        add(server, args);
}

/* It is given the socket as a supervisor would. */
void nbdserver_init_tcp(struct nbdserver *server, const char *dir, const char *name, const char *const *args) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t length = sizeof(address);

        init(server, dir, name);
        add(server, (const char *[]) { "nbdkit", "--foreground", "--exit-with-parent", "--pidfile", server->pidfile, NULL });
        add(server, args);
        server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->listen_fd < 0 || bind(server->listen_fd, (const struct sockaddr *) &address, length) < 0 || listen(server->listen_fd, 16) < 0 ||
            getsockname(server->listen_fd, (struct sockaddr *) &address, &length) < 0)
                abort();
        snprintf(server->uri, sizeof(server->uri), "nbd://localhost:%u/", ntohs(address.sin_port));
}

#define LISTEN_FD 3 /* by convention */

static void take_socket(const struct nbdserver *server) {
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", (int) getpid());
        if (dup2(server->listen_fd, LISTEN_FD) < 0 || fcntl(LISTEN_FD, F_SETFD, 0) < 0 || setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", "1", 1) < 0)
                _exit(EXIT_FAILURE);
}

static _Noreturn void run(const struct nbdserver *server) {
        int log = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        if (server->listen_fd >= 0)
                take_socket(server);
        close_range(server->listen_fd >= 0 ? LISTEN_FD + 1 : LISTEN_FD, ~0U, 0);
        execvp(server->argv[0], (char *const *) server->argv);
        _exit(EXIT_NO_PROGRAM);
}

static void show_log(const struct nbdserver *server) {
        FILE *file = fopen(server->log, "re");
        char line[512];

        while (file && fgets(line, sizeof(line), file))
                fprintf(stderr, "%s| %s", server->argv[0], line);
        if (file)
                fclose(file);
}

/* It writes its number to a file when it serves. */
static int wait_ready(struct nbdserver *server) {
        int status;

        while (access(server->pidfile, F_OK) < 0) {
                if (waitpid(server->pid, &status, WNOHANG) != 0) {
                        watchdog_drop(server->pid);
                        server->pid = 0;
                        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
                                return -ENOENT;
                        show_log(server);
                        return -ECHILD;
                }
                usleep(1000);
        }
        return 0;
}

int nbdserver_start(struct nbdserver *server) {
        (void) unlink(server->socket);
        (void) unlink(server->pidfile);
        server->pid = fork();
        if (server->pid == 0)
                run(server);
        if (server->pid < 0) {
                server->pid = 0;
                return -EAGAIN;
        }
        watchdog_add(server->pid);
        return wait_ready(server);
}

void nbdserver_kill(struct nbdserver *server) {
        if (server->pid == 0)
                return;
        watchdog_drop(server->pid);
        kill(server->pid, SIGKILL);
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        server->pid = 0;
}

void nbdserver_end(struct nbdserver *server) {
        nbdserver_kill(server);
        if (server->listen_fd >= 0)
                close(server->listen_fd);
        server->listen_fd = -1;
}

/* Says one letter to the pause filter, and waits for its answer. */
static void control(const char *path, char letter, char answer) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char got = 0;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 || write(fd, &letter, 1) != 1 || read(fd, &got, 1) != 1 || got != answer)
                abort();
        close(fd);
}

void nbdserver_pause(const char *path) {
        control(path, 'p', 'P');
}

void nbdserver_go_on(const char *path) {
        control(path, 'r', 'R');
}

unsigned nbdserver_count(const char *path, const char *kind) {
        FILE *file = fopen(path, "re");
        char line[512], text[32];
        unsigned n = 0;

        snprintf(text, sizeof(text), " %s id=", kind);
        while (file && fgets(line, sizeof(line), file))
                n += strstr(line, text) != NULL && !strstr(line, "return=");
        if (file)
                fclose(file);
        return n;
}

/* Lines "... Read id=1 offset=..." and, when it has ended, "... ...Read id=1 return=0". */
unsigned nbdserver_most_under_way(const char *path) {
        FILE *file = fopen(path, "re");
        unsigned now = 0, most = 0;
        char line[512];

        while (file && fgets(line, sizeof(line), file)) {
                if (!strstr(line, " id="))
                        continue;
                if (!strstr(line, "return="))
                        now++;
                else if (now > 0)
                        now--;
                most = now > most ? now : most;
        }
        if (file)
                fclose(file);
        return most;
}
