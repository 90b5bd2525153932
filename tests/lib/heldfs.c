/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The test's side of heldfs: starts and ends the serving process, makes rules, waits for what arrives. It does not know FUSE. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heldfs.h"
#include "heldfs_shared.h"
#include "tempfile.h"
#include "watchdog.h"

struct heldfs {
        struct heldfs_shared *shared;
        pid_t pid;
        char path[128];
};

static void *map_shared(size_t size) {
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int shared_new(struct heldfs_shared **ret, const struct heldfs_opts *opts) {
        struct heldfs_shared *shared;
        pthread_mutexattr_t mutexattr;
        pthread_condattr_t condattr;

        shared = map_shared(sizeof(*shared));
        if (shared == MAP_FAILED)
                return -ENOMEM;
        shared->content = map_shared(2 * opts->size);
        if (shared->content == MAP_FAILED) {
                munmap(shared, sizeof(*shared));
                return -ENOMEM;
        }
        pthread_mutexattr_init(&mutexattr);
        pthread_mutexattr_setpshared(&mutexattr, PTHREAD_PROCESS_SHARED);
        pthread_mutex_init(&shared->lock, &mutexattr);
        pthread_condattr_init(&condattr);
        pthread_condattr_setpshared(&condattr, PTHREAD_PROCESS_SHARED);
        pthread_cond_init(&shared->changed, &condattr);
        shared->size = opts->size;
        shared->capacity = 2 * opts->size;
        shared->block_size = opts->block_size;
        for (uint64_t i = 0; i < opts->size / sizeof(uint64_t); i++)
                ((uint64_t *) shared->content)[i] = i * sizeof(uint64_t) / opts->block_size;
        *ret = shared;
        return 0;
}

static void shared_free(struct heldfs_shared *shared) {
        munmap(shared->content, shared->capacity);
        munmap(shared, sizeof(*shared));
}

/* Forks the serving process and waits for what it says. */
static int start_server(struct heldfs *heldfs, const char *dir, const struct heldfs_opts *opts) {
        int fds[2], result;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        heldfs->pid = fork();
        if (heldfs->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(fds[0]);
                heldfs_serve(heldfs->shared, dir, fds[1], opts);
        }
        close(fds[1]);
        if (heldfs->pid < 0) {
                close(fds[0]);
                return -EAGAIN;
        }
        watchdog_add(heldfs->pid);
        if (read(fds[0], &result, sizeof(result)) != sizeof(result))
                result = -ECHILD;
        close(fds[0]);
        return result;
}

static void stop_server(struct heldfs *heldfs) {
        watchdog_drop(heldfs->pid);
        kill(heldfs->pid, SIGKILL);
        while (waitpid(heldfs->pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

int heldfs_start(struct heldfs **ret, const struct heldfs_opts *opts) {
        struct heldfs *heldfs;
        char dir[64];
        int r;

        if (access("/dev/fuse", R_OK | W_OK) < 0)
                return -ENODEV;
        r = tempfile_dir(dir, sizeof(dir));
        if (r < 0)
                return r;
        heldfs = calloc(1, sizeof(*heldfs));
        if (!heldfs)
                return -ENOMEM;
        r = shared_new(&heldfs->shared, opts);
        if (r < 0) {
                free(heldfs);
                return r;
        }
        r = start_server(heldfs, dir, opts);
        if (r < 0) {
                if (heldfs->pid > 0)
                        stop_server(heldfs);
                shared_free(heldfs->shared);
                free(heldfs);
                return r;
        }
        snprintf(heldfs->path, sizeof(heldfs->path), "/proc/%d/root%s/%s", heldfs->pid, dir, HELDFS_NAME);
        *ret = heldfs;
        return 0;
}

void heldfs_stop(struct heldfs *heldfs) {
        if (!heldfs)
                return;
        stop_server(heldfs);
        shared_free(heldfs->shared);
        free(heldfs);
}

const char *heldfs_path(const struct heldfs *heldfs) {
        return heldfs->path;
}

void *heldfs_content(const struct heldfs *heldfs, uint64_t offset) {
        return heldfs->shared->content + offset;
}

static void add_rule(struct heldfs *heldfs, const struct heldfs_rule *rule) {
        struct heldfs_shared *shared = heldfs->shared;

        pthread_mutex_lock(&shared->lock);
        assert(shared->n_rules < HELDFS_RULES_MAX);
        shared->rules[shared->n_rules++] = *rule;
        pthread_mutex_unlock(&shared->lock);
}

void heldfs_hold(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned times) {
        add_rule(heldfs, &(struct heldfs_rule) { .op = op, .action = HELDFS_DO_HOLD, .block = block, .times = times });
}

void heldfs_fail(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned skip, unsigned times, int error) {
        add_rule(heldfs,
                 &(struct heldfs_rule) { .op = op, .action = HELDFS_DO_FAIL, .block = block, .skip = skip, .times = times, .error = error });
}

void heldfs_shorten(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned times, size_t bytes) {
        add_rule(heldfs, &(struct heldfs_rule) { .op = op, .action = HELDFS_DO_SHORTEN, .block = block, .times = times, .bytes = bytes });
}

static unsigned n_held_locked(const struct heldfs_shared *shared, enum heldfs_op op, uint64_t block) {
        unsigned n = 0;

        for (size_t i = 0; i < HELDFS_HELD_MAX; i++) {
                const struct heldfs_held *held = &shared->held[i];

                n += held->used && !held->released && held->op == op && heldfs_covers(held->first, held->last, block);
        }
        return n;
}

void heldfs_wait(struct heldfs *heldfs, enum heldfs_op op, uint64_t block, unsigned n) {
        struct heldfs_shared *shared = heldfs->shared;

        pthread_mutex_lock(&shared->lock);
        while (n_held_locked(shared, op, block) < n)
                pthread_cond_wait(&shared->changed, &shared->lock);
        pthread_mutex_unlock(&shared->lock);
}

void heldfs_wait_idle(struct heldfs *heldfs) {
        struct heldfs_shared *shared = heldfs->shared;

        pthread_mutex_lock(&shared->lock);
        while (shared->n_unanswered > 0)
                pthread_cond_wait(&shared->changed, &shared->lock);
        pthread_mutex_unlock(&shared->lock);
}

unsigned heldfs_n_held(struct heldfs *heldfs, enum heldfs_op op, uint64_t block) {
        struct heldfs_shared *shared = heldfs->shared;
        unsigned n;

        pthread_mutex_lock(&shared->lock);
        n = n_held_locked(shared, op, block);
        pthread_mutex_unlock(&shared->lock);
        return n;
}

static void release_locked(struct heldfs_shared *shared, enum heldfs_op op, uint64_t block) {
        for (size_t i = 0; i < HELDFS_HELD_MAX; i++) {
                struct heldfs_held *held = &shared->held[i];

                if (held->used && held->op == op && heldfs_covers(held->first, held->last, block))
                        held->released = true;
        }
        pthread_cond_broadcast(&shared->changed);
}

void heldfs_release(struct heldfs *heldfs, enum heldfs_op op, uint64_t block) {
        pthread_mutex_lock(&heldfs->shared->lock);
        release_locked(heldfs->shared, op, block);
        pthread_mutex_unlock(&heldfs->shared->lock);
}

void heldfs_clear(struct heldfs *heldfs) {
        struct heldfs_shared *shared = heldfs->shared;

        pthread_mutex_lock(&shared->lock);
        shared->n_rules = 0;
        for (enum heldfs_op op = 0; op < N_HELDFS_OPS; op++)
                release_locked(shared, op, HELDFS_ANY);
        pthread_mutex_unlock(&shared->lock);
}

static unsigned count_events(struct heldfs *heldfs, enum heldfs_op op, bool failed) {
        struct heldfs_shared *shared = heldfs->shared;
        unsigned n = 0;

        pthread_mutex_lock(&shared->lock);
        for (unsigned i = 0; i < shared->n_events; i++)
                n += shared->events[i].op == op && (shared->events[i].error != 0) == failed;
        pthread_mutex_unlock(&shared->lock);
        return n;
}

unsigned heldfs_count(struct heldfs *heldfs, enum heldfs_op op) {
        return count_events(heldfs, op, false);
}

unsigned heldfs_count_failed(struct heldfs *heldfs, enum heldfs_op op) {
        return count_events(heldfs, op, true);
}

size_t heldfs_blocks(struct heldfs *heldfs, enum heldfs_op op, uint64_t *ret_blocks, size_t max) {
        struct heldfs_shared *shared = heldfs->shared;
        size_t n = 0;

        pthread_mutex_lock(&shared->lock);
        for (unsigned i = 0; i < shared->n_events; i++) {
                const struct heldfs_event *event = &shared->events[i];
                uint64_t first = (event->offset + shared->block_size - 1) / shared->block_size;

                if (event->op != op || event->error)
                        continue;
                for (uint64_t block = first; block * shared->block_size < event->offset + event->length; block++) {
                        if (n < max)
                                ret_blocks[n] = block;
                        n++;
                }
        }
        pthread_mutex_unlock(&shared->lock);
        return n;
}

void heldfs_forget(struct heldfs *heldfs) {
        pthread_mutex_lock(&heldfs->shared->lock);
        heldfs->shared->n_events = 0;
        pthread_mutex_unlock(&heldfs->shared->lock);
}
