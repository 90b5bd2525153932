/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Random read faults of several clients at a time, each a process with a handle of its own: how many of all of them in a second. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access.h"
#include "content.h"
#include "order.h"

#define WORKLOAD_CLIENTS_MAX 8

struct workload_client {
        pid_t pid;
        int control; /* bytes from it: it is ready; it has touched all; whether anything was wrong. One to it: begin */
};

/* In the new process: n accesses of the run, from first on; each step is told by a byte, and the last one by what came of it. */
static _Noreturn void workload_client_run(struct workload_run *run, int control, size_t first, size_t n) {
        struct subject *subject;
        uint8_t byte = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (run->subject->kind->attach(run->subject, run->setup, &subject) < 0)
                _exit(EXIT_FAILURE);
        if (write(control, &byte, 1) != 1 || read(control, &byte, 1) != 1)
                _exit(EXIT_FAILURE);
        for (size_t i = first; i < first + n; i++)
                run->seen[i] = *(volatile const uint64_t *) subject_look(subject, run->order[i]);
        if (write(control, &byte, 1) != 1)
                _exit(EXIT_FAILURE);
        for (size_t i = first; i < first + n; i++)
                byte |= access_check_word(subject, run->order[i], run->seen[i]) < 0;
        if (write(control, &byte, 1) != 1)
                _exit(EXIT_FAILURE);
        _exit(EXIT_SUCCESS);
}

static int workload_client_start(struct workload_client *client, struct workload_run *run, size_t first, size_t n) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        client->pid = fork();
        if (client->pid == 0) {
                close(ends[0]);
                workload_client_run(run, ends[1], first, n);
        }
        close(ends[1]);
        client->control = ends[0];
        return client->pid < 0 ? -EAGAIN : 0;
}

/* That it is ready, or has touched all. */
static int workload_client_wait(struct workload_client *client) {
        char byte;

        return read(client->control, &byte, 1) == 1 ? 0 : -ECHILD;
}

static int workload_client_begin(struct workload_client *client) {
        char byte = 0;

        return send(client->control, &byte, 1, MSG_NOSIGNAL) == 1 ? 0 : -ECHILD;
}

static int workload_client_check(struct workload_client *client) {
        uint8_t is_wrong;

        if (read(client->control, &is_wrong, 1) != 1)
                return -ECHILD;
        return is_wrong ? -EBADMSG : 0;
}

static void workload_client_end(struct workload_client *client) {
        if (client->control >= 0)
                close(client->control);
        if (client->pid > 0) {
                kill(client->pid, SIGKILL); /* it has answered, or never will */
                waitpid(client->pid, NULL, 0);
        }
}

static int workload_clients_start(struct workload_run *run, struct workload_client *clients, size_t n_clients) {
        size_t n = run->setup->n_accesses / n_clients;
        int r = 0;

        for (size_t i = 0; r == 0 && i < n_clients; i++)
                r = workload_client_start(&clients[i], run, i * n, n);
        for (size_t i = 0; r == 0 && i < n_clients; i++)
                r = workload_client_wait(&clients[i]);
        run->n_touches = n * n_clients;
        return r;
}

/* From when the first begins until the last ends. */
static int workload_clients_measure(struct workload_run *run, struct workload_client *clients, size_t n_clients) {
        int r;

        r = access_begin(run);
        for (size_t i = 0; r == 0 && i < n_clients; i++)
                r = workload_client_begin(&clients[i]);
        for (size_t i = 0; r == 0 && i < n_clients; i++)
                r = workload_client_wait(&clients[i]);
        return r < 0 ? r : access_end(run);
}

static int workload_clients_run(struct workload_run *run) {
        size_t n_clients = run->workload->parameter;
        struct workload_client clients[WORKLOAD_CLIENTS_MAX];
        int r;

        r = order_random(0, run->setup->content->n_blocks, run->setup->n_accesses, run->seed, run->order);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_clients; i++)
                clients[i] = (struct workload_client){ .control = -1 };
        r = workload_clients_start(run, clients, n_clients);
        if (r == 0)
                r = workload_clients_measure(run, clients, n_clients);
        for (size_t i = 0; r == 0 && i < n_clients; i++)
                r = workload_client_check(&clients[i]);
        for (size_t i = 0; i < n_clients; i++)
                workload_client_end(&clients[i]);
        return r;
}

static const struct subject_kind *const workload_clients_subjects[] = { &subject_mmap_random, &subject_bigfile_server, NULL };

#define WORKLOAD_CLIENTS(n_, title_)                                                                                                                        \
        {                                                                                                                                                   \
                .name = "clients-" #n_, .title = title_, .group = "clients", .unit = WORKLOAD_TOUCHES, .run = workload_clients_run,                         \
                .subjects = workload_clients_subjects, .base = &subject_mmap_random, .flags = WORKLOAD_ANY_CPU, .parameter = n_                             \
        }

const struct workload workload_clients[4] = {
        WORKLOAD_CLIENTS(1, "random read faults, one client"),
        WORKLOAD_CLIENTS(2, "random read faults, two clients"),
        WORKLOAD_CLIENTS(4, "random read faults, four clients"),
        WORKLOAD_CLIENTS(8, "random read faults, eight clients"),
};
