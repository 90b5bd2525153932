/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file as a big file, served by a daemon of its own; with small pages, with huge ones, and with client and daemon in a memory cgroup that has little more
 * room than the pool: then the page cache has no part of the file beside it. */

#include <bfclient.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cgroup.h"
#include "content.h"
#include "hugepages.h"
#include "nbdkit.h"
#include "server.h"
#include "subject.h"
#include "subject_bigfile.h"

/* What client and daemon need beside the pool, page tables and the kernel's own memory for both included. Sanitizers need more. */
#ifdef __SANITIZE_ADDRESS__
#define SUBJECT_BIGFILE_SPARE (UINT64_C(512) << 20)
#else
#define SUBJECT_BIGFILE_SPARE (UINT64_C(12) << 20)
#endif

struct subject_bigfile_variant {
        unsigned open_flags;
        bool is_limited;
        bool has_no_client;
        bool is_nbd;  /* of an NBD server */
        bool is_slow; /* the server */
};

struct subject_bigfile {
        struct subject subject;
        struct server server; /* pid 0: another process's */
        bool is_limited;
        struct cgroup cgroup;
        struct bf_client *client;
        struct bf_fileh *fileh;
        struct nbdkit nbdkit;
        int fd; /* -1: none of its own */
        uint64_t size;
};

static int subject_bigfile_check(int r) {
        if (r < 0)
                fprintf(stderr, "bigfile: %s\n", bf_errmsg());
        return r;
}

static void subject_bigfile_free(struct subject *subject) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;

        bf_disconnect(self->client);
        if (self->server.pid > 0)
                server_stop(&self->server);
        nbdkit_stop(&self->nbdkit);
        if (self->is_limited)
                cgroup_fini(&self->cgroup);
        if (self->fd >= 0)
                close(self->fd);
        free(self);
}

/* With a descriptor of its own: the daemon may set flags of what it is given, and others are to read the file as they would without it. */
static int subject_bigfile_open_file(struct subject_bigfile *self, const struct setup *setup, unsigned flags) {
        struct bf_open_opts opts = { .size = sizeof(opts), .flags = flags };

        if (self->nbdkit.pid > 0)
                return subject_bigfile_check(bf_open(self->client, self->nbdkit.uri, O_RDWR, &opts, &self->fileh));
        self->fd = content_reopen(setup->content);
        return self->fd < 0 ? self->fd : subject_bigfile_check(bf_open_fd(self->client, self->fd, &opts, &self->fileh));
}

static int subject_bigfile_open(struct subject_bigfile *self, const struct setup *setup, const char *address, unsigned flags) {
        void *memory;
        int r;

        r = subject_bigfile_check(bf_connect(&self->client, address));
        if (r == 0)
                r = subject_bigfile_open_file(self, setup, flags);
        if (r == 0)
                r = subject_bigfile_check(bf_mmap(self->fileh, 0, setup->content->size, PROT_READ | PROT_WRITE, &memory));
        if (r == 0)
                self->subject.memory = memory;
        return r;
}

static struct subject_bigfile *subject_bigfile_alloc(const struct subject_kind *kind, const struct setup *setup) {
        struct subject_bigfile *self = calloc(1, sizeof(*self));

        if (self)
                *self = (struct subject_bigfile){ .subject.kind = kind, .size = setup->content->size, .fd = -1 };
        return self;
}

/* Whether it can be had: 0, or SUBJECT_HAS_NONE with a reason. */
static int subject_bigfile_prepare(struct subject_bigfile *self, const struct setup *setup, struct reason *reason) {
        const struct subject_bigfile_variant *variant = self->subject.kind->variant;
        uint64_t n_huge = setup->pool_bytes / HUGEPAGES_BYTES;

        if (variant->open_flags & BF_HUGE && hugepages_n_free() < n_huge) {
                reason_say(reason, "%ju huge pages are needed, %ju are free (--huge-pages, vm.nr_hugepages)", (uintmax_t) n_huge,
                           (uintmax_t) hugepages_n_free());
                return SUBJECT_HAS_NONE;
        }
        if (variant->is_nbd)
                return nbdkit_start(&self->nbdkit, setup, variant->is_slow, reason);
        if (!variant->is_limited)
                return 0;
        if (cgroup_init(&self->cgroup, setup->pool_bytes + setup->pool_bytes / 16 + SUBJECT_BIGFILE_SPARE, setup->content->fd, reason) < 0)
                return SUBJECT_HAS_NONE;
        self->is_limited = true;
        return 0;
}

/* A daemon that may connect to the NBD server, if there is one. */
static int subject_bigfile_start_server(struct subject_bigfile *self, const struct setup *setup) {
        struct setup more = *setup;
        char args[400];

        snprintf(args, sizeof(args), "--allow-nbd %s %s", self->nbdkit.uri, setup->daemon_args ? setup->daemon_args : "");
        if (self->nbdkit.pid > 0)
                more.daemon_args = args;
        return server_start(&self->server, &more);
}

/* The daemon is started where it is to be. */
static int subject_bigfile_begin(struct subject_bigfile *self, const struct setup *setup) {
        const struct subject_bigfile_variant *variant = self->subject.kind->variant;
        int r = 0;

        if (self->is_limited)
                r = cgroup_enter(&self->cgroup);
        if (r == 0)
                r = subject_bigfile_start_server(self, setup);
        if (r == 0 && !variant->has_no_client)
                r = subject_bigfile_open(self, setup, self->server.address, variant->open_flags);
        if (self->is_limited)
                (void) cgroup_leave(&self->cgroup);
        return r;
}

static int subject_bigfile_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct subject_bigfile *self = subject_bigfile_alloc(kind, setup);
        int r;

        if (!self)
                return -ENOMEM;
        r = subject_bigfile_prepare(self, setup, reason);
        if (r == 0)
                r = subject_bigfile_begin(self, setup);
        if (r != 0) {
                subject_bigfile_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_bigfile_attach(struct subject *subject, const struct setup *setup, struct subject **ret) {
        struct subject_bigfile *parent = (struct subject_bigfile *) subject, *self = subject_bigfile_alloc(&subject_bigfile, setup);
        int r;

        if (!self)
                return -ENOMEM;
        r = subject_bigfile_open(self, setup, parent->server.address, 0);
        if (r < 0) {
                subject_bigfile_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_bigfile_drop(struct subject *subject) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;

        return self->fileh ? subject_bigfile_check(bf_invalidate(self->fileh, 0, self->size)) : 0;
}

static int subject_bigfile_store(struct subject *subject, bool sync) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;

        return subject_bigfile_check(bf_writeout(self->fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | (sync ? BF_WRITEOUT_SYNC : 0)));
}

static int subject_bigfile_count(struct subject *subject, struct subject_counts *ret_counts) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;
        struct bf_stat stat = { 0 };
        int r;

        r = self->fileh ? subject_bigfile_check(bf_stat(self->fileh, &stat)) : 0;
        if (r < 0)
                return r;
        ret_counts->n_loads = stat.loads;
        return self->server.pid > 0 ? server_cpu_ns(self->server.pid, &ret_counts->cpu_ns) : 0;
}

static int subject_bigfile_enter(struct subject *subject) {
        return cgroup_enter(&((struct subject_bigfile *) subject)->cgroup);
}

static int subject_bigfile_leave(struct subject *subject) {
        return cgroup_leave(&((struct subject_bigfile *) subject)->cgroup);
}

int subject_bigfile_usage(const struct subject *subject, struct server_usage *ret_usage) {
        return server_usage(&((const struct subject_bigfile *) subject)->server, ret_usage);
}

int subject_bigfile_fill(struct subject *subject, uint64_t bytes, uint64_t *ret_resident) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;
        struct bf_stat stat;
        int r;

        r = subject_bigfile_check(bf_load(self->fileh, 0, bytes));
        if (r == 0)
                r = subject_bigfile_check(bf_stat(self->fileh, &stat));
        if (r == 0)
                *ret_resident = stat.resident_bytes;
        return r;
}

#define SUBJECT_BIGFILE_KIND(name_, title_, ...)                                                                                                            \
        .name = name_, .title = title_, .variant = &(const struct subject_bigfile_variant){ __VA_ARGS__ }, .new = subject_bigfile_new,                      \
        .free = subject_bigfile_free, .drop = subject_bigfile_drop, .store = subject_bigfile_store, .count = subject_bigfile_count

const struct subject_kind subject_bigfile = {
        SUBJECT_BIGFILE_KIND("bigfile", "bigfile", .open_flags = 0),
};

const struct subject_kind subject_nbd = {
        SUBJECT_BIGFILE_KIND("nbd", "bigfile, NBD", .is_nbd = true),
};

const struct subject_kind subject_nbd_slow = {
        SUBJECT_BIGFILE_KIND("nbd-slow", "bigfile, NBD", .is_nbd = true, .is_slow = true),
};

const struct subject_kind subject_bigfile_direct = {
        SUBJECT_BIGFILE_KIND("bigfile-direct", "bigfile, direct I/O", .open_flags = BF_DIRECT),
};

const struct subject_kind subject_bigfile_huge = {
        SUBJECT_BIGFILE_KIND("bigfile-huge", "bigfile, huge pages", .open_flags = BF_HUGE),
};

const struct subject_kind subject_bigfile_limited = {
        SUBJECT_BIGFILE_KIND("bigfile-limited", "bigfile, cgroup", .is_limited = true),
        .enter = subject_bigfile_enter,
        .leave = subject_bigfile_leave,
};

const struct subject_kind subject_bigfile_server = {
        SUBJECT_BIGFILE_KIND("bigfile-clients", "bigfile", .has_no_client = true),
        .attach = subject_bigfile_attach,
};
