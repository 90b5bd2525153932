/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The serving process of heldfs. It mounts in a mount namespace of its own, so that nothing is left on the host whenever it ends; the test
 * reaches the file through /proc/PID/root. Many threads: a held request keeps one busy.
 */

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heldfs_shared.h"

#define FILE_INODE 2
#define THREADS_MAX (HELDFS_HELD_MAX + 8)

struct server {
        struct heldfs_shared *shared;
        const struct heldfs_opts *opts;
};

/* What the rules say to one request. */
struct verdict {
        int error;     /* positive; 0: none */
        size_t length; /* bytes to do */
        bool hold;
};

static struct server *server_of(fuse_req_t req) {
        return fuse_req_userdata(req);
}

/* One rule of failing or shortening cuts the request at the block it is about; at its very beginning it decides it. */
static void apply_cut(const struct heldfs_shared *shared, struct heldfs_rule *rule, uint64_t offset, struct verdict *verdict) {
        uint64_t at = rule->block == HELDFS_ANY ? offset : rule->block * shared->block_size;

        if (at > offset) {
                if (at - offset < verdict->length)
                        verdict->length = at - offset;
                return;
        }
        if (rule->skip > 0) {
                rule->skip--;
                return;
        }
        if (rule->action == HELDFS_DO_FAIL)
                verdict->error = rule->error;
        else if (rule->bytes < verdict->length)
                verdict->length = rule->bytes;
        rule->times -= rule->times != HELDFS_ALWAYS;
}

static struct verdict judge(struct heldfs_shared *shared, enum heldfs_op op, uint64_t offset, size_t length) {
        struct verdict verdict = { .length = length };
        uint64_t first = offset / shared->block_size, last = (offset + length - (length > 0)) / shared->block_size;

        for (unsigned i = 0; i < shared->n_rules && !verdict.error; i++) {
                struct heldfs_rule *rule = &shared->rules[i];

                if (rule->op != op || rule->times == 0 || !heldfs_covers(first, last, rule->block))
                        continue;
                if (rule->action != HELDFS_DO_HOLD) {
                        apply_cut(shared, rule, offset, &verdict);
                        continue;
                }
                verdict.hold = true;
                rule->times -= rule->times != HELDFS_ALWAYS;
        }
        return verdict;
}

static void hold(struct heldfs_shared *shared, enum heldfs_op op, uint64_t offset, size_t length) {
        struct heldfs_held *held = shared->held;

        while (held->used)
                held++; /* there are fewer threads than places */
        *held = (struct heldfs_held) {
                .used = true,
                .op = op,
                .first = offset / shared->block_size,
                .last = (offset + length - (length > 0)) / shared->block_size,
        };
        pthread_cond_broadcast(&shared->changed);
        while (!held->released)
                pthread_cond_wait(&shared->changed, &shared->lock);
        held->used = false;
}

/* Judges, logs and, if a rule says so, holds a request. The caller has the lock; it is given up only while the request is held. */
static struct verdict admit(struct heldfs_shared *shared, enum heldfs_op op, uint64_t offset, size_t length) {
        struct verdict verdict = judge(shared, op, offset, length);

        if (shared->n_events == HELDFS_EVENTS_MAX)
                abort();
        shared->n_unanswered++;
        shared->events[shared->n_events++] = (struct heldfs_event) {
                .op = op,
                .error = verdict.error,
                .offset = offset,
                .length = verdict.length,
        };
        if (verdict.hold)
                hold(shared, op, offset, length);
        return verdict;
}

/* After the answer to a request that was admitted. */
static void answered(struct heldfs_shared *shared) {
        pthread_mutex_lock(&shared->lock);
        shared->n_unanswered--;
        pthread_cond_broadcast(&shared->changed);
        pthread_mutex_unlock(&shared->lock);
}

static void fill_stat(const struct heldfs_shared *shared, fuse_ino_t ino, struct stat *st) {
        memset(st, 0, sizeof(*st));
        st->st_ino = ino;
        st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
        st->st_nlink = 1;
        st->st_size = ino == FUSE_ROOT_ID ? 0 : (off_t) shared->size;
}

static void on_init(void *userdata, struct fuse_conn_info *conn) {
        const struct server *server = userdata;

        if (server->opts->is_synchronous)
                conn->want &= ~(unsigned) FUSE_CAP_ASYNC_DIO;
        conn->max_background = THREADS_MAX; /* else the kernel keeps back what would be held here */
        conn->congestion_threshold = THREADS_MAX;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
        struct heldfs_shared *shared = server_of(req)->shared;
        struct fuse_entry_param entry = { .ino = FILE_INODE };

        if (parent != FUSE_ROOT_ID || strcmp(name, HELDFS_NAME) != 0) {
                fuse_reply_err(req, ENOENT);
                return;
        }
        pthread_mutex_lock(&shared->lock);
        fill_stat(shared, FILE_INODE, &entry.attr);
        pthread_mutex_unlock(&shared->lock);
        fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
        const struct server *server = server_of(req);
        struct heldfs_shared *shared = server->shared;
        struct verdict verdict = { .error = 0 };
        struct stat st;

        (void) info;
        pthread_mutex_lock(&shared->lock);
        if (server->opts->is_stat)
                verdict = admit(shared, HELDFS_STAT, 0, 0);
        fill_stat(shared, ino, &st);
        pthread_mutex_unlock(&shared->lock);
        if (verdict.error)
                fuse_reply_err(req, verdict.error);
        else
                fuse_reply_attr(req, &st, 0);
        if (server->opts->is_stat)
                answered(shared);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *info) {
        struct heldfs_shared *shared = server_of(req)->shared;
        bool fits = true;

        pthread_mutex_lock(&shared->lock);
        if (to_set & FUSE_SET_ATTR_SIZE) {
                fits = (uint64_t) attr->st_size <= shared->capacity;
                if (fits)
                        shared->size = (uint64_t) attr->st_size;
        }
        pthread_mutex_unlock(&shared->lock);
        if (fits)
                on_getattr(req, ino, info);
        else
                fuse_reply_err(req, EFBIG);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
        if (ino != FILE_INODE) {
                fuse_reply_err(req, EISDIR);
                return;
        }
        info->direct_io = 1;
        fuse_reply_open(req, info);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t length, off_t off, struct fuse_file_info *info) {
        const struct server *server = server_of(req);
        struct heldfs_shared *shared = server->shared;
        uint64_t offset = (uint64_t) off;
        struct verdict verdict;
        void *bytes;

        (void) ino;
        (void) info;
        pthread_mutex_lock(&shared->lock);
        length = offset >= shared->size ? 0 : length < shared->size - offset ? length : shared->size - offset;
        bytes = malloc(length + 1);
        if (!bytes)
                abort();
        memcpy(bytes, shared->content + offset, length);
        verdict = admit(shared, HELDFS_READ, offset, length);
        pthread_mutex_unlock(&shared->lock);
        if (!verdict.error && server->opts->on_read)
                verdict.error = -server->opts->on_read(server->opts->arg, offset, bytes, verdict.length);
        if (verdict.error)
                fuse_reply_err(req, verdict.error);
        else
                fuse_reply_buf(req, bytes, verdict.length);
        answered(shared);
        free(bytes);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t length, off_t off, struct fuse_file_info *info) {
        struct heldfs_shared *shared = server_of(req)->shared;
        uint64_t offset = (uint64_t) off;
        struct verdict verdict;

        (void) ino;
        (void) info;
        pthread_mutex_lock(&shared->lock);
        verdict = admit(shared, HELDFS_WRITE, offset, length);
        if (!verdict.error && offset + verdict.length > shared->capacity)
                verdict.error = EFBIG;
        if (!verdict.error) {
                memcpy(shared->content + offset, bytes, verdict.length);
                if (offset + verdict.length > shared->size)
                        shared->size = offset + verdict.length;
        }
        pthread_mutex_unlock(&shared->lock);
        if (verdict.error)
                fuse_reply_err(req, verdict.error);
        else
                fuse_reply_write(req, verdict.length);
        answered(shared);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info) {
        struct heldfs_shared *shared = server_of(req)->shared;
        struct verdict verdict;

        (void) ino;
        (void) datasync;
        (void) info;
        pthread_mutex_lock(&shared->lock);
        verdict = admit(shared, HELDFS_FSYNC, 0, 0);
        pthread_mutex_unlock(&shared->lock);
        fuse_reply_err(req, verdict.error);
        answered(shared);
}

/* Who says ENOSYS is not asked again. */
static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info) {
        const struct server *server = server_of(req);
        struct verdict verdict;

        (void) ino;
        (void) info;
        if (!server->opts->is_flushed) {
                fuse_reply_err(req, ENOSYS);
                return;
        }
        pthread_mutex_lock(&server->shared->lock);
        verdict = admit(server->shared, HELDFS_FLUSH, 0, 0);
        pthread_mutex_unlock(&server->shared->lock);
        fuse_reply_err(req, verdict.error);
        answered(server->shared);
}

static const struct fuse_lowlevel_ops operations = {
        .init = on_init,
        .lookup = on_lookup,
        .getattr = on_getattr,
        .setattr = on_setattr,
        .open = on_open,
        .read = on_read,
        .write = on_write,
        .fsync = on_fsync,
        .flush = on_flush,
};

static int mount_session(struct fuse_session *session, const char *dir) {
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -EPERM;
        if (fuse_session_mount(session, dir) < 0)
                return -EPERM;
        return 0;
}

_Noreturn void heldfs_serve(struct heldfs_shared *shared, const char *dir, int ready, const struct heldfs_opts *opts) {
        char *argv[] = { (char *) "heldfs", (char *) "-oallow_other,fsname=heldfs", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(2, argv);
        struct server server = { .shared = shared, .opts = opts };
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        struct fuse_session *session;
        int r = -ENOMEM;

        session = fuse_session_new(&args, &operations, sizeof(operations), &server);
        if (session && config)
                r = mount_session(session, dir);
        if (write(ready, &r, sizeof(r)) < 0 || r < 0)
                _exit(1);
        close(ready);
        fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
        fuse_loop_cfg_set_idle_threads(config, THREADS_MAX);
        fuse_session_loop_mt(session, config);
        _exit(0);
}
