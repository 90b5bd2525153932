/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The file as a big file, served by a private daemon. */

#include <bfclient.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "content.h"
#include "subject.h"

struct subject_bigfile {
        struct subject subject;
        struct bf_client *client;
        struct bf_fileh *fileh;
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
        free(self);
}

static int subject_bigfile_open(struct subject_bigfile *self, const struct setup *setup, const char *address) {
        void *memory;
        int r;

        r = subject_bigfile_check(bf_connect(&self->client, address));
        if (r < 0)
                return r;
        r = subject_bigfile_check(bf_open_fd(self->client, setup->content->fd, NULL, &self->fileh));
        if (r < 0)
                return r;
        r = subject_bigfile_check(bf_mmap(self->fileh, 0, setup->content->size, PROT_READ | PROT_WRITE, &memory));
        if (r < 0)
                return r;
        self->subject.memory = memory;
        return 0;
}

static int subject_bigfile_new(const struct setup *setup, struct subject **ret) {
        struct subject_bigfile *self = calloc(1, sizeof(*self));
        char *address = NULL;
        int r = -ENOMEM;

        if (self && asprintf(&address, "spawn:pool=%ju%s%s", (uintmax_t) setup->pool_bytes, setup->daemon ? ",daemon=" : "",
                             setup->daemon ? setup->daemon : "") >= 0) {
                *self = (struct subject_bigfile){ .subject.kind = &subject_bigfile, .size = setup->content->size };
                r = subject_bigfile_open(self, setup, address);
                free(address);
        }
        if (r < 0) {
                if (self)
                        subject_bigfile_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_bigfile_drop(struct subject *subject) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;

        return subject_bigfile_check(bf_invalidate(self->fileh, 0, self->size));
}

static int subject_bigfile_store(struct subject *subject, bool sync) {
        struct subject_bigfile *self = (struct subject_bigfile *) subject;

        return subject_bigfile_check(bf_writeout(self->fileh, BF_WRITEOUT_STORE | BF_WRITEOUT_MARKSTORED | (sync ? BF_WRITEOUT_SYNC : 0)));
}

const struct subject_kind subject_bigfile = {
        .name = "bigfile",
        .title = "bigfile",
        .new = subject_bigfile_new,
        .free = subject_bigfile_free,
        .drop = subject_bigfile_drop,
        .store = subject_bigfile_store,
};
