/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The same NBD server without any memory: nbdcopy, which reads all of it as fast as it can, with several connections and many requests. */

#include <errno.h>
#include <stdlib.h>

#include "nbdkit.h"
#include "subject_nbdcopy.h"

struct subject_nbdcopy_variant {
        bool is_slow;
};

struct subject_nbdcopy {
        struct subject subject;
        struct nbdkit nbdkit;
};

static void subject_nbdcopy_free(struct subject *subject) {
        struct subject_nbdcopy *self = (struct subject_nbdcopy *) subject;

        nbdkit_stop(&self->nbdkit);
        free(self);
}

static int subject_nbdcopy_new(const struct subject_kind *kind, const struct setup *setup, struct reason *reason, struct subject **ret) {
        const struct subject_nbdcopy_variant *variant = kind->variant;
        struct subject_nbdcopy *self = calloc(1, sizeof(*self));
        int r;

        if (!self)
                return -ENOMEM;
        self->subject.kind = kind;
        r = nbdkit_start(&self->nbdkit, setup, variant->is_slow, reason);
        if (r != 0) {
                free(self);
                return r;
        }
        *ret = &self->subject;
        return 0;
}

static int subject_nbdcopy_drop(struct subject *subject) {
        (void) subject;
        return 0;
}

bool subject_nbdcopy_is(const struct subject *subject) {
        return subject->kind->new == subject_nbdcopy_new;
}

int subject_nbdcopy_read(struct subject *subject) {
        return nbdkit_copy(((struct subject_nbdcopy *) subject)->nbdkit.uri, "null:");
}

#define SUBJECT_NBDCOPY_KIND(name_, title_, ...)                                                                                                            \
        .name = name_, .title = title_, .variant = &(const struct subject_nbdcopy_variant){ __VA_ARGS__ }, .new = subject_nbdcopy_new,                      \
        .free = subject_nbdcopy_free, .drop = subject_nbdcopy_drop

const struct subject_kind subject_nbdcopy = { SUBJECT_NBDCOPY_KIND("nbdcopy", "nbdcopy", .is_slow = false) };
const struct subject_kind subject_nbdcopy_slow = { SUBJECT_NBDCOPY_KIND("nbdcopy-slow", "nbdcopy", .is_slow = true) };
