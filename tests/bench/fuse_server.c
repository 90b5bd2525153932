/* SPDX-License-Identifier: LGPL-2.1-or-later */

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "content.h"
#include "fuse_server.h"
#include "subject.h"

#define FUSE_SERVER_NAME "file"
#define FUSE_SERVER_INODE 2
#define FUSE_SERVER_THREADS 8
#define FUSE_SERVER_VALID_SECONDS 3600 /* nothing changes but by who has it mapped */

struct fuse_server_file {
        uint8_t *memory;
        uint64_t size;
};

static void fuse_server_fill(const struct fuse_server_file *file, fuse_ino_t ino, struct stat *st) {
        *st = (struct stat) {
                .st_ino = ino,
                .st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600,
                .st_nlink = 1,
                .st_size = ino == FUSE_ROOT_ID ? 0 : (off_t) file->size,
        };
}

static void fuse_server_on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
        struct fuse_entry_param entry = { .ino = FUSE_SERVER_INODE, .attr_timeout = FUSE_SERVER_VALID_SECONDS, .entry_timeout = FUSE_SERVER_VALID_SECONDS };

        if (parent != FUSE_ROOT_ID || strcmp(name, FUSE_SERVER_NAME) != 0) {
                fuse_reply_err(req, ENOENT);
                return;
        }
        fuse_server_fill(fuse_req_userdata(req), FUSE_SERVER_INODE, &entry.attr);
        fuse_reply_entry(req, &entry);
}

static void fuse_server_on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
        struct stat st;

        (void) info;
        fuse_server_fill(fuse_req_userdata(req), ino, &st);
        fuse_reply_attr(req, &st, FUSE_SERVER_VALID_SECONDS);
}

static void fuse_server_on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
        (void) ino;
        info->keep_cache = 1;
        fuse_reply_open(req, info);
}

/* From where it lies: nothing is copied but by the kernel. */
static void fuse_server_on_read(fuse_req_t req, fuse_ino_t ino, size_t length, off_t offset, struct fuse_file_info *info) {
        const struct fuse_server_file *file = fuse_req_userdata(req);
        uint64_t left = (uint64_t) offset < file->size ? file->size - (uint64_t) offset : 0;

        (void) ino;
        (void) info;
        fuse_reply_buf(req, (char *) file->memory + offset, length < left ? length : left);
}

static const struct fuse_lowlevel_ops fuse_server_operations = {
        .lookup = fuse_server_on_lookup,
        .getattr = fuse_server_on_getattr,
        .open = fuse_server_on_open,
        .read = fuse_server_on_read,
};

static int fuse_server_copy(struct fuse_server_file *file, const struct content *content) {
        void *memory = mmap(NULL, content->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t done = 0;

        if (memory == MAP_FAILED)
                return -errno;
        *file = (struct fuse_server_file) { .memory = memory, .size = content->size };
        while (done < file->size) {
                ssize_t n = pread(content->fd, file->memory + done, file->size - done, (off_t) done);

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                done += (uint64_t) n;
        }
        return 0;
}

/* In a mount namespace of its own, so that nothing is left whenever it ends. */
static int fuse_server_mount(struct fuse_session *session, const char *dir) {
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        return fuse_session_mount(session, dir) < 0 ? -EPERM : 0;
}

static _Noreturn void fuse_server_run(const struct content *content, const char *dir, int ready) {
        char *argv[] = { (char *) "bfbench", (char *) "-ofsname=bfbench", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(2, argv);
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        struct fuse_session *session;
        struct fuse_server_file file;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = fuse_server_copy(&file, content);
        session = r == 0 ? fuse_session_new(&args, &fuse_server_operations, sizeof(fuse_server_operations), &file) : NULL;
        if (r == 0)
                r = session && config ? fuse_server_mount(session, dir) : -ENOMEM;
        if (write(ready, &r, sizeof(r)) < 0 || r < 0)
                _exit(1);
        close(ready);
        fuse_loop_cfg_set_max_threads(config, FUSE_SERVER_THREADS);
        fuse_loop_cfg_set_idle_threads(config, FUSE_SERVER_THREADS);
        fuse_session_loop_mt(session, config);
        _exit(0);
}

static int fuse_server_fork(struct fuse_server *server, const struct content *content) {
        int pipe_fds[2], r = -EPIPE;

        if (pipe(pipe_fds) < 0)
                return -errno;
        server->pid = fork();
        if (server->pid == 0)
                fuse_server_run(content, server->dir, pipe_fds[1]);
        close(pipe_fds[1]);
        if (server->pid > 0 && read(pipe_fds[0], &r, sizeof(r)) != (ssize_t) sizeof(r))
                r = -EPIPE;
        close(pipe_fds[0]);
        return r;
}

int fuse_server_start(struct fuse_server *server, const struct content *content, struct reason *reason) {
        int r;

        *server = (struct fuse_server) { .dir = "/tmp/bfbench-XXXXXX" };
        if (access("/dev/fuse", R_OK | W_OK) < 0) {
                reason_say(reason, "there is no /dev/fuse");
                return SUBJECT_HAS_NONE;
        }
        if (!mkdtemp(server->dir))
                return -errno;
        r = fuse_server_fork(server, content);
        if (r < 0) {
                fuse_server_stop(server);
                reason_say(reason, "cannot mount a FUSE file system: %s", strerror(-r));
                return SUBJECT_HAS_NONE;
        }
        snprintf(server->path, sizeof(server->path), "/proc/%d/root%s/" FUSE_SERVER_NAME, (int) server->pid, server->dir);
        return 0;
}

void fuse_server_stop(struct fuse_server *server) {
        if (server->pid > 0) {
                kill(server->pid, SIGKILL);
                waitpid(server->pid, NULL, 0);
        }
        rmdir(server->dir);
}
