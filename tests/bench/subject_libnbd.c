/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The same NBD server without any memory: libnbd, a block at a time. That is the least that a block that is not there can cost. */

#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "nbdkit.h"
#include "subject.h"

struct subject_libnbd {
        struct subject subject;
        struct nbdkit nbdkit;
        struct nbd_handle *nbd;
        uint64_t words[CONTENT_WORDS];
};

static void subject_libnbd_free(struct subject *subject) {
        struct subject_libnbd *self = (struct subject_libnbd *) subject;

        nbd_close(self->nbd);
        nbdkit_stop(&self->nbdkit);
        free(self);
}

static int subject_libnbd_connect(struct subject_libnbd *self) {
        self->nbd = nbd_create();
        if (self->nbd && nbd_connect_uri(self->nbd, self->nbdkit.uri) == 0)
                return 0;
        fprintf(stderr, "libnbd: %s\n", nbd_get_error());
        return -ECHILD;
}

static int subject_libnbd_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        struct subject_libnbd *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->subject.kind = kind;
        r = nbdkit_start(&self->nbdkit, setup, false, reason);
        if (r == 0)
                r = subject_libnbd_connect(self);
        if (r != 0) {
                subject_libnbd_free(&self->subject);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_libnbd_drop(struct subject *subject) {
        (void) subject;
        return 0;
}

static const uint64_t *subject_libnbd_fetch(struct subject *subject, uint64_t block) {
        struct subject_libnbd *self = (struct subject_libnbd *) subject;

        if (nbd_pread(self->nbd, self->words, CONTENT_BLOCK, block * CONTENT_BLOCK, 0) == 0)
                return self->words;
        fprintf(stderr, "libnbd: %s\n", nbd_get_error());
        return NULL;
}

const struct subject_kind subject_libnbd = {
        .name = "libnbd",
        .title = "libnbd, nbd_pread",
        .new = subject_libnbd_new,
        .free = subject_libnbd_free,
        .drop = subject_libnbd_drop,
        .fetch = subject_libnbd_fetch,
};
